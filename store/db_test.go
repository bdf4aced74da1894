package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

func tryOpen(path string, logs *bytes.Buffer) (*store.DB, error) {
	logger := discard()
	if logs != nil {
		logger = slog.New(slog.NewTextHandler(logs, nil))
	}
	return store.Open(context.Background(), path, store.Options{Logger: logger})
}

// closed makes a database with certificate 1, and closes it.
func closed(t *testing.T, path string) {
	t.Helper()
	db, err := tryOpen(path, nil)
	must(t, err)
	l := started(t, db, 1)
	recordUnproven(t, db, l, 1, found(l, 1, 0))
	must(t, db.Close())
}

// TestOpenCreatesPrivateFiles: the directory and the files are only for their owner.
func TestOpenCreatesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with ? # % and space", "data")
	path := filepath.Join(dir, "ctwatch.db")
	db, err := tryOpen(path, nil)
	must(t, err)
	defer db.Close()
	started(t, db, 1)
	for name, want := range map[string]fs.FileMode{dir: 0o700, path: 0o600, path + "-wal": 0o600, filepath.Join(dir, "ctwatch.lock"): 0o600} {
		fi, err := os.Stat(name)
		must(t, err)
		if got := fi.Mode().Perm(); got != want {
			t.Errorf("%s has permissions %o, want %o", name, got, want)
		}
	}
}

// TestCloseLeavesOneFile: after Close one file is the whole database, and it is not
// checked at the next start.
func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	closed(t, path)
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the write-ahead log is still there: %v", err)
	}
	var logs bytes.Buffer
	db, err := tryOpen(path, &logs)
	must(t, err)
	defer db.Close()
	if logs.Len() > 0 {
		t.Errorf("after a clean end it logs %s", logs.String())
	}
	get(t, db, 1)
	must(t, db.Close())
	must(t, db.Close())
}

// TestCrashIsChecked: after a crash the integrity of the database is checked.
func TestCrashIsChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db, err := tryOpen(path, nil)
	must(t, err)
	l := started(t, db, 1)
	recordUnproven(t, db, l, 1, found(l, 1, 0))
	must(t, db.Crash())
	var logs bytes.Buffer
	db, err = tryOpen(path, &logs)
	must(t, err)
	get(t, db, 1)
	must(t, db.Close())
	if !strings.Contains(logs.String(), "integrity") {
		t.Errorf("logs %q do not say that the integrity was checked", logs.String())
	}
}

// TestDamageIsFoundAfterCrash: the check after a crash finds a damaged page.
func TestDamageIsFoundAfterCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	closed(t, path)
	db, err := tryOpen(path, nil)
	must(t, err)
	_, err = db.Writer().Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	must(t, err)
	var root, size int64
	must(t, db.Writer().QueryRow(`SELECT rootpage FROM sqlite_schema WHERE name = 'sightings_unverified'`).Scan(&root))
	must(t, db.Writer().QueryRow(`PRAGMA page_size`).Scan(&size))
	must(t, db.Crash())

	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0x55}, int(size)), (root-1)*size)
	must(t, err)
	must(t, f.Close())
	for range 2 { // it does not go away by trying again
		_, err = tryOpen(path, nil)
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "restore a backup") {
			t.Errorf("error %v, want one that says what to do", err)
		}
	}
}

// TestOtherFilesAreRefused: a file that is not a database is not touched.
func TestOtherFilesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	must(t, os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600))
	if _, err := tryOpen(path, nil); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
	if _, err := store.OpenReadOnly(t.Context(), path); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read only: error %v, want ErrCorrupt", err)
	}
}

// TestOtherSchemasAreRefused: neither a newer schema nor the database of another program
// is opened.
func TestOtherSchemasAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ change, want string }{
		"a newer version":    {"PRAGMA user_version = 1000", "version 1000"},
		"of another program": {"PRAGMA application_id = 5", "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ctwatch.db")
			closed(t, path)
			raw, err := sql.Open("sqlite", path)
			must(t, err)
			_, err = raw.Exec(tt.change)
			must(t, err)
			must(t, raw.Close())
			_, err = tryOpen(path, nil)
			_, errRO := store.OpenReadOnly(t.Context(), path)
			for _, err := range []error{err, errRO} {
				if !errors.Is(err, store.ErrVersion) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want ErrVersion that says %q", err, tt.want)
				}
			}
		})
	}
}

// TestDirectoryIsLocked: a second process cannot open the directory.
func TestDirectoryIsLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db, err := tryOpen(path, nil)
	must(t, err)
	_, err = tryOpen(path, nil)
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("error %v, want ErrLocked with the process", err)
	}
	must(t, db.Close())
	db, err = tryOpen(path, nil)
	must(t, err)
	must(t, db.Close())
}

// TestUnusableDirectoryIsExplained: the error says what is wrong with the directory.
func TestUnusableDirectoryIsExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{filepath.Join(file, "ctwatch.db"), t.TempDir()} {
		if _, err := tryOpen(path, nil); !errors.Is(err, store.ErrDisk) {
			t.Errorf("%s: error %v, want ErrDisk", path, err)
		}
	}
}

// TestOnlyRegularFilesAreOpened: a directory or a pipe in place of the database is
// named, however it is opened, and nothing waits for the pipe.
func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	for path, says := range map[string]string{dir: dir + " is a directory", pipe: pipe + " is not a regular file"} {
		for how, open := range map[string]func() (*store.DB, error){
			"to write": func() (*store.DB, error) { return tryOpen(path, nil) },
			"to read":  func() (*store.DB, error) { return store.OpenReadOnly(t.Context(), path) },
			"shared":   func() (*store.DB, error) { return store.OpenShared(t.Context(), path, store.Options{}) },
		} {
			if _, err := open(); !errors.Is(err, store.ErrDisk) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "data_dir") {
				t.Errorf("%s %s: error %v, want %q", path, how, err, says)
			}
		}
	}
}

// TestOwnFilesArePrivate: whatever the umask, only the owner can read or change the
// database and the files that SQLite keeps beside it.
func TestOwnFilesArePrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(t.TempDir(), "data")
	db, err := tryOpen(filepath.Join(dir, "ctwatch.db"), nil)
	must(t, err)
	defer db.Close()
	started(t, db, 1)
	entries, err := os.ReadDir(dir)
	must(t, err)
	names := []string{dir}
	for _, e := range entries {
		names = append(names, filepath.Join(dir, e.Name()))
	}
	if len(names) < 5 { // the directory, the lock, the database, its log and the log's index
		t.Errorf("there are only %v", names)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestReadOnlyNeedsADatabase(t *testing.T) {
	dir := t.TempDir()
	_, err := store.OpenReadOnly(t.Context(), filepath.Join(dir, "ctwatch.db"))
	for _, want := range []string{filepath.Join(dir, "ctwatch.db"), "--data", "ctwatch run"} {
		if !errors.Is(err, store.ErrMissing) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
	if fs, _ := os.ReadDir(dir); len(fs) > 0 {
		t.Errorf("it created %v", fs)
	}
	must(t, os.WriteFile(filepath.Join(dir, "empty.db"), nil, 0o600))
	if _, err := store.OpenReadOnly(t.Context(), filepath.Join(dir, "empty.db")); !errors.Is(err, store.ErrVersion) {
		t.Errorf("an empty file: error %v, want ErrVersion", err)
	}
}

func TestReadOnlyReadsInEveryState(t *testing.T) {
	read := func(t *testing.T, path string) {
		t.Helper()
		must(t, readOnly(path))
	}
	t.Run("a daemon runs", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ctwatch.db")
		db, err := tryOpen(path, nil)
		must(t, err)
		defer db.Close()
		l := started(t, db, 1)
		recordUnproven(t, db, l, 1, found(l, 1, 0))
		read(t, path)
		recordUnproven(t, db, l, 2, found(l, 2, 1))
	})
	t.Run("a daemon was stopped", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ctwatch.db")
		closed(t, path)
		read(t, path)
	})
	t.Run("a daemon crashed", func(t *testing.T) {
		// Closing the connections tidies up as a crash does not: copy before.
		from, to := t.TempDir(), t.TempDir()
		db, err := tryOpen(filepath.Join(from, "ctwatch.db"), nil)
		must(t, err)
		defer db.Close()
		l := started(t, db, 1)
		recordUnproven(t, db, l, 1, found(l, 1, 0))
		must(t, os.CopyFS(to, os.DirFS(from)))
		read(t, filepath.Join(to, "ctwatch.db"))
	})
	// Copies: of the file alone, and with what a crash, or a backup of all files, leaves
	// beside it. Certificate 1 is in the write-ahead log alone.
	for name, files := range map[string][]string{
		"the file alone":                       {""},
		"with an empty write-ahead log":        {"", "-wal"},
		"with a write-ahead log":               {"", "-wal"},
		"with a write-ahead log and its index": {"", "-wal", "-shm"},
	} {
		logged := strings.HasPrefix(name, "with a write")
		copyOf := func(t *testing.T, to string) string {
			from := filepath.Join(t.TempDir(), "ctwatch.db")
			if logged {
				db, err := tryOpen(from, nil)
				must(t, err)
				defer db.Close()
				l := started(t, db, 1)
				record(t, db, l, 1, found(l, 1, 0))
			} else {
				closed(t, from)
				must(t, os.WriteFile(from+"-wal", nil, 0o600))
			}
			for _, f := range files {
				b, err := os.ReadFile(from + f)
				must(t, err)
				must(t, os.WriteFile(filepath.Join(to, "ctwatch.db"+f), b, 0o600))
			}
			return filepath.Join(to, "ctwatch.db")
		}
		t.Run("a copy, "+name, func(t *testing.T) { read(t, copyOf(t, t.TempDir())) })
		t.Run("a copy that cannot be written, "+name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "ctwatch") // which others can reach, unlike that of a test
			must(t, err)
			defer os.RemoveAll(dir)
			readByNobody(t, copyOf(t, dir))
		})
	}
}

// readByNobody reads a database in a directory that the reader cannot write.
func readByNobody(t *testing.T, path string) {
	t.Helper()
	dir := filepath.Dir(path)
	files, err := filepath.Glob(path + "*")
	must(t, err)
	for _, f := range files {
		must(t, os.Chmod(f, 0o400))
	}
	must(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	if os.Geteuid() != 0 {
		must(t, readOnly(path))
		return
	}
	// Root can write everywhere: another user reads.
	for _, p := range append(files, dir) {
		must(t, os.Chown(p, nobody, nobody))
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir, cmd.Env = dir, []string{readerEnv + "=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

const (
	readerEnv = "CTWATCH_TEST_READER" // the database that a child reads
	nobody    = 65534
)

// readerMain reads a database, in a child.
func readerMain() {
	path := os.Getenv(readerEnv)
	if path == "" {
		return
	}
	err := os.WriteFile(filepath.Join(filepath.Dir(path), "x"), nil, 0o600)
	if err == nil {
		err = errors.New("the directory can be written")
	} else {
		err = readOnly(path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// readOnly checks that a database with certificate 1 can be read, and that nothing is
// written.
func readOnly(path string) error {
	before, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	db, err := store.OpenReadOnly(context.Background(), path)
	if err != nil {
		return err
	}
	_, err = db.Certificates.Get(context.Background(), certificate(1).ID.String())
	if db.Logs.Rewind(context.Background(), testLog(1).ID) == nil {
		err = errors.Join(err, errors.New("it wrote"))
	}
	after, dirErr := os.ReadDir(filepath.Dir(path))
	if err := errors.Join(err, db.Close(), dirErr); err != nil {
		return err
	}
	if !slices.EqualFunc(before, after, func(a, b os.DirEntry) bool { return a.Name() == b.Name() }) {
		return fmt.Errorf("files were %v, now %v", before, after)
	}
	return nil
}

// TestReadOnlyDetectsDaemon: a daemon that starts meanwhile is an error, not a wrong
// answer.
func TestReadOnlyDetectsDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	closed(t, path)
	ro, err := store.OpenReadOnly(t.Context(), path)
	must(t, err)
	defer ro.Close()
	db, err := tryOpen(path, nil)
	must(t, err)
	defer db.Close()
	if _, err := ro.Logs.List(t.Context()); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("error %v, want one that says to try again", err)
	}
}

// TestCancellation: the error of a canceled call says so.
func TestCancellation(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, errRead := db.Logs.List(ctx)
	for _, err := range []error{errRead, db.Logs.Record(ctx, ctwatch.Batch{Log: l.ID}, 1)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	}
}

func TestMigrateFromVersion1(t *testing.T) {
	path, w := older(t, 1)
	must(t, w.Close())

	db := openAt(t, path, newClock())
	var got []ctwatch.Certificate
	for c, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		must(t, err)
		got = append(got, c)
	}
	id, err := ctwatch.ParseHash(strings.Repeat("c1", 32))
	must(t, err)
	if len(got) != 1 || got[0].ID != id || len(got[0].Sightings) != 1 || !got[0].Sightings[0].Verified || len(got[0].Matches) != 1 {
		t.Errorf("certificates %+v", got)
	}
	logs, err := db.Logs.List(t.Context())
	must(t, err)
	if len(logs) != 1 || logs[0].Name != "Lab" || logs[0].Position != 5 || logs[0].Verified != 4 {
		t.Errorf("logs %+v", logs)
	}
	pending, err := db.Outbox.Pending(t.Context(), "stdout", 10)
	must(t, err)
	if len(pending) != 1 || pending[0].Seq != 2 {
		t.Errorf("pending %+v", pending)
	}
}

// TestMigrationsRunOnce: each migration runs once, wholly or not at all.
func TestMigrationsRunOnce(t *testing.T) {
	w, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
	must(t, err)
	defer w.Close()
	w.SetMaxOpenConns(1)
	version := func() (v int) {
		must(t, w.QueryRow(`PRAGMA user_version`).Scan(&v))
		return v
	}
	steps := store.Statements(`CREATE TABLE a (x INTEGER) STRICT`, `ALTER TABLE a ADD COLUMN y TEXT; INSERT INTO a VALUES (1, 'y')`)
	must(t, store.Migrate(t.Context(), w, steps[:1]))
	must(t, store.Migrate(t.Context(), w, steps))
	must(t, store.Migrate(t.Context(), w, steps))
	var n int
	must(t, w.QueryRow(`SELECT count(*) FROM a`).Scan(&n))
	if n != 1 || version() != 2 {
		t.Errorf("%d rows, version %d; want 1 and 2", n, version())
	}
	if err := store.Migrate(t.Context(), w, append(steps, store.Statements(`CREATE TABLE b (x INTEGER) STRICT; broken`)...)); err == nil {
		t.Error("a broken migration passed")
	}
	must(t, w.QueryRow(`SELECT count(*) FROM sqlite_schema`).Scan(&n))
	if n != 1 || version() != 2 {
		t.Errorf("after a broken migration: %d tables, version %d; want 1 and 2", n, version())
	}
	if err := store.Migrate(t.Context(), w, steps[:1]); !errors.Is(err, store.ErrVersion) {
		t.Errorf("a newer schema: error %v, want ErrVersion", err)
	}
}

// TestOnEvents: it is called after each commit that wrote events, and after no other.
func TestOnEvents(t *testing.T) {
	var calls int
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "ctwatch.db"), store.Options{Logger: discard(), OnEvents: func() { calls++ }})
	must(t, err)
	defer db.Close()
	l := started(t, db, 1)
	recordUnproven(t, db, l, 1)
	if calls != 0 {
		t.Errorf("called %d times without an event", calls)
	}
	recordUnproven(t, db, l, 1, found(l, 1, 0))
	recordUnproven(t, db, l, 1, found(l, 1, 0))
	if calls != 1 {
		t.Errorf("called %d times, want once", calls)
	}
}

func TestQuery(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	const n = 450 // more than two pages
	var b ctwatch.Batch
	b.Log = l.ID
	for i := range n {
		f := found(l, i, uint64(i))
		if i == 7 {
			f.Certificate.Verdict = ctwatch.Expected
			f.Certificate.Matches = []ctwatch.Match{{Watch: "w", Name: "a.b.example.net", Domain: "example.net"}}
		}
		b.Found = append(b.Found, f)
	}
	must(t, db.Logs.Record(t.Context(), b, n))

	collect := func(f store.Filter) []string {
		t.Helper()
		var out []string
		for c, err := range db.Certificates.List(t.Context(), f) {
			must(t, err)
			out = append(out, c.Serial)
		}
		return out
	}
	serials := func(from, to int) (out []string) { // newest first
		for i := from; i >= to; i-- {
			out = append(out, certificate(i).Serial)
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		filter store.Filter
		want   []string
	}{
		{"all", store.Filter{}, serials(n-1, 0)},
		{"limit", store.Filter{Limit: 3}, serials(n-1, n-3)},
		{"limit over pages", store.Filter{Limit: 205}, serials(n-1, n-205)},
		{"after", store.Filter{After: certificate(5).ID}, serials(4, 0)},
		{"after, limit", store.Filter{After: certificate(5).ID, Limit: 2}, serials(4, 3)},
		{"since", store.Filter{Since: epoch.Add((n - 2) * time.Second)}, serials(n-1, n-2)},
		{"verdict", store.Filter{Verdict: ctwatch.Expected}, serials(7, 7)},
		{"watched domain", store.Filter{Domain: "example.net"}, serials(7, 7)},
		{"name below", store.Filter{Domain: "b.example.net"}, serials(7, 7)},
		{"name itself", store.Filter{Domain: "w9.example.com"}, serials(9, 9)},
		{"not a label", store.Filter{Domain: "9.example.com"}, nil},
		{"wildcards of LIKE", store.Filter{Domain: "_.example.net"}, nil},
		{"nothing", store.Filter{Domain: "example.net", Verdict: ctwatch.Unexpected}, nil},
	} {
		if diff := cmp.Diff(tt.want, collect(tt.filter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	for c, err := range db.Certificates.List(t.Context(), store.Filter{After: hash("?")}) {
		if !errors.Is(err, ctwatch.ErrNotFound) {
			t.Errorf("after an unknown one: %v, %v", c, err)
		}
	}
	for range db.Certificates.List(t.Context(), store.Filter{}) {
		break
	}
}

func TestCertificateByPrefix(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	for i, id := range []string{"abcdef0123" + strings.Repeat("0", 54), "abcdef01ff" + strings.Repeat("f", 54)} {
		f := found(l, i, uint64(i))
		f.Certificate.ID, _ = ctwatch.ParseHash(id)
		recordUnproven(t, db, l, 2, f)
	}
	for prefix, want := range map[string]error{
		"abcdef012": nil, "ABCDEF01f": nil, "abcdef0123" + strings.Repeat("0", 54): nil,
		"abcdef01": ctwatch.ErrAmbiguous, "00000000": ctwatch.ErrNotFound,
	} {
		if _, err := db.Certificates.Get(t.Context(), prefix); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", prefix, err, want)
		}
	}
	for _, bad := range []string{"", "abcdef0", "abcdefgh", strings.Repeat("0", 65)} {
		if _, err := db.Certificates.Get(t.Context(), bad); err == nil || errors.Is(err, ctwatch.ErrNotFound) {
			t.Errorf("%q: error %v, want one about its form", bad, err)
		}
	}
	if _, err := db.Certificates.DER(t.Context(), hash("?")); !errors.Is(err, ctwatch.ErrNotFound) {
		t.Errorf("DER of an unknown certificate: %v", err)
	}
}
