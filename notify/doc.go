// Package notify delivers events from the outbox to senders: NATS, Slack, e-mail,
// webhooks, executables (hooks), chat services and standard output, each a package
// below this one.
//
// A Dispatcher runs one goroutine for each Sender. Each Sender has its own cursor in the
// Outbox and gets every event in the order in which it was written. An event that a
// service does not take now is retried forever, and those behind it wait: a service
// that was down for a week catches up, in order, and nothing is dropped. Only an event
// that a service can never take becomes a dead letter. No sender delays another, or the
// reading of logs. A Manager replaces senders while the Dispatcher runs.
//
// If more events come in a minute than people would read, senders that can (Batcher)
// get digests; each event is named, and none is dropped. Slack posts critical events as
// messages of their own, ahead of each digest. Filtered narrows what a sender gets.
//
// Programs get every event. People do not get routine events (IsRoutine), such as the
// renewal of an expected certificate, and get one message about an unexpected
// certificate; of those that nothing proves, beyond a few, they get a digest that the
// store writes (entry.unproven).
//
// Text that others chose is hostile. Each medium has one place that escapes it:
// slack/escape.go for Slack, email/message.go for HTML and mail headers, ctwatch/words
// for plain text, hook/hook.go for environments.
//
// Events are CloudEvents 1.0 in structured JSON
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md);
// their JSON Schemas are in ctwatch/schemas. Delivery is at least once: an event keeps
// its ID, so that receivers recognize a repeated one.
package notify
