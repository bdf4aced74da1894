package follow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/scan"
)

// A Reader fetches and scans ranges of one log, several spans at once. It writes nothing:
// all that it finds out is in the batches that it yields.
type Reader struct {
	Log     ctlog.Log
	Scanner *scan.Scanner
	Logger  *slog.Logger // required
	// Pace is the one that Log was opened with. It is told whether what the log
	// gives is of use; a log that gives nothing else for minutes is asked for one
	// span, once, by each Read. Optional.
	Pace *ctlog.LogPace

	// Parallel is how many requests run at once. The default is 16.
	Parallel int
	// Attempts is how often a span is asked for before Read gives up, with pauses
	// that grow from Pause. One span at a time is asked for again: while it fails,
	// there is no use in trying more. The defaults are 5 and 1 s.
	Attempts uint
	Pause    time.Duration

	// Lenient has entries read that say they have another index, and those before one
	// that cannot be told from the next, so that nothing that can be read is missed. It
	// is not to be changed during a Read. A Follower sets it while the log is accused of
	// serving such.
	Lenient bool

	// Hooks are told of what the Reader does, and a Follower that has it; optional.
	Hooks Hooks
}

// Read reads the entries [start, end) of a tree of the given size and yields them
// in batches as they arrive, which is not in order. Each entry is in exactly one
// batch. After an error, which comes last, the range has not been read in full,
// though what was yielded has been.
func (r *Reader) Read(ctx context.Context, start, end, size uint64) iter.Seq2[ctwatch.Batch, error] {
	return func(yield func(ctwatch.Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()

		spans := make(chan [2]uint64)
		batches := make(chan ctwatch.Batch)
		failed := make(chan struct{})
		var fail sync.Once
		var firstErr error

		parallel, attempts := r.parallel(), r.attempts()
		if r.Pace.Broken() {
			parallel, attempts = 1, 1
		}
		t := &trier{Reader: r, attempts: attempts, failed: failed, turn: make(chan struct{}, 1)}
		var workers sync.WaitGroup
		for range parallel {
			workers.Go(func() {
				for s := range spans {
					if err := t.span(ctx, s[0], s[1], size, batches); err != nil {
						fail.Do(func() { firstErr = err; close(failed) })
					}
				}
			})
		}
		go func() {
			// After a failure no further spans begin and none is asked for again,
			// but requests under way are finished: what they bring may be what
			// someone waits to hear of.
			defer func() { close(spans); workers.Wait(); close(batches) }()
			for at := start; at < end; {
				span := r.Log.Span()
				next := min(end, at+span-at%span)
				select {
				case spans <- [2]uint64{at, next}:
					at = next
				case <-failed:
					return
				case <-ctx.Done():
					return
				}
			}
		}()

		for b := range batches {
			if !yield(b, nil) {
				cancel()
				for range batches { // until the workers have ended
				}
				return
			}
		}
		if firstErr == nil {
			firstErr = ctx.Err()
		}
		if firstErr != nil {
			yield(ctwatch.Batch{}, firstErr)
		}
	}
}

func (r *Reader) parallel() int {
	if r.Parallel > 0 {
		return r.Parallel
	}
	return 16
}

func (r *Reader) attempts() uint {
	if r.Attempts > 0 {
		return r.Attempts
	}
	return 5
}

// A trier reads the spans of one Read.
type trier struct {
	*Reader
	attempts uint
	failed   <-chan struct{} // closed when the Read has failed
	turn     chan struct{}   // held by the span that is asked for again
	good     atomic.Int64    // batches
}

// span reads [start, end), in as many replies as the log needs for it.
func (t *trier) span(ctx context.Context, start, end, size uint64, out chan<- ctwatch.Batch) error {
	for start < end {
		b, err := t.attempt(ctx, start, end, size)
		// A reply that is wrong as a whole may be so for one of its entries.
		for upTo := end; err != nil && t.narrows(err) && upTo-start > 1; {
			upTo = start + (upTo-start)/2
			b, err = t.attempt(ctx, start, upTo, size)
		}
		if err != nil {
			return fmt.Errorf("entries [%d, %d): %w", start, end, err)
		}
		select {
		case out <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		start = b.End
	}
	return nil
}

// narrows reports whether asking for fewer entries is worth while after an error.
func (t *trier) narrows(err error) bool {
	return t.Lenient && isContent(err) && t.Log.Info().Kind == ctwatch.KindRFC6962
}

// attempt gets one batch from start on, trying as often as allowed.
func (t *trier) attempt(ctx context.Context, start, end, size uint64) (ctwatch.Batch, error) {
	b, err := t.once(ctx, start, end, size)
	if err == nil {
		t.good.Add(1)
		return b, nil
	}
	if t.Lenient && isContent(err) {
		return b, err // asking again is of no use
	}
	good := t.good.Load()
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-t.failed:
		return b, err
	case <-ctx.Done():
		return b, ctx.Err()
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = time.Second
	if t.Pause > 0 {
		pause.InitialInterval = t.Pause
	}
	for n := uint(1); n < t.attempts; n++ {
		wait := asked(err)
		if n > 1 || t.good.Load() == good { // nothing better has come meanwhile
			wait = max(wait, pause.NextBackOff())
		}
		t.Logger.Debug("will ask again", "log", t.Log.Info().Name, "start", start, "end", end, "in", wait, "error", err)
		if !sleep(ctx, wait) {
			return b, ctx.Err()
		}
		select {
		case <-t.failed:
			return b, err
		default:
		}
		if b, err = t.once(ctx, start, end, size); err == nil {
			t.good.Add(1)
			return b, nil
		}
		if t.Lenient && isContent(err) {
			break
		}
	}
	return b, err
}

// maxPause bounds how long a log can ask to be left alone: longer, and a mistake
// of its operator would blind us.
const maxPause = 10 * time.Minute

// asked returns how long the log asked to be left alone.
func asked(err error) time.Duration {
	var se *ctlog.StatusError
	if errors.As(err, &se) {
		return min(se.RetryAfter, maxPause)
	}
	return 0
}

func (r *Reader) once(ctx context.Context, start, end, size uint64) (ctwatch.Batch, error) {
	begun := time.Now()
	b, err := r.scan(ctx, start, end, size)
	if ctx.Err() == nil {
		r.Pace.Verdict(begun, err)
	}
	if err != nil {
		return ctwatch.Batch{}, err
	}
	for i := range b.Found {
		r.complete(ctx, &b.Found[i])
	}
	r.Hooks.batch(b)
	return b, nil
}

func (r *Reader) scan(ctx context.Context, start, end, size uint64) (ctwatch.Batch, error) {
	begun := time.Now()
	c, err := r.Log.Fetch(ctx, start, end, size)
	r.Hooks.took(StageFetch, begun)
	if err != nil {
		return ctwatch.Batch{}, err
	}
	c.Lenient = r.Lenient
	begun = time.Now()
	b, err := r.Scanner.Scan(c)
	r.Hooks.took(StageScan, begun)
	return b, err
}

// complete fetches the certificates above one that was found, where the log names them
// by fingerprint only, and proves by them who issued it: that takes the certificate of the
// issuer, and the one above it if the first is a precertificate signing certificate. The
// rest of the chain may show whose key the issuer's is. An alert does not wait for what
// the log fails to serve: the certificate is incomplete then.
func (r *Reader) complete(ctx context.Context, f *ctwatch.Found) {
	defer func() {
		f.Chain = slices.DeleteFunc(f.Chain, func(der []byte) bool { return len(der) > ctwatch.MaxChainCertificate })
	}()
	issuer := &f.Certificate.Issuer
	for i, fingerprint := range f.ChainFingerprints {
		if i == 2 && !issuer.Proven {
			return // no more certificates help
		}
		der, err := r.Log.Issuer(ctx, fingerprint)
		if err != nil {
			f.Incomplete = true
			if !issuer.Proven {
				f.Certificate.Problems = append(f.Certificate.Problems, ctwatch.ProblemNoIssuer)
			}
			r.Logger.Warn("the chain of a certificate could not be fetched whole; will try again",
				"log", r.Log.Info().Name, "certificate", f.Certificate.ID, "issuer_proven", issuer.Proven, "error", err)
			return
		}
		f.Chain = append(f.Chain, der)
		if !issuer.Proven {
			scan.ProveIssuer(f, f.Chain)
		}
	}
}
