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
	// firstRate is where an operator's rate starts, and floorRate the least that it
	// falls to; the latter is also what a log is asked once it has given nothing but
	// errors for brokenAfter.
	firstRate   = 10
	floorRate   = 0.1
	brokenAfter = 2 * time.Minute

	// floorLogRate is the least that a log's rate falls to while it still gives
	// something of use, and troubleRate the most while it does not.
	floorLogRate = 2.0
	troubleRate  = 2.0
	// goodInRow is how many good replies in a row end the troubles, at the latest.
	goodInRow = 16

	// additive is by how much a rate in full use grows in a second. At low rates,
	// where one reply says little, no reply adds more than a part of the rate; but
	// see grow.
	additive   = 0.5
	mostGrowth = 0.05
	// decrease is what is left of a rate after a refusal or an error, and
	// slowDecrease what is left of it after a reply that was clearly slower than
	// those before.
	decrease     = 0.5
	slowDecrease = 0.8

	// maxRetryAfter bounds how long a log can ask to be left alone: longer, and a
	// mistake of its operator would blind us.
	maxRetryAfter = 10 * time.Minute
)

// A Pace is how fast the logs of one operator may be asked. They share it, as they
// share machines and count their callers' requests together: it grows by addition
// while they answer and shrinks by multiplication when one of them says that it is
// too much, with status 429 or 503. A Retry-After that comes with either silences
// all requests to the operator for that long, at most for ten minutes.
//
// Each log is asked through a LogPace, in turn: however much there is to read in
// one of them, another waits for no more than one request of it.
type Pace struct {
	turn chan struct{} // held by who is next
	mu   sync.Mutex
	bucket
}

// NewPace returns the pace of an operator whose logs are asked at most max times a
// second, all together; at least once in ten seconds. It starts at 10 requests a
// second and doubles every second in which all that it allows is used, until the
// operator says for the first time that it is too much.
func NewPace(max float64) *Pace {
	max = math.Max(max, floorRate)
	return &Pace{turn: make(chan struct{}, 1), bucket: bucket{most: max, least: floorRate, rate: math.Min(firstRate, max)}}
}

// Log returns the pace of one more log of the operator.
func (p *Pace) Log() *LogPace {
	return &LogPace{
		operator: p, turn: make(chan struct{}, 1),
		bucket: bucket{most: p.most, least: math.Min(floorLogRate, p.most), rate: p.most},
	}
}

// Rate returns the rate in force, in requests per second.
func (p *Pace) Rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate
}

// A LogPace is how fast one log may be asked: within the pace of its operator, and
// slower where that log alone is in trouble. Its rate shrinks with every server
// error, time-out and unusable reply, and when replies become clearly slower, and
// grows as its operator's does. Beyond that,
//
//   - it is at most 2 requests a second from an unusable reply on until a good one,
//     and while the log cannot be followed (Trouble), until 16 good ones in a row;
//   - it is one request in ten seconds when two minutes have passed with nothing of
//     use. What such a log says of its load concerns it alone, so that a dead
//     shard slows its siblings down no longer.
//
// The nil LogPace knows no limits.
type LogPace struct {
	operator *Pace
	turn     chan struct{}

	mu sync.Mutex
	bucket
	useless time.Time // since when nothing of use has come; zero when the last was
	trouble bool
	good    int     // good replies in a row
	latency float64 // of replies with entries: their moving average in seconds
	timed   int     // how many of them there were
}

// Wait returns when the next request may be made. Its error is that of ctx.
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

// inTurn waits for the turn, then for as long as take says, asking it again
// afterwards, and calls next, if there is one, before it gives the turn away.
// Turns are given in the order in which they were asked for.
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

// Done tells what became of a request that began at a time: err is nil or what it
// failed with, a *StatusError where the log answered. Entries says that entries
// were asked for, whose time is worth comparing. A request that its caller gave up
// says nothing about the log, and is not told.
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
		// The operator's pace deals with it, below.
	case refused && se.Code < 500 && se.Code != http.StatusTooManyRequests:
		l.pause(now, pause) // an answer, which says nothing about the log's load
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

// Verdict tells whether what the log gave from a time on was of use: nil, or why
// it was not. That is more than a status of 200, and only who reads it can tell.
func (l *LogPace) Verdict(begun time.Time, err error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.useless = time.Time{}
		if l.good++; l.good >= goodInRow {
			l.trouble = false
		}
		return
	}
	now := time.Now()
	l.good = 0
	l.startUseless(now)
	var se *StatusError
	if errors.As(err, &se) && (se.Code == http.StatusTooManyRequests || se.Code == http.StatusServiceUnavailable) {
		return // Done has dealt with it
	}
	l.shrink(begun, now, decrease)
}

// Trouble says whether the log cannot be followed at present, for whatever reason.
// That it can is good news of everything before.
func (l *LogPace) Trouble(on bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble, l.good = on, 0
	if on {
		l.startUseless(time.Now())
	} else {
		l.useless = time.Time{}
	}
}

// Broken reports whether nothing of use has come for minutes.
func (l *LogPace) Broken() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken(time.Now())
}

// Rate returns the rate in force for the log, in requests per second.
func (l *LogPace) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return math.Min(l.limit(time.Now()), l.operator.Rate())
}

func (l *LogPace) startUseless(now time.Time) {
	if l.useless.IsZero() {
		l.useless = now
	}
}

func (l *LogPace) broken(now time.Time) bool {
	return !l.useless.IsZero() && now.Sub(l.useless) >= brokenAfter
}

// limit is the rate under the state that the log is in.
func (l *LogPace) limit(now time.Time) float64 {
	switch {
	case l.broken(now):
		return floorRate
	case l.trouble || !l.useless.IsZero():
		return math.Min(l.rate, troubleRate)
	}
	return l.rate
}

// slow reports whether a reply took clearly longer than those before: four times
// as long, and a second more. A log that is always slow is none the worse for it,
// it is only waited for.
func (l *LogPace) slow(took time.Duration) bool {
	const enough, memory = 8, 16
	s := took.Seconds()
	slow := l.timed >= enough && s > 4*l.latency+1
	l.timed = min(l.timed+1, memory)
	l.latency += (s - l.latency) / float64(l.timed)
	return slow
}

// A bucket holds what may be asked at once: one token is one request, and a second
// fills it.
type bucket struct {
	rate        float64 // tokens per second
	least, most float64

	tokens float64
	at     time.Time // of which tokens tells
	until  time.Time // nothing may be asked before

	cut     time.Time // when the rate was last made smaller
	cutFrom float64   // what it was before that, and before all that came in a row
	inRow   bool      // nothing good has come since the last cut
}

// take takes a token and returns 0, or returns how long to wait before asking
// again. Tokens come in at the rate limit.
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
		return 0
	}
	return time.Duration(math.Ceil((1 - b.tokens) / limit * float64(time.Second)))
}

// grow makes the rate larger after a good reply: by one as long as it was never
// cut, which doubles it in a second of full use. Below half of what it was before
// it was cut several times in a row it doubles: a log that refused everything for a
// while has not told by how much it was too much.
func (b *bucket) grow() {
	b.inRow = false
	if b.cut.IsZero() {
		b.rate = math.Min(b.most, b.rate+1)
		return
	}
	if fast := math.Min(2*b.rate, decrease*b.cutFrom); fast > b.rate {
		b.rate = fast
		return
	}
	b.rate = math.Min(b.most, b.rate+math.Min(additive/b.rate, mostGrowth*b.rate))
}

// shrink makes the rate smaller by a factor, on the word of a request begun at a
// time: once for all that were under way, which speak of the rate as it was before.
func (b *bucket) shrink(begun, now time.Time, factor float64) {
	if begun.Before(b.cut) {
		return
	}
	if !b.inRow {
		b.cutFrom, b.inRow = b.rate, true
	}
	b.rate = math.Max(b.least, b.rate*factor)
	b.tokens, b.at, b.cut = 0, now, now
}

// pause lets nothing be asked for a time.
func (b *bucket) pause(now time.Time, d time.Duration) {
	if until := now.Add(d); d > 0 && until.After(b.until) {
		b.until = until
	}
}
