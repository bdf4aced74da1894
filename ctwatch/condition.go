package ctwatch

// A Condition is something that holds now, and is told when it comes to be. Two are
// the same if kind, app, host and what are.
type Condition struct {
	Kind      EventType
	App, Host string
	What      string // what else tells it apart
	// Event makes the event that tells of it. The episode counts how often it came
	// to be.
	Event func(episode int64) Event
}
