// Package store keeps the state of ctwatch in one SQLite database
// (https://www.sqlite.org/fileformat.html), by modernc.org/sqlite: positions in logs, tree
// heads, certificates, sightings, keys and the trust in them, what apps ship, what servers
// serve, and the events that wait for delivery.
//
// A DB opens and closes; the methods are grouped by subject: DB.Logs, DB.Certificates,
// DB.Keys and so on, each of which satisfies the interface of its consumer. Every method
// is one transaction. What to do with what a transaction reads is decided by functions of
// ctwatch and pins, which do not depend on the database.
//
// Its main rule: a log's position moves in the same transaction that writes what was found
// up to it and the events that report it (Logs.Record). A crash at any instant loses
// nothing; what is read again afterwards is recognized, and reported under the same event
// ID or not at all.
//
// A key changes its state in one place (tx.move), as pins.CheckMove allows and with a
// record in the audit trail (audit.go), which the database itself protects from changes.
// A revision counts the changes of what plans depend on (Plans.Revision), and Plans.Concerns
// tells those that concern certain plans from others.
//
// A daemon locks the data directory (lock.go). Commands write beside it (OpenShared): each
// process has one connection that writes, and waits its turn. Reading uses a pool of
// connections that cannot write, here and in commands that read while a daemon runs
// (OpenReadOnly). In write-ahead-log mode (https://www.sqlite.org/wal.html) readers and
// writers do not wait for each other.
package store
