package loglist

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// A Config says where a log list comes from.
type Config struct {
	// Location is an http or https URL, or the path of a file. The signature is
	// beside it: log_list.sig for log_list.json.
	Location string
	// Key is what the list must be signed with, RSA or ECDSA; nil for an unsigned
	// list.
	Key crypto.PublicKey
	// CacheDir is an existing folder in which the last good list is kept for a
	// start without network. Optional: without it nothing is kept.
	CacheDir string
	// Snapshot is a list to begin with when there is nothing better, trusted as it
	// is. Optional; set it only where it stands for the list at Location, since what is
	// older, or lacks its logs, is refused.
	Snapshot []byte
	// Refresh is how often the list is read again. Optional: default an hour.
	Refresh time.Duration
	// Timeout bounds one reading of list and signature. Optional: default 30 s.
	Timeout time.Duration

	// OnAlarms is called after each reading with all that is wrong by then, which may be
	// nothing, and with the date of the list in use, zero when there is none. Optional.
	OnAlarms func(alarms []Alarm, published time.Time)

	Client    *http.Client     // optional: default http.DefaultClient
	UserAgent string           // optional: default Go's
	Logger    *slog.Logger     // optional: default silence
	Now       func() time.Time // optional: default time.Now
}

// An Origin says where a list was found.
type Origin string

// The origins of a list, the best first.
const (
	OriginFetched  Origin = "fetched" // from Location, just now
	OriginCache    Origin = "cache"
	OriginSnapshot Origin = "snapshot"
)

// ErrRollback is what errors wrap when a list is older than the one in use: the
// signature of an old list is good for ever, so its date must be looked at too.
var ErrRollback = errors.New("the log list is older than the one in use")

// A Source keeps a log list fresh. Whatever happens to Location, it goes on with
// the last good list, and says so in its log. Call Load, then Run; not both at
// once.
type Source struct {
	config   Config
	fetcher  fetcher
	current  *copyOf // the list in use; nil before there is any
	failures int     // since the last reading that succeeded

	failingSince time.Time // of failures, when the first was
	alarms       []Alarm   // that were reported last
}

// A copyOf is a list with the bytes it was read from.
type copyOf struct {
	published
	list   *List
	origin Origin
}

// NewSource checks the configuration. Nothing is read before Load.
func NewSource(c Config) (*Source, error) {
	if c.Refresh <= 0 {
		c.Refresh = time.Hour
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	f, err := newFetcher(c)
	if err != nil {
		return nil, err
	}
	return &Source{config: c, fetcher: f}, nil
}

// Load reads the list from Location, or else from the cache, or else takes the
// snapshot; the origin says which. The error says that there is none of them: Run
// goes on trying.
func (s *Source) Load(ctx context.Context) (*List, Origin, error) {
	// Each list is judged by the one before: the snapshot, the cache, what is published.
	// The cache counts even when Location answers: its ETag saves the transfer.
	snapshotErr := s.useSnapshot()
	if err := s.useCache(); err != nil {
		s.config.Logger.Warn("The cached log list cannot be used", "error", err)
		if errors.As(err, new(*compromisedError)) {
			s.report(err, nil)
		}
	}
	_, fetchErr := s.refresh(ctx)
	if s.current == nil {
		return nil, "", fmt.Errorf("there is no log list: %w; %w", fetchErr, snapshotErr)
	}
	c := s.current
	attrs := []any{
		"location", s.fetcher.name(), "origin", string(c.origin), "version", c.list.Version,
		"published", c.list.Timestamp, "logs", len(c.list.Logs),
	}
	if fetchErr != nil {
		s.config.Logger.Warn("The log list "+failed(fetchErr)+"; going on with an earlier one",
			append(attrs, "age", s.age(c.list), "error", fetchErr)...)
	} else {
		s.config.Logger.Info("Log list read", attrs...)
	}
	return c.list, c.origin, nil
}

// Run reads the list again every Refresh, and more often while that fails, and
// calls onChange, in its own goroutine, with each list whose logs differ from those
// of the list before. It returns when ctx ends.
func (s *Source) Run(ctx context.Context, onChange func(*List)) {
	for {
		timer := time.NewTimer(s.pause(rand.Float64()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		failed := s.failures > 0
		changed, err := s.refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.warnKept(err)
		case changed:
			s.config.Logger.Info("Log list changed", "version", s.current.list.Version,
				"published", s.current.list.Timestamp, "logs", len(s.current.list.Logs))
			onChange(s.current.list)
		case failed:
			s.config.Logger.Info("Log list can be read again", "location", s.fetcher.name())
		}
	}
}

// The fastest that a list is asked for while it fails, unless Refresh is faster.
const minBackoff = time.Minute

// pause is how long to wait before the next reading: Refresh give or take a tenth,
// so that many daemons do not ask at once; after a failure less, doubling each
// time up to Refresh. random is in [0, 1).
func (s *Source) pause(random float64) time.Duration {
	d := s.config.Refresh
	if s.failures == 0 {
		return time.Duration(float64(d) * (0.9 + 0.2*random))
	}
	if backoff := minBackoff << min(s.failures-1, 20); backoff < d {
		d = backoff
	}
	return time.Duration(float64(d) * (1 + 0.1*random))
}

// refresh reads the list from Location, takes it into use when it is good, and
// reports whether its logs differ from those in use before.
func (s *Source) refresh(ctx context.Context) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	changed, err = s.read(ctx)
	switch {
	case err == nil:
		s.failures = 0
	case s.failures == 0:
		s.failures, s.failingSince = 1, s.config.Now()
	default:
		s.failures++
	}
	s.report(err, s.standing())
	return changed, err
}

func (s *Source) read(ctx context.Context) (changed bool, err error) {
	var have published
	if s.current != nil && s.current.origin != OriginSnapshot {
		have = s.current.published
	}
	got, err := s.fetcher.fetch(ctx, have)
	if errors.Is(err, errNotModified) {
		s.current.origin = OriginFetched
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := s.verify(got); err != nil {
		// While a new list is being published, the list and its signature may come
		// from before and after. Ask once more, for both.
		s.config.Logger.Debug("Reading the log list once more", "error", err)
		if got, err = s.fetcher.fetch(ctx, published{}); err != nil {
			return false, err
		}
		if err = s.verify(got); err != nil {
			return false, err
		}
	}
	next, problems, err := s.parse(got, OriginFetched)
	if err != nil {
		return false, err
	}
	if err := s.admit(next.list); err != nil {
		return false, err
	}

	previous := s.current
	s.current = next
	if previous == nil || string(previous.data) != string(got.data) {
		s.tell(problems)
	}
	if previous == nil || !previous.same(got) {
		if err := s.writeCache(got); err != nil {
			s.config.Logger.Warn("The log list could not be cached", "error", err)
		}
	}
	return previous == nil || !reflect.DeepEqual(previous.list.Logs, next.list.Logs), nil
}

func (s *Source) verify(p published) error {
	if s.config.Key == nil {
		return nil
	}
	if err := Verify(p.data, p.sig, s.config.Key); err != nil {
		return fmt.Errorf("%s: %w", s.fetcher.name(), err)
	}
	return nil
}

// parse reads a list that may be used: one without any log would end all watching.
func (s *Source) parse(p published, origin Origin) (*copyOf, []Problem, error) {
	list, problems, err := Parse(p.data)
	if bad, ok := errors.AsType[*compromisedError](err); ok {
		return nil, nil, s.refuse(CompromisedLogs, strings.Join(bad.ids, " "), err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.fetcher.name(), err)
	}
	if len(list.Logs) == 0 {
		if len(problems) > 0 {
			return nil, nil, fmt.Errorf("%s: none of its logs can be used; %s", s.fetcher.name(), problems[0])
		}
		return nil, nil, fmt.Errorf("%s: the log list has no logs", s.fetcher.name())
	}
	return &copyOf{p, list, origin}, problems, nil
}

func (s *Source) useSnapshot() error {
	if len(s.config.Snapshot) == 0 {
		return errors.New("and no snapshot stands for it")
	}
	c, problems, err := s.parse(published{data: s.config.Snapshot}, OriginSnapshot)
	if err != nil {
		return fmt.Errorf("reading the snapshot: %w", err)
	}
	s.current = c
	s.tell(problems)
	return nil
}

// mostTold bounds how many problems of one list are logged one by one.
const mostTold = 20

func (s *Source) tell(problems []Problem) {
	for _, p := range problems[:min(len(problems), mostTold)] {
		s.config.Logger.Warn("Problem in the log list", "log", p.Log, "reason", p.Reason)
	}
	if more := len(problems) - mostTold; more > 0 {
		s.config.Logger.Warn("More problems in the log list", "count", more)
	}
}

// failed says what became of a list that is not taken into use.
func failed(err error) string {
	if errors.As(err, new(*RefusedError)) {
		return "is refused"
	}
	return "could not be read"
}

func (s *Source) warnKept(err error) {
	if s.current == nil {
		s.config.Logger.Warn("Waiting for a log list", "error", err)
		return
	}
	s.config.Logger.Warn("The log list "+failed(err)+"; keeping the last good one",
		"version", s.current.list.Version, "published", s.current.list.Timestamp,
		"age", s.age(s.current.list), "error", err)
}

// age is how long ago the list was published, in whole hours.
func (s *Source) age(l *List) string {
	if l.Timestamp.IsZero() {
		return "unknown"
	}
	hours := max(0, int(s.config.Now().Sub(l.Timestamp).Hours()))
	if hours < 48 {
		return fmt.Sprintf("%d hours", hours)
	}
	return fmt.Sprintf("%d days", hours/24)
}
