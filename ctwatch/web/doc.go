// Package web is the daemon's HTTP listener: who may ask for what, for how long,
// and how it ends. It knows nothing of the rest of the daemon; what is served is
// given to it as handlers.
//
// Whatever is handed to Handle is guarded: on a listener that others than this
// machine can reach it needs a token (RFC 6750), and changing anything always
// does. Only what is handed to HandlePublic is for everyone. Clients are hostile:
// headers, bodies, connections and the time spent on each are bounded.
package web
