// Package notify empties the outbox: it takes the events that the store has
// written and tells them to NATS, Slack, mail, webhooks, executables (hooks), other
// services, and standard output.
//
// A Dispatcher runs one goroutine for each Sender. Each has a cursor of its own in
// the Outbox and gets every event in the order in which it was written. An event
// that a service does not take now is tried again for ever, and those behind it
// wait: a service that was down for a week catches up, in order, and nothing is
// dropped. Only an event that a service will never take is set aside as a dead
// letter. No sender can delay another, or the reading of logs.
//
// More events in a minute than people would read come as digests to those senders
// that can tell them so (Batcher); each event is named, and none is dropped. Slack
// gives critical events messages of their own all the same, ahead of each digest.
// Filtered narrows what a sender is told.
//
// Programs are told everything. People are not told what is routine, such as that a
// certificate was renewed as expected (quiet.go), and hear of one that should not
// exist by one message; of those that nothing proves, beyond a few, by a digest that
// the store writes (entry.unproven).
//
// Text that others chose is hostile. Each medium has one place that escapes it:
// slack_escape.go for Slack, email_message.go for HTML and the headers of mail,
// text.go for plain text, hook.go for environments. Notice has the words that all of
// them but Slack share.
//
// Events are CloudEvents 1.0 in structured JSON
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md);
// their JSON Schemas are in ctwatch/schemas. Delivery is at least once: an event
// keeps its ID, by which a receiver knows it again.
package notify
