// Package follow reads one log for ever, and proves what it has read.
//
// It keeps two positions in a log. The read position is how far entries have been
// fetched, scanned and recorded: a match is told as soon as it is read. The
// verified position is how far they have been proven to be what the log signed:
// the tree is rebuilt from the leaf hashes of everything read, and its root must
// be that of a signed tree head (RFC 6962 §2.1), or be shown to be a prefix of it
// by a consistency proof (§2.1.2). No hash tiles or audit proofs are needed for
// that, so nothing is fetched twice.
//
//	step: head ─▶ judge ─▶ read in strides ─▶ verify ─▶ wait, and again
//
// judge (heads.go) holds a tree head against all that the log signed before.
// Strides (read.go) bound how much is read between two proofs. A stride that does
// not verify (fault.go) is an alarm with the evidence and changes nothing about
// the verified position: reading goes on unverified, so that no alert is lost,
// and the stride is read again until the log serves what it signed.
package follow
