package follow

import (
	"context"
	"sync"

	"ctwatch/ctwatch"
)

// A LogSet is the set of logs that are followed, which changes with the log list. It
// also chooses where reading begins in each. Make it with NewLogSet. Its methods may be
// called concurrently.
type LogSet struct {
	start    ctwatch.Start
	stored   map[ctwatch.LogID]bool // followed by an earlier run
	firstRun bool                   // no run has verified anything yet
	changes  chan []ctwatch.Log

	mu      sync.Mutex
	listed  bool                   // the log list has been loaded once
	initial map[ctwatch.LogID]bool // the logs until then, and those of that list
	current map[ctwatch.LogID]bool // nil before the first Replace
}

// NewLogSet returns an empty set. stored are the logs that earlier runs followed, and
// start is where reading begins in the others.
func NewLogSet(start ctwatch.Start, stored []ctwatch.LogStatus) *LogSet {
	s := &LogSet{
		start: start, stored: make(map[ctwatch.LogID]bool), firstRun: true,
		changes: make(chan []ctwatch.Log), initial: make(map[ctwatch.LogID]bool),
	}
	for _, l := range stored {
		s.stored[l.ID] = true
		s.firstRun = s.firstRun && l.LastVerifiedAt == nil
	}
	return s
}

// Replace changes the set, and returns when it was received from Changes or ctx has
// ended. listed says that the logs include those of the log list: logs that appear in
// later sets have joined the list since.
func (s *LogSet) Replace(ctx context.Context, logs []ctwatch.Log, listed bool) {
	current := make(map[ctwatch.LogID]bool)
	s.mu.Lock()
	for _, l := range logs {
		current[l.ID] = true
		if !s.listed {
			s.initial[l.ID] = true
		}
	}
	s.current = current
	s.listed = s.listed || listed
	s.mu.Unlock()
	select {
	case s.changes <- logs:
	case <-ctx.Done():
	}
}

// Changes returns the channel of sets that Group.Run receives from.
func (s *LogSet) Changes() <-chan []ctwatch.Log { return s.changes }

// Has reports whether a log is in the set.
func (s *LogSet) Has(id ctwatch.LogID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[id]
}

// maxFromBeginning is the most entries that are read of a log that has joined the list:
// some hours of work.
const maxFromBeginning = 1 << 24

// Start returns where reading begins in a log of the set, and the most entries to read
// from the beginning; 0 is no limit.
//
// The configured start is that of the first run. A log that joins the list later is
// read from its beginning, so that no certificate is missed.
func (s *LogSet) Start(id ctwatch.LogID) (start ctwatch.Start, limit uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start.Beginning || s.stored[id] || s.firstRun && s.initial[id] {
		return s.start, 0
	}
	return ctwatch.Start{Beginning: true}, maxFromBeginning
}
