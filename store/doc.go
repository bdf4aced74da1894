// Package store keeps what ctwatch knows in one SQLite database
// (https://www.sqlite.org/fileformat.html), by modernc.org/sqlite: positions in
// logs, tree heads, certificates, sightings, keys, and the events that wait to be
// told.
//
// Its one rule: a log's position moves in the same transaction that writes what
// was found up to it and the events that tell of it (Record). A crash at any
// instant loses nothing; what is read again after it is recognised, and told again
// under the same event ID or not at all.
//
// A process that writes holds the data directory for itself (lock.go) and has one
// connection to write with. Reading goes through a pool of connections that cannot
// write, here and in commands that read while a daemon runs (OpenReadOnly). In
// write-ahead-log mode (https://www.sqlite.org/wal.html) neither waits for the
// other.
package store
