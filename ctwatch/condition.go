package ctwatch

import "strings"

// A Condition is something that holds now, and is reported once when it begins. Two are the
// same if their keys are equal.
type Condition struct {
	Kind      EventType
	App, Host string
	What      string // what else distinguishes it
	// Event returns the event that reports it. The episode counts how often it has begun.
	Event func(episode int64) Event
}

// A ConditionKey identifies a Condition.
type ConditionKey struct {
	Kind            EventType
	App, Host, What string
}

// Key returns the condition's key.
func (c *Condition) Key() ConditionKey {
	text := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") } // as the database stores it
	return ConditionKey{c.Kind, text(c.App), text(c.Host), text(c.What)}
}

// CompareConditions returns which conditions hold that were not active, each once and in
// the order given, and which were active and no longer hold.
func CompareConditions(active []ConditionKey, holding []Condition) (begun []Condition, ended []ConditionKey) {
	known := make(map[ConditionKey]bool, len(active))
	for _, k := range active {
		known[k] = true
	}
	holds := make(map[ConditionKey]bool, len(holding))
	for _, c := range holding {
		k := c.Key()
		if !holds[k] && !known[k] {
			begun = append(begun, c)
		}
		holds[k] = true
	}
	for _, k := range active {
		if !holds[k] {
			ended = append(ended, k)
		}
	}
	return begun, ended
}
