// Package store keeps what ctwatch knows in one SQLite database
// (https://www.sqlite.org/fileformat.html), by modernc.org/sqlite: positions in
// logs, tree heads, certificates, sightings, keys and who trusts them, what apps
// ship, what servers serve, and the events that wait to be told.
//
// Its one rule: a log's position moves in the same transaction that writes what
// was found up to it and the events that tell of it (Record). A crash at any
// instant loses nothing; what is read again after it is recognised, and told again
// under the same event ID or not at all.
//
// A key changes its state in one place (tx.move), by the law of pins.CheckMove and
// with a record in the audit trail (audit.go), which the database itself lets nobody
// change. Whatever plans rest on counts up a revision as it changes (Revision).
//
// A daemon holds the data directory for itself (lock.go). Commands write beside it
// (OpenShared): each process has one connection to write with, and waits its turn.
// Reading goes through a pool of connections that cannot write, here and in commands
// that read while a daemon runs (OpenReadOnly). In write-ahead-log mode
// (https://www.sqlite.org/wal.html) readers and writers do not wait for each other.
package store
