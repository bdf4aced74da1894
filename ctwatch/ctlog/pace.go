package ctlog

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"time"
)

// The numbers of a Pace and a LogPace. Rates are requests per second.
const (
	// firstRate is where an operator's rate starts, and minRate the least that it falls to.
	// minRate is also the rate of a log that has given nothing but errors for brokenAfter.
	firstRate   = 10
	minRate     = 0.1
	brokenAfter = 2 * time.Minute

	// minLogRate is the least that a log's rate falls to while it gives useful replies, and
	// troubleRate the most while it does not.
	minLogRate  = 2.0
	troubleRate = 2.0
	// goodReplies is how many good replies in a row end the trouble, at the latest.
	goodReplies = 16

	// growth is by how much a rate in full use grows in a second. At low rates one reply
	// proves little, so none adds more than a part of the rate; but see grow.
	growth    = 0.5
	maxGrowth = 0.05
	// decrease is the factor for a rate after a refusal or an error, and slowDecrease after
	// a reply that was clearly slower than those before.
	decrease     = 0.5
	slowDecrease = 0.8

	// maxRetryAfter bounds Retry-After: an operator's mistake must not stop the watch for
	// longer.
	maxRetryAfter = 10 * time.Minute
)

// A Pace limits the requests to the logs of one operator. These share it, as they share
// machines and limits for clients. Its rate grows by addition while they answer, and shrinks
// by multiplication when one of them refuses a request with status 429 or 503. Retry-After
// with either stops all requests to the operator for that long, at most for ten minutes.
//
// Each log has a LogPace, and they take turns: however much there is to read in one log,
// another waits for one of its requests at most.
type Pace struct {
	turn chan struct{} // held by who is next
	mu   sync.Mutex
	bucket
}

// NewPace returns the pace of an operator whose logs together get at most max requests a
// second, and at least one in ten seconds. It starts at 10 requests a second and doubles
// every second while it is used in full, until the operator first refuses a request.
func NewPace(max float64) *Pace { return NewPaceFrom(firstRate, max) }

// NewPaceFrom is NewPace that starts at another rate than 10 requests a second.
func NewPaceFrom(first, max float64) *Pace {
	max = math.Max(max, minRate)
	return &Pace{turn: make(chan struct{}, 1), bucket: bucket{most: max, least: minRate, rate: math.Min(first, max)}}
}

// Log returns the pace of one more log of the operator.
func (p *Pace) Log() *LogPace {
	return &LogPace{
		operator: p, turn: make(chan struct{}, 1),
		bucket: bucket{most: p.most, least: math.Min(minLogRate, p.most), rate: p.most},
	}
}

// Rate returns the current rate, in requests per second.
func (p *Pace) Rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate
}

// A LogPace limits the requests to one log: to the pace of its operator, and to less while
// that log alone is in trouble. Its rate shrinks with every server error, time-out and
// useless reply, and when replies become clearly slower. It grows like its operator's. Also,
//
//   - it is at most 2 requests a second after a useless reply, until a good one; and
//     while the log cannot be followed (Trouble), until 16 good ones in a row;
//   - it is one request in ten seconds after two minutes without a useful reply. The
//     refusals of such a log do not count for its operator, so that a dead shard does not
//     slow the others down.
//
// The nil LogPace has no limits.
type LogPace struct {
	operator *Pace
	turn     chan struct{}

	mu sync.Mutex
	bucket
	uselessSince time.Time // since when no reply was useful; zero if the last one was
	trouble      bool
	good         int     // good replies in a row
	latency      float64 // of replies with entries: moving average in seconds
	timed        int     // how many of them, up to a limit
}

// Wait waits until the next request may be made. Its error is that of ctx.
func (l *LogPace) Wait(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return inTurn(ctx, l.turn, func() time.Duration {
		l.mu.Lock()
		defer l.mu.Unlock()
		now := time.Now()
		return l.take(now, l.limit(now))
	}, func() error {
		return inTurn(ctx, l.operator.turn, func() time.Duration {
			l.operator.mu.Lock()
			defer l.operator.mu.Unlock()
			return l.operator.take(time.Now(), l.operator.rate)
		}, nil)
	})
}

// inTurn waits for the turn, then for as long as take returns, until take returns 0. It calls
// next, if not nil, before it releases the turn. Turns are first come, first served.
func inTurn(ctx context.Context, turn chan struct{}, take func() time.Duration, next func() error) error {
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for ctx.Err() == nil {
		d := take()
		if d <= 0 {
			if next == nil {
				return nil
			}
			return next()
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	return ctx.Err()
}

// Done reports the outcome of a request that began at a time: err is nil or its error, a
// *StatusError if the log answered. entries means that entries were requested, so that the
// time can be compared. Canceled requests must not be reported.
func (l *LogPace) Done(begun time.Time, entries bool, err error) {
	if l == nil {
		return
	}
	now := time.Now()
	var se *StatusError
	refused := errors.As(err, &se)
	pause := time.Duration(0)
	if refused {
		pause = min(se.RetryAfter, maxRetryAfter)
	}

	l.mu.Lock()
	alone := l.broken(now)
	overload := refused && (se.Code == http.StatusTooManyRequests || se.Code == http.StatusServiceUnavailable)
	switch {
	case err == nil:
		if entries && l.slow(now.Sub(begun)) {
			l.shrink(begun, now, slowDecrease)
		} else {
			l.grow()
		}
	case overload && !alone:
		// Counts for the operator's pace, below.
	case refused && se.Code < 500 && se.Code != http.StatusTooManyRequests:
		l.pause(now, pause) // an answer, which is no sign of load
	default:
		l.shrink(begun, now, decrease)
		l.pause(now, pause)
	}
	l.mu.Unlock()

	l.operator.mu.Lock()
	defer l.operator.mu.Unlock()
	switch {
	case err == nil:
		l.operator.grow()
	case overload && !alone:
		l.operator.shrink(begun, now, decrease)
		l.operator.pause(now, pause)
	}
}

// Verdict reports whether a reply since a time was useful: nil, or why it was not. Only the
// reader knows: status 200 is not enough.
func (l *LogPace) Verdict(begun time.Time, err error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.uselessSince = time.Time{}
		if l.good++; l.good >= goodReplies {
			l.trouble = false
		}
		return
	}
	now := time.Now()
	l.good = 0
	l.noteUseless(now)
	var se *StatusError
	if errors.As(err, &se) && (se.Code == http.StatusTooManyRequests || se.Code == http.StatusServiceUnavailable) {
		return // Done has counted it
	}
	l.shrink(begun, now, decrease)
}

// Trouble sets whether the log cannot be followed, for whatever reason.
func (l *LogPace) Trouble(on bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble, l.good = on, 0
	if on {
		l.noteUseless(time.Now())
	} else {
		l.uselessSince = time.Time{}
	}
}

// Broken reports whether no reply has been useful for minutes.
func (l *LogPace) Broken() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken(time.Now())
}

// Rate returns the current rate of the log, in requests per second.
func (l *LogPace) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return math.Min(l.limit(time.Now()), l.operator.Rate())
}

// A PaceLimit is how a pace limited the reading of a log.
type PaceLimit int

const (
	NotLimited PaceLimit = iota
	// LimitedByMax means that the logs of the operator got nearly all the requests that
	// NewPace allows: a higher maximum would make reading faster.
	LimitedByMax
	// LimitedByLog means that the rate is lower because the log refused requests, failed or
	// slowed down.
	LimitedByLog
)

// Observe returns a function that reports how the pace has limited reading since. It needs
// some seconds to be right.
func (l *LogPace) Observe() func() PaceLimit {
	if l == nil {
		return func() PaceLimit { return NotLimited }
	}
	const nearlyAll = 0.9
	begun := time.Now()
	l.operator.mu.Lock()
	before := l.operator.taken
	l.operator.mu.Unlock()
	return func() PaceLimit {
		rate := l.Rate()
		l.mu.Lock()
		cut := l.cut
		l.mu.Unlock()
		o := l.operator
		o.mu.Lock()
		defer o.mu.Unlock()
		switch {
		case float64(o.taken-before) >= nearlyAll*o.most*time.Since(begun).Seconds():
			return LimitedByMax
		case rate < o.most && (begun.Before(cut) || begun.Before(o.cut)):
			return LimitedByLog
		}
		return NotLimited
	}
}

// Max returns the highest rate, in requests per second, to all logs of the operator together.
func (l *LogPace) Max() float64 { return l.operator.most }

func (l *LogPace) noteUseless(now time.Time) {
	if l.uselessSince.IsZero() {
		l.uselessSince = now
	}
}

func (l *LogPace) broken(now time.Time) bool {
	return !l.uselessSince.IsZero() && now.Sub(l.uselessSince) >= brokenAfter
}

// limit returns the rate in the current state of the log.
func (l *LogPace) limit(now time.Time) float64 {
	switch {
	case l.broken(now):
		return minRate
	case l.trouble || !l.uselessSince.IsZero():
		return math.Min(l.rate, troubleRate)
	}
	return l.rate
}

// slow reports whether a reply took clearly longer than those before: four times as long,
// plus a second. A log that is always slow is not slowed down further.
func (l *LogPace) slow(took time.Duration) bool {
	const enough, memory = 8, 16
	s := took.Seconds()
	slow := l.timed >= enough && s > 4*l.latency+1
	l.timed = min(l.timed+1, memory)
	l.latency += (s - l.latency) / float64(l.timed)
	return slow
}

// A bucket is a token bucket: a token is one request, and it fills within a second.
type bucket struct {
	rate        float64 // tokens per second
	least, most float64

	tokens float64
	at     time.Time // when tokens was right
	taken  uint64    // tokens so far
	until  time.Time // no request before

	cut      time.Time // when the rate shrank last
	cutFrom  float64   // the rate before all cuts in a row
	afterCut bool      // no good reply since the last cut
}

// take takes a token and returns 0, or returns how long to wait before the next call. limit
// is how many tokens arrive per second.
func (b *bucket) take(now time.Time, limit float64) time.Duration {
	if now.Before(b.until) {
		return b.until.Sub(now)
	}
	full := math.Max(1, limit)
	if b.at.IsZero() {
		b.tokens = full
	} else {
		b.tokens = math.Min(full, b.tokens+now.Sub(b.at).Seconds()*limit)
	}
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
		b.taken++
		return 0
	}
	return time.Duration(math.Ceil((1 - b.tokens) / limit * float64(time.Second)))
}

// grow increases the rate after a good reply: by one if it was never cut, which doubles it
// in a second of full use. Below half of the rate before several cuts in a row it doubles:
// those cuts do not show by how much the rate was too high.
func (b *bucket) grow() {
	b.afterCut = false
	if b.cut.IsZero() {
		b.rate = math.Min(b.most, b.rate+1)
		return
	}
	if fast := math.Min(2*b.rate, decrease*b.cutFrom); fast > b.rate {
		b.rate = fast
		return
	}
	b.rate = math.Min(b.most, b.rate+math.Min(growth/b.rate, maxGrowth*b.rate))
}

// shrink decreases the rate by a factor because of a request that began at a time: once for
// all that were under way, which were made at the rate before.
func (b *bucket) shrink(begun, now time.Time, factor float64) {
	if begun.Before(b.cut) {
		return
	}
	if !b.afterCut {
		b.cutFrom, b.afterCut = b.rate, true
	}
	b.rate = math.Max(b.least, b.rate*factor)
	b.tokens, b.at, b.cut = 0, now, now
}

// pause stops all requests for a time.
func (b *bucket) pause(now time.Time, d time.Duration) {
	if until := now.Add(d); d > 0 && until.After(b.until) {
		b.until = until
	}
}
