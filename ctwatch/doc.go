// Package ctwatch holds the words of the domain: Log, Head, Batch, Certificate,
// Sighting, Match, Verdict, Event. It does no I/O; every other package speaks in
// these types and none of them is needed to understand them.
//
// # The pipeline
//
// One log is followed for ever by these steps, left to right, each in a package
// of its own:
//
//	loglist    which logs there are
//	ctlog      one log's signed tree head, and the entries below it
//	scan       the bytes of a span in; leaf hashes and matches out (a Batch)
//	  entry      what an entry says: names, key, identity
//	  watchlist  whether anyone cares
//	follow     order, verification against the tree head, two positions
//	store      one transaction: position, certificates, sightings, keys, events
//	notify     empties the events into NATS, Slack and stdout
//
// A match is recorded, and its event written, as soon as its entry is read: the
// sighting then says "verified": false. The log's verified position moves only
// when the tree rebuilt from everything read has the root that the log signed;
// the sightings below it become verified then. A rogue certificate is so reported
// within seconds, and a log that lies is found out.
//
// # Identity
//
// A precertificate and the certificate issued from it, in however many logs, are
// one Certificate: its ID is the SHA-256 of the TBSCertificate without the poison
// and SCT-list extensions (RFC 6962 §3.2), taken from the bytes as the log has
// them. Where and when it was seen is a Sighting each.
package ctwatch
