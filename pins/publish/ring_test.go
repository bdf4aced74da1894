package publish

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ids lists which keys sign, and which the JWKS has.
func ids(t testing.TB, k *Keys) (signing, known []string) {
	t.Helper()
	for _, key := range k.Signing() {
		signing = append(signing, key.ID())
	}
	for _, key := range parseJWKS(t, k.JWKS()) {
		known = append(known, key.id)
	}
	return signing, known
}

func wantKeys(t testing.TB, k *Keys, signing, known []string) {
	t.Helper()
	gotSigning, gotKnown := ids(t, k)
	if diff := cmp.Diff([][]string{signing, known}, [][]string{gotSigning, gotKnown}); diff != "" {
		t.Errorf("keys that sign, keys in the JWKS (-want +got):\n%s", diff)
	}
}

// TestKeyReplacementNeedsNoRestart: a key is replaced in two steps, which a running ring
// notices.
func TestKeyReplacementNeedsNoRestart(t *testing.T) {
	r := newRing(t)
	a := r.Keys().Active.ID()
	wantKeys(t, r.Keys(), []string{a}, []string{a})

	if _, err := Finish(r.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("finishing before rotating: %v", err)
	}
	next, err := Rotate(r.path)
	if err != nil {
		t.Fatal(err)
	}
	b := next.ID()
	wantKeys(t, r.Keys(), []string{a, b}, []string{a, b})
	if _, err := Rotate(r.path); !errors.Is(err, ErrInProgress) || !strings.Contains(err.Error(), ".next exists already") {
		t.Errorf("beginning twice: %v", err)
	}

	active, err := Finish(r.path)
	if err != nil || active.ID() != b {
		t.Fatalf("%v, %v", active, err)
	}
	wantKeys(t, r.Keys(), []string{b}, []string{b, a})

	next, err = Rotate(r.path)
	if err != nil {
		t.Fatal(err)
	}
	c := next.ID()
	wantKeys(t, r.Keys(), []string{b, c}, []string{b, c, a})
	if _, err := Finish(r.path); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, r.Keys(), []string{c}, []string{c, b})

	if err := os.Remove(r.path + oldSuffix); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, r.Keys(), []string{c}, []string{c})
	for _, suffix := range []string{"", nextSuffix, oldSuffix} {
		if info, err := os.Stat(r.path + suffix); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", suffix, info.Mode())
		}
	}
}

// Finish copies the active key to the old one and then renames the next one: these
// are the states that a crash can leave.
func TestCrashLosesNoKey(t *testing.T) {
	keyFile := func(t *testing.T, path string) string {
		k, err := CreateKey(path)
		if err != nil {
			t.Fatal(err)
		}
		return k.ID()
	}
	copyFile := func(t *testing.T, from, to string) {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, to, data)
	}
	for name, crash := range map[string]func(t *testing.T, path string){
		"before anything": func(*testing.T, string) {},
		"while the copy was written": func(t *testing.T, path string) {
			data, _ := os.ReadFile(path)
			writeFile(t, filepath.Join(filepath.Dir(path), ".key.pem.old.123"), data[:20])
		},
		"after the copy": func(t *testing.T, path string) { copyFile(t, path, path+oldSuffix) },
		"while a next key was written": func(t *testing.T, path string) {
			writeFile(t, filepath.Join(filepath.Dir(path), ".key.pem.next.123"), []byte("-----BEG"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.pem")
			a, b := keyFile(t, path), keyFile(t, path+nextSuffix)
			crash(t, path)
			r, err := OpenRing(path, true, discard())
			if err != nil {
				t.Fatal(err)
			}
			wantKeys(t, r.Keys(), []string{a, b}, []string{a, b})
			if _, err := Finish(path); err != nil {
				t.Fatal(err)
			}
			wantKeys(t, r.Keys(), []string{b}, []string{b, a})
		})
	}
}

func TestRingNeedsAnActiveKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if _, err := OpenRing(path, false, discard()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without any: %v", err)
	}
	for _, suffix := range []string{nextSuffix, oldSuffix} {
		if _, err := CreateKey(path + suffix); err != nil {
			t.Fatal(err)
		}
		// A new key would be one that no app trusts.
		if _, err := OpenRing(path, true, discard()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "rename") {
			t.Errorf("with %s alone: %v", suffix, err)
		}
		if _, err := Finish(path); err == nil {
			t.Error("finished without an active key")
		}
		if _, err := Rotate(path); err == nil {
			t.Error("rotated without an active key")
		}
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, path, []byte("nonsense"))
	if _, err := OpenRing(path, true, discard()); err == nil || !strings.Contains(err.Error(), "not PEM") {
		t.Errorf("nonsense: %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "nonsense" {
		t.Error("nonsense was replaced")
	}
	if _, err := OpenRing(filepath.Join(t.TempDir(), "absent", "key.pem"), true, discard()); err == nil {
		t.Error("made a key in no folder")
	}
}

// TestUnusableFilesChangeNothing: when the key files change and cannot be used, the keys
// before stay.
func TestUnusableFilesChangeNothing(t *testing.T) {
	var log bytes.Buffer
	r := newRing(t)
	r.log = slog.New(slog.NewTextHandler(&log, nil))
	before := r.Keys()
	good, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func() error{
		func() error { return os.Remove(r.path) },
		func() error { return os.WriteFile(r.path, []byte("nonsense"), 0o600) },
		func() error {
			return errors.Join(os.WriteFile(r.path, good, 0o600), os.WriteFile(r.path+nextSuffix, good[:50], 0o600))
		},
	} {
		log.Reset()
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if r.Keys() != before {
				t.Error("the keys have changed")
			}
		}
		if n := strings.Count(log.String(), "the previous keys stay in use"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	}
	if err := os.Remove(r.path + nextSuffix); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, r.Keys(), []string{before.Active.ID()}, []string{before.Active.ID()})
}

func TestRingChangesAreExclusive(t *testing.T) {
	r := newRing(t)
	err := withLock(r.path, func() error {
		_, err := Rotate(r.path)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("error %v", err)
	}
	if _, err := Rotate(r.path); err != nil {
		t.Error(err)
	}
}
