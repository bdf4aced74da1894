// Package follow reads Certificate Transparency logs as they grow, and verifies what it
// reads (RFC 6962 §2.1, c2sp.org/static-ct-api). It also chooses which logs are followed
// and where reading begins (LogSet), and reports when no log is read (Liveness).
//
// A Follower keeps two positions in a log. The read position counts the entries that were
// fetched, scanned and recorded: a match is reported as soon as it is read. The verified
// position counts the entries that are proven to be what the log signed. For that, the tree
// is rebuilt from the leaf hashes of all entries: its root must be that of a signed tree
// head (RFC 6962 §2.1), or the log must prove that it is a prefix of one (§2.1.2). This
// needs no hash tiles and no audit proofs, so nothing is fetched twice.
//
//	step: head ─▶ judge ─▶ read in strides ─▶ verify ─▶ wait, and again
//
// judge (heads.go) compares a tree head with all that the log signed before. Strides
// (stride.go) bound how much is read between two proofs. A stride that does not verify
// (fault.go) is an alarm with evidence, and leaves the verified position alone: reading
// continues unverified, so that no alert is lost, and the stride is read again until the
// log serves what it signed. An invalid reply (suspect.go) is requested again, and skipped
// if it persists.
//
// # Requests to a log
//
// A poll requests the tree head, and nothing else if that is known. The entries that a new
// tree head adds are requested once, in spans as large as the log's replies and aligned to
// them. No proof is requested if everything up to the head was read, since its root is
// computed.
//
// The entries of a static log come in tiles of 256, of which the last is mostly partial. It
// is requested at once, since an alert is worth a request and since the tree is proven at
// the head: one partial tile for each new head, never the same one twice, and the full tile
// when there is one. TailWait reduces these requests: a tree head that only makes the
// partial tile longer is ignored until the first of its entries has been known for that
// long, or the tile is full.
//
// All requests keep the pace of the log (ctlog.LogPace). Of the spans that fail, one at a
// time is requested again. A log that cannot be followed is polled less and less often, up
// to the longer of 10 s and four poll intervals. Meanwhile it gets at most two requests a
// second, and one in ten seconds after two minutes without a useful reply. The former ends
// with the first step that succeeds, or with 16 good replies in a row, the latter with one.
// Spans that do not verify are read again with pauses of at least half a second for each.
package follow
