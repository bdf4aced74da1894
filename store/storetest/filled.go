package storetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"ctwatch/store"
)

// Many is how many certificates benchmarks of big stores use: the number in
// CTWATCH_TEST_CERTIFICATES, or 20,000.
func Many(tb testing.TB) int {
	tb.Helper()
	s := os.Getenv("CTWATCH_TEST_CERTIFICATES")
	if s == "" {
		return 20_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		tb.Fatalf("CTWATCH_TEST_CERTIFICATES=%s: want a number of certificates", s)
	}
	return n
}

// Filled returns the path of a database with n certificates of a Source with default options. It is
// closed. To fill one with a million takes minutes: if CTWATCH_TEST_STORES names a directory, the
// database is kept there for other benchmarks, which must leave its certificates as they are.
func Filled(tb testing.TB, n int) string {
	tb.Helper()
	dir := os.Getenv("CTWATCH_TEST_STORES")
	if dir == "" {
		dir = tb.TempDir()
	}
	final := filepath.Join(dir, fmt.Sprintf("%d", n))
	path := filepath.Join(final, "ctwatch.db")
	if _, err := os.Stat(path); err == nil {
		return path
	} else if !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	part := final + ".part" // of a run that was ended, too
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o700)); err != nil {
		tb.Fatal(err)
	}
	if err := fill(filepath.Join(part, "ctwatch.db"), n); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(part, final); err != nil {
		tb.Fatal(err)
	}
	return path
}

func fill(path string, n int) error {
	ctx := context.Background()
	db, err := store.Open(ctx, path, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	s, err := New(Options{})
	if err == nil {
		err = s.Fill(ctx, db, 0, n)
	}
	return errors.Join(err, db.Close())
}
