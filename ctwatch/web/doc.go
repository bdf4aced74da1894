// Package web is the daemon's HTTP listener: who may ask for what, for how long,
// and how it ends. It knows nothing of the rest of the daemon; what is served is
// given to it as handlers.
//
// Whatever is handed to Handle is guarded: it needs a token (RFC 6750) as soon as
// others than this machine may reach the listener, itself or by a proxy, and changing
// anything always does. Only what is handed to HandlePublic is for everyone. Clients are hostile:
// headers, bodies, connections and the time spent on each are bounded.
package web
