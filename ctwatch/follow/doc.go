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
// and the stride is read again until the log serves what it signed. A reply that is
// not what it has to be (suspect.go) is asked for again, and read around when it stays so.
//
// # What a log is asked for
//
// A poll asks for the tree head. If that is the one known, it asks for nothing
// else. If it is a new one, the entries that it adds are asked for once, in spans
// as large as the log gives at once and aligned to them; no proof is asked for
// where everything is read up to the head, since the root is computed.
//
// The entries of a static log come in tiles of 256, of which the last is mostly
// partial. It is asked for at once, since an alert is worth more than a request and
// since the tree is proven at the head: one partial tile for each new head, never
// the same one twice, and the full tile when there is one. Who would rather ask
// less sets TailWait: a tree head that only makes the partial tile longer is then
// passed over, as if it had not been asked for, until the first of its entries have
// been known for so long or the tile is full.
//
// All requests keep the pace of the log (ctlog.LogPace). Of spans that fail one is
// asked for again at a time. A log that cannot be followed is polled ever more
// seldom, up to the longer of 10 s and four poll intervals; it is asked at most
// twice a second meanwhile, and once in ten seconds when nothing of use has come
// for two minutes. The former ends with the first step that succeeds, or with 16
// good replies in a row, the latter with one. What does not verify is read again
// with pauses of at least half a second for each span.
package follow
