package follow

import (
	"time"

	"ctwatch/ctwatch"
)

// A Stage is a part of the work whose duration Hooks measure.
type Stage string

// The stages through which entries pass, in their order.
const (
	StageFetch  Stage = "fetch"  // one request for entries, with the wait for its reply
	StageScan   Stage = "scan"   // leaf hashes and matches of one reply
	StageRecord Stage = "record" // one transaction of the Recorder
	StageVerify Stage = "verify" // the proof that one stride is a part of the log's tree
)

// Stages returns all stages.
func Stages() []Stage { return []Stage{StageFetch, StageScan, StageRecord, StageVerify} }

// Hooks observe the work, for metrics. They are called once for a batch, a stage or a step,
// never for each entry; from several goroutines; and the work waits while they run. Each
// is optional.
type Hooks struct {
	// Batch is called with each batch that was fetched and scanned.
	Batch func(ctwatch.Batch)
	// Took is called with how long a stage took, whether or not it succeeded.
	Took func(Stage, time.Duration)
	// Refused is called with each tree head that was refused for its date.
	Refused func(ctwatch.Head)
	// Failed is called with the error of each step that failed, after all attempts.
	Failed func(error)
	// Retry is called before a request for entries is made for the third time or later,
	// with the first of the entries, how long it waits, and what went wrong.
	Retry func(start uint64, wait time.Duration, err error)
}

func (h *Hooks) batch(b ctwatch.Batch) {
	if h.Batch != nil {
		h.Batch(b)
	}
}

func (h *Hooks) took(s Stage, begun time.Time) {
	if h.Took != nil {
		h.Took(s, time.Since(begun))
	}
}

func (h *Hooks) refused(head ctwatch.Head) {
	if h.Refused != nil {
		h.Refused(head)
	}
}

func (h *Hooks) failed(err error) {
	if h.Failed != nil {
		h.Failed(err)
	}
}

func (h *Hooks) retry(start uint64, wait time.Duration, err error) {
	if h.Retry != nil {
		h.Retry(start, wait, err)
	}
}
