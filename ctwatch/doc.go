// Package ctwatch defines the types of the domain: Log, Head, Batch, Certificate, Sighting,
// Match, Verdict, Event. The other packages exchange these types. It does no I/O.
//
// # The pipeline
//
// Each log is read by these steps, each in a package of its own:
//
//	loglist    which logs there are
//	ctlog      one log's signed tree heads, and the entries below them
//	scan       the bytes of a span in; leaf hashes and matches out (a Batch)
//	  entry      what an entry contains: names, key, identity
//	  watchlist  whether a name is watched
//	follow     order, verification against the tree head, two positions
//	store      one transaction: position, certificates, sightings, keys, events
//	  policy     the verdict on each certificate, and the reasons
//	notify     delivers the events to NATS, Slack, e-mail and others
//
// A match is recorded, and its event written, as soon as its entry is read; its sighting
// then has "verified": false. The log's verified position advances only when the tree
// rebuilt from all entries read has the root that the log signed. The sightings below it
// become verified then. So an unauthorized certificate is reported within seconds, and a
// log that lies is detected.
//
// # Identity
//
// A precertificate and the certificate issued from it, in any number of logs, are one
// Certificate. Its ID is the SHA-256 of the TBSCertificate without the poison and SCT-list
// extensions (RFC 6962 §3.2), taken from the bytes in the log. Each place and time where
// it was seen is a Sighting.
//
// # Verdicts
//
// Package policy judges a certificate in the transaction that records it: expected,
// unexpected or unreviewed, with reasons. It uses the rules of the watch list and what is
// known of the certificate (a Standing): who approved its key, which hosts served the key
// before, which CAA records its names have. A person's verdict takes precedence. When
// rules, keys or records change later, the certificates concerned are judged again. An
// expected certificate may approve its key for the hosts that the rules name; an
// unexpected one approves nothing.
//
// # Pins
//
// A second loop keeps apps connected that pin keys:
//
//	pins/probe    what servers serve now
//	pins/format   what released apps ship
//	store         these facts, and the state of each key
//	planner       plans for each host of each app, and events when they change
//	pins/publish  signed pin documents, for apps that update their pins
//
// The rules of keys, plans and gates are in package pins. A key that a log or server shows
// is only "seen"; only a person, or a rule that a person wrote, makes it trusted.
// Package words writes findings, reasons and events as sentences for every medium.
package ctwatch
