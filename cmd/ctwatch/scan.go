package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/follow"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/loglist"
	"ctwatch/ctwatch/scan"
	"ctwatch/files"
)

// A scanJob has the flags of scan.
type scanJob struct {
	log, key, kind string
	contact        string
	from           uint64
	to             uint64
	toSet          bool
	watch, files   []string
	parallel       int
	maxRate        int
}

// The rate of a scan, in requests per second: at first, and at most. A person asked for one
// range of one log, so it is higher than the daemon's.
const (
	firstScanRate = 100
	maxScanRate   = 500
)

func (a *app) scanCommand() *cobra.Command {
	var j scanJob
	c := &cobra.Command{
		Use:   "scan --log LOG --watch DOMAIN...",
		Short: "Scan a range of one log, verify it, and print what matches",
		Long: `scan reads the entries [FROM, TO) of one log and prints each certificate that
matches at once, as a JSON object on a line. It stores nothing. At the end it prints to
stderr how much it read, and whether the log verifies: it rebuilds the tree from all
entries and compares it with a signed tree head.

It reads as fast as the log answers: more requests are under way at once while that makes
it faster, at most 64, and at most --max-rate are made in a second. A log that refuses
requests, fails or slows down gets fewer, and none while its Retry-After lasts.

The log is a URL with its public key, or the name or ID of a log on the log list.
A static log can also be read from files, with a file URL.

Exit status: 1 if an entry could not be read or the tree does not verify.`,
		Example: `  ctwatch scan --log 'Argon2026h2' --from 1000000 --to 1010000 --watch example.com
  ctwatch scan --log https://ct.example.net/2026/ --key key.pem --watch example.com
  ctwatch scan --log file:///srv/log --key MFkw... --kind static --watch-file domains.txt`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			j.toSet = c.Flags().Changed("to")
			return a.scan(c.Context(), j)
		},
	}
	f := c.Flags()
	f.StringVar(&j.log, "log", "", "`URL` of the log, or its name or ID on the log list")
	f.StringVar(&j.key, "key", "", "public `key` of the log: base64, or a PEM or DER file")
	f.StringVar(&j.kind, "kind", "", "API of the log: rfc6962 or static (default: detected)")
	f.Uint64Var(&j.from, "from", 0, "first `entry`")
	f.Uint64Var(&j.to, "to", 0, "entry after the last (default: the log's tree size)")
	f.StringArrayVarP(&j.watch, "watch", "w", nil, "`domain` to look for, with every name below it")
	f.StringArrayVar(&j.files, "watch-file", nil, "`file` of domains, one per line: .example.com with all names below it, example.com alone")
	f.StringVar(&j.contact, "contact", "", contactHelp+" (default: logs.contact)")
	f.IntVar(&j.parallel, "parallel", 0, "number of parallel requests (default: as many as make it faster, up to 64)")
	f.IntVar(&j.maxRate, "max-rate", maxScanRate, "the most `requests` per second")
	return c
}

func (a *app) scan(ctx context.Context, j scanJob) error {
	if j.log == "" {
		return usagef("no log to scan: give --log URL with --key, or --log NAME")
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if err := checkContact(j.contact); err != nil {
		return err
	}
	cfg.Logs.Contact = cmp.Or(j.contact, cfg.Logs.Contact)
	listed, err := watchFlag(j.watch)
	if err != nil {
		return err
	}
	watched, err := setup.Read(&configs.Config{WatchFiles: j.files}, listed...)
	if err != nil {
		return err
	}
	if watched.List.Len() == 0 {
		return usagef("no domains to match: give --watch DOMAIN or --watch-file FILE")
	}
	if j.toSet && j.to <= j.from {
		return usagef("--to %d is not after --from %d", j.to, j.from)
	}
	if j.parallel < 0 || j.parallel > 1000 {
		return usagef("--parallel %d: want 1 to 1000", j.parallel)
	}
	if j.maxRate < 1 || j.maxRate > 10_000 {
		return usagef("--max-rate %d: want 1 to 10000 requests per second", j.maxRate)
	}
	client := setup.HTTPClient()
	defer client.CloseIdleConnections()
	logger := a.logger()
	info, err := a.findLog(ctx, cfg, j, logger)
	if err != nil {
		return err
	}
	pace := ctlog.NewPaceFrom(firstScanRate, float64(j.maxRate)).Log()
	log, head, headErr := openLog(ctx, info, ctlog.Options{Client: client, Logger: logger, UserAgent: setup.UserAgent(cfg), Pace: pace, Budget: ctlog.NewBudget(scanReplies)})
	if log == nil {
		return headErr
	}
	s := &scanRun{
		a: a, log: log, from: j.from, to: j.to, head: head, headErr: headErr, anonymous: cfg.Logs.Contact == "",
		reader: &follow.Reader{
			Log: log, Logger: logger, Pace: pace, Parallel: j.parallel,
			Scanner: &scan.Scanner{Log: log.Info(), List: watched.List}, Hooks: follow.Hooks{Retry: reportRetries(logger)},
		},
	}
	if err := s.limits(j.toSet); err != nil {
		return err
	}
	return s.run(ctx)
}

// scanReplies is how many replies with entries are in memory at once, and one more. Most have
// less than 1 MiB; none has more than 64.
const scanReplies = 32

// retryEvery is how often a scan says that it makes requests again.
const retryEvery = 30 * time.Second

// reportRetries returns a function that logs why entries cannot be read yet.
func reportRetries(logger *slog.Logger) func(uint64, time.Duration, error) {
	var mu sync.Mutex
	var last time.Time
	return func(start uint64, wait time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); last.IsZero() || now.Sub(last) > retryEvery {
			last = now
			logger.Warn("entries could not be read; trying again", "start", start, "in", wait.Round(time.Second/10).String(), "error", ctwatch.Printable(err.Error(), 300))
		}
	}
}

// findLog returns the log that the flags name.
func (a *app) findLog(ctx context.Context, cfg *configs.Config, j scanJob, logger *slog.Logger) (ctwatch.Log, error) {
	kind := ctwatch.LogKind(j.kind)
	if kind != "" && !slices.Contains(ctwatch.LogKinds(), kind) {
		return ctwatch.Log{}, usagef("--kind %s: want rfc6962 or static", ctwatch.Printable(j.kind, 40))
	}
	if strings.Contains(j.log, "://") {
		if j.key == "" {
			return ctwatch.Log{}, usagef("--log %s needs its public key: give --key BASE64 or --key FILE", ctwatch.Printable(j.log, 200))
		}
		key, err := keyArgument(j.key)
		if err != nil {
			return ctwatch.Log{}, err
		}
		if strings.HasPrefix(j.log, "file:") && kind == "" {
			kind = ctwatch.KindStatic
		}
		l, err := loglist.Extra{Kind: kind, URL: j.log, Key: key}.Log()
		if err != nil {
			return ctwatch.Log{}, usagef("--log %s: %w", ctwatch.Printable(j.log, 200), err)
		}
		l.Kind = kind // "" is detected
		return l, nil
	}
	logs, err := setup.ExtraLogs(cfg)
	if err != nil {
		return ctwatch.Log{}, err
	}
	if cfg.Logs.List != "" {
		source, err := setup.LogListSource(cfg, setup.HTTPClient(), logger, nil)
		if err != nil {
			return ctwatch.Log{}, err
		}
		list, _, err := source.Load(ctx)
		if err != nil {
			return ctwatch.Log{}, err
		}
		logs = loglist.Merge(logs, list.Logs)
	}
	l, err := loglist.Find(logs, j.log)
	if err != nil {
		return ctwatch.Log{}, &usageError{err}
	}
	return l, nil
}

// keyArgument reads --key: a file if there is one of that name, else the key itself.
func keyArgument(s string) (string, error) {
	b, err := files.Read(s, keyfile.MaxSize)
	if errors.Is(err, files.ErrKind) {
		return "", &usageError{fmt.Errorf("--key: %w", err)}
	}
	if err != nil {
		if strings.ContainsAny(s, "./") && len(s) < 60 { // no key is so short
			return "", &usageError{fmt.Errorf("--key: %w", err)}
		}
		return s, nil
	}
	if len(b) > 0 && b[0] == 0x30 { // DER
		return base64.StdEncoding.EncodeToString(b), nil
	}
	if b, err = files.Text(b); err != nil {
		return "", &usageError{fmt.Errorf("--key %s: %w", s, err)}
	}
	return strings.TrimSpace(string(b)), nil
}

// openLog opens a log, detects its kind if that is not given, and fetches its tree head.
// Without a tree head a range can be read, but not verified.
func openLog(ctx context.Context, l ctwatch.Log, o ctlog.Options) (ctlog.Log, *ctwatch.Head, error) {
	kinds := []ctwatch.LogKind{l.Kind}
	if l.Kind == "" {
		kinds = []ctwatch.LogKind{ctwatch.KindStatic, ctwatch.KindRFC6962}
	}
	var log ctlog.Log
	var errs []error
	for _, kind := range kinds {
		l.Kind = kind
		opened, err := ctlog.Open(l, o)
		if err != nil {
			return nil, nil, err
		}
		head, err := opened.Head(ctx)
		if err == nil {
			return opened, &head, nil
		}
		errs = append(errs, err)
		log = opened
	}
	if len(kinds) > 1 {
		return nil, nil, fmt.Errorf("neither API returns a tree head; give --kind: %w", errors.Join(errs...))
	}
	return log, nil, errors.Join(errs...)
}

// A scanRun reads and verifies a range of a log.
type scanRun struct {
	a       *app
	log     ctlog.Log
	reader  *follow.Reader
	from    uint64
	to      uint64
	head    *ctwatch.Head
	headErr error // why there is no head
	// anonymous means that requests name no contact.
	anonymous bool

	entries   uint64
	bytes     int64
	matches   int
	malformed int
}

// limits bounds the range by the tree head.
func (s *scanRun) limits(toSet bool) error {
	switch {
	case s.head == nil && !toSet:
		return fmt.Errorf("without a tree head the end of the log is unknown; to read anyway, give --to: %w", s.headErr)
	case s.head == nil:
		fmt.Fprintf(s.a.Stderr, "ctwatch: the entries cannot be verified: %v\n", s.headErr)
	case !toSet:
		s.to = s.head.Size
	case s.to > s.head.Size:
		return usagef("--to %d is past the log's tree size, %d", s.to, s.head.Size)
	}
	if s.from > s.to {
		return usagef("--from %d is past the log's tree size, %d", s.from, s.to)
	}
	return nil
}

// run reads the range and verifies it.
func (s *scanRun) run(ctx context.Context) error {
	size := s.to
	var tree ctwatch.Tree
	verifyErr := s.headErr
	if s.head != nil {
		size = s.head.Size
		tree, verifyErr = s.log.Prefix(ctx, s.from, *s.head)
	}
	merged, readErr := s.read(ctx, size)
	verified := false
	if verifyErr == nil && readErr == nil {
		verified, verifyErr = s.verify(ctx, tree, merged)
	}
	result := "not verified: "
	switch {
	case verified:
		result = fmt.Sprintf("verified at tree size %d", s.head.Size)
	case readErr != nil:
		result += "reading failed: " + ctwatch.Printable(readErr.Error(), 500)
	default:
		result += ctwatch.Printable(fmt.Sprint(verifyErr), 500)
	}
	fmt.Fprintf(s.a.Stderr, "%d entries, %d bytes, %d matches, %d malformed; %s\n", s.entries, s.bytes, s.matches, s.malformed, result)
	if !verified {
		return errReported // the line above is always the last
	}
	return nil
}

// read prints matches as it finds them, and returns the compact range of all entries.
func (s *scanRun) read(ctx context.Context, size uint64) ([]ctwatch.Hash, error) {
	p := terminal.NewProgress(s.a.Stderr, s.to-s.from, time.Now)
	limited, begun := s.reader.Pace.Observe(), time.Now()
	defer func() {
		p.Clear()
		if hint := s.hint(limited()); hint != "" && time.Since(begun) > minHint {
			fmt.Fprintln(s.a.Stderr, hint)
		}
	}()
	joined := follow.NewJoiner(s.from)
	for b, err := range s.reader.Read(ctx, s.from, s.to, size) {
		if err != nil {
			return nil, err
		}
		for _, f := range b.Found {
			f.Certificate.FirstSeen = time.Now().UTC()
			if err := terminal.PrintLine(s.a.Stdout, f.Certificate); err != nil {
				return nil, err
			}
		}
		for _, m := range b.Malformed {
			p.Clear()
			fmt.Fprintf(s.a.Stderr, "entry %d could not be read in full: %s\n", m.Index, ctwatch.Printable(m.Reason, 200))
		}
		s.entries += b.End - b.Start
		s.bytes += b.Bytes
		s.matches += len(b.Found)
		s.malformed += len(b.Malformed)
		if p.Note = ""; limited() == ctlog.LimitedByMax {
			p.Note = "limited by --max-rate"
		}
		p.Set(s.entries)
		if err := joined.Add(b); err != nil {
			return nil, err
		}
	}
	return joined.Range(), nil
}

// minHint is how long a scan takes before its speed matters.
const minHint = 3 * time.Second

// hint says how a scan can be faster if the pace is what limited it.
func (s *scanRun) hint(l ctlog.PaceLimit) string {
	switch pace := s.reader.Pace; l {
	case ctlog.LimitedByMax:
		return fmt.Sprintf("Reading was limited to %.0f requests/s by --max-rate. If the log's operator allows more, give a higher one.", pace.Max())
	case ctlog.LimitedByLog:
		hint := fmt.Sprintf("The log refused or delayed requests; it now gets %.1f requests/s.", pace.Rate())
		if s.anonymous {
			hint += " Many logs allow more to clients with a contact: give --contact."
		}
		return hint
	}
	return ""
}

// verify compares the entries with the tree head.
func (s *scanRun) verify(ctx context.Context, tree ctwatch.Tree, merged []ctwatch.Hash) (bool, error) {
	tree, err := ctlog.Append(tree, s.to, merged)
	if err != nil {
		return false, err
	}
	root, err := ctlog.Root(tree)
	if err != nil {
		return false, err
	}
	if err := s.log.Extends(ctx, *s.head, s.to, root); err != nil {
		return false, err
	}
	return true, nil
}
