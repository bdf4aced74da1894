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

// A Config configures a Source.
type Config struct {
	// Location is an http or https URL, or the path of a file. The signature is next to it:
	// log_list.sig for log_list.json.
	Location string
	// Key is the key that must have signed the list, RSA or ECDSA; nil for an unsigned list.
	Key crypto.PublicKey
	// CacheDir is an existing directory for the last good list, for a start without network.
	// Optional: without it nothing is cached.
	CacheDir string
	// Snapshot is a list to start with if there is no other. It is trusted. Optional; it must
	// be an earlier version of the list at Location, since a list that is older than it, or
	// lacks its logs, is refused.
	Snapshot []byte
	// Refresh is how often the list is read again. Optional: an hour by default.
	Refresh time.Duration
	// Timeout bounds one reading of list and signature. Optional: 30 s by default.
	Timeout time.Duration

	// OnAlarms is called after each reading with all current alarms, if any, and with the
	// date of the list in use, which is zero if there is none. Optional.
	OnAlarms func(alarms []Alarm, published time.Time)

	Client    *http.Client     // optional: http.DefaultClient by default
	UserAgent string           // optional: Go's by default
	Logger    *slog.Logger     // optional: none by default
	Now       func() time.Time // optional: time.Now by default
}

// An Origin is where a list was found.
type Origin string

// The origins of a list, best first.
const (
	OriginFetched  Origin = "fetched" // from Location, just now
	OriginCache    Origin = "cache"
	OriginSnapshot Origin = "snapshot"
)

// ErrRollback means that a list is older than the one in use. The signature of an old list
// stays good forever, so the date must be checked, too.
var ErrRollback = errors.New("the log list is older than the one in use")

// A Source keeps a log list up to date. If Location fails, it continues with the last good
// list and logs that. Call Load, then Run; not both at once.
type Source struct {
	config   Config
	fetcher  fetcher
	current  *loaded // the list in use; nil if there is none yet
	failures int     // since the last reading that succeeded

	failingSince time.Time // of failures, when the first was
	alarms       []Alarm   // that were reported last
}

// A loaded list is one with the bytes that it was parsed from.
type loaded struct {
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

// Load reads the list from Location, or else from the cache, or else returns the snapshot. The
// error means that there is none of them; Run tries again.
func (s *Source) Load(ctx context.Context) (*List, Origin, error) {
	// Each list is compared with the one before: the snapshot, the cache, what is published.
	// The cache is used even if Location answers: its ETag saves the transfer.
	snapshotErr := s.loadSnapshot()
	if err := s.loadCache(); err != nil {
		s.config.Logger.Warn("the cached log list cannot be used", "error", err)
		if errors.As(err, new(*compromisedError)) {
			s.report(err, nil)
		}
	}
	_, fetchErr := s.refresh(ctx)
	if s.current == nil {
		return nil, "", fmt.Errorf("no usable log list: %w; %w", fetchErr, snapshotErr)
	}
	c := s.current
	attrs := []any{
		"location", s.fetcher.name(), "origin", string(c.origin), "version", c.list.Version,
		"published", c.list.Timestamp, "logs", len(c.list.Logs),
	}
	if fetchErr != nil {
		s.config.Logger.Warn("the log list "+failed(fetchErr)+"; using an earlier one",
			append(attrs, "age", s.age(c.list), "error", fetchErr)...)
	} else {
		s.config.Logger.Info("log list read", attrs...)
	}
	return c.list, c.origin, nil
}

// Run reads the list again every Refresh, and more often while that fails. It calls onChange
// with each list whose logs differ from those of the list before. It returns when ctx ends.
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
			s.warn(err)
		case changed:
			s.config.Logger.Info("log list changed", "version", s.current.list.Version,
				"published", s.current.list.Timestamp, "logs", len(s.current.list.Logs))
			onChange(s.current.list)
		case failed:
			s.config.Logger.Info("log list can be read again", "location", s.fetcher.name())
		}
	}
}

// minBackoff is the shortest pause after a failure, unless Refresh is shorter.
const minBackoff = time.Minute

// pause returns how long to wait before the next reading: Refresh plus or minus a tenth, so
// that many daemons do not ask at once; after a failure less, doubling each time up to
// Refresh. random is in [0, 1).
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

// refresh reads the list from Location and uses it if it is good. It reports whether its logs
// differ from those before.
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
	s.report(err, s.currentAlarms())
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
		// While a new list is being published, the list and its signature may be from before
		// and after. Fetch both again.
		s.config.Logger.Debug("reading the log list again", "error", err)
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
	if err := s.checkReplacement(next.list); err != nil {
		return false, err
	}

	previous := s.current
	s.current = next
	if previous == nil || string(previous.data) != string(got.data) {
		s.logProblems(problems)
	}
	if previous == nil || !previous.same(got) {
		if err := s.writeCache(got); err != nil {
			s.config.Logger.Warn("the log list could not be cached", "error", err)
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

// parse parses a list to use. One without logs is an error: it would end all watching.
func (s *Source) parse(p published, origin Origin) (*loaded, []Problem, error) {
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
	return &loaded{p, list, origin}, problems, nil
}

func (s *Source) loadSnapshot() error {
	if len(s.config.Snapshot) == 0 {
		return errors.New("and this source has no built-in copy")
	}
	c, problems, err := s.parse(published{data: s.config.Snapshot}, OriginSnapshot)
	if err != nil {
		return fmt.Errorf("reading the built-in copy: %w", err)
	}
	s.current = c
	s.logProblems(problems)
	return nil
}

// maxLogged bounds how many problems of one list are logged separately.
const maxLogged = 20

func (s *Source) logProblems(problems []Problem) {
	for _, p := range problems[:min(len(problems), maxLogged)] {
		s.config.Logger.Warn("problem in the log list", "log", p.Log, "reason", p.Reason)
	}
	if more := len(problems) - maxLogged; more > 0 {
		s.config.Logger.Warn("more problems in the log list", "count", more)
	}
}

// failed returns what happened to a list that is not used.
func failed(err error) string {
	if errors.As(err, new(*RefusedError)) {
		return "is refused"
	}
	return "could not be read"
}

func (s *Source) warn(err error) {
	if s.current == nil {
		s.config.Logger.Warn("waiting for a log list", "error", err)
		return
	}
	s.config.Logger.Warn("the log list "+failed(err)+"; keeping the last good one",
		"version", s.current.list.Version, "published", s.current.list.Timestamp,
		"age", s.age(s.current.list), "error", err)
}

// age returns how long ago the list was published.
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
