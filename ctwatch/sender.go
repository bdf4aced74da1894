package ctwatch

import "time"

// A SenderStatus is the state of delivery to one sender. Its JSON is what "ctwatch notify
// status" prints.
type SenderStatus struct {
	Name          string     `json:"sender"`
	RegisteredAt  time.Time  `json:"-"`
	Configured    bool       `json:"configured"`     // false: it was once
	Backlog       int64      `json:"backlog"`        // events that wait, also those that are resent
	OldestPending *time.Time `json:"oldest_pending"` // when the first of them was written, or resent; nil: none waits
	LastSuccess   *time.Time `json:"last_success"`   // nil before the first
	LastError     string     `json:"last_error"`     // "" when the last try succeeded
	Attempts      int64      `json:"attempts"`       // failures since the last success, each reason once
	DeadLetters   int64      `json:"dead_letters"`   // events that it can never take

	Warnings []SenderWarning `json:"warnings"` // what is wrong with its service though it takes events
}

// A SenderWarning is something that is wrong with a sender's service though it takes events.
type SenderWarning struct {
	Code  string    `json:"code"` // the sender's own
	Text  string    `json:"text"` // the newest
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"` // of the newest
	Times int64     `json:"times"`
}
