// Package words turns findings, advice, events and verdicts into English: sentences,
// commands and buttons. It is the one place that does, for a terminal, Slack, e-mail, JSON
// and a page alike: packages below it return data, and packages above it lay out what it
// returns.
//
// Text is plain: each medium escapes it in its own way. Commands are for a POSIX shell
// (IEEE Std 1003.1, XCU 2.2), and safe to copy whatever the values in them are.
package words
