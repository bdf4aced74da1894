package daemon

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"ctwatch/ctwatch"
)

// The floors of the benchmarks of hundred logs are what no client can do without: requests over
// connections that stay, the verification of an ECDSA signature, inflating, hashing, and one
// transaction of plain SQLite for each new tree head.

// A floor is such a client of one log.
type floor struct {
	log    ctwatch.Log
	client *http.Client
	key    *ecdsa.PublicKey
	signed []byte
	move   *sql.Stmt // sets the position of a log

	raw, body bytes.Buffer
	z         gzip.Reader

	size uint64
	read *atomic.Int64 // entries, of all logs
}

// get returns a reply, until the next call.
func (f *floor) get(path string) ([]byte, error) {
	resp, err := f.client.Get(f.log.URL + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	f.raw.Reset()
	if _, err := f.raw.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	if !bytes.HasPrefix(f.raw.Bytes(), []byte{0x1f, 0x8b}) {
		return f.raw.Bytes(), nil
	}
	if err := f.z.Reset(&f.raw); err != nil {
		return nil, err
	}
	f.body.Reset()
	_, err = f.body.ReadFrom(&f.z)
	return f.body.Bytes(), err
}

// head returns the size of the log's tree.
func (f *floor) head() (size uint64, err error) {
	static := f.log.Kind == ctwatch.KindStatic
	path := "ct/v1/get-sth"
	if static {
		path = "checkpoint"
	}
	raw, err := f.get(path)
	if err != nil {
		return 0, err
	}
	hash := sha256.Sum256([]byte("a tree head"))
	if !ecdsa.VerifyASN1(f.key, hash[:], f.signed) {
		return 0, fmt.Errorf("bad signature")
	}
	if static {
		lines := bytes.SplitN(raw, []byte("\n"), 3)
		return strconv.ParseUint(string(lines[1]), 10, 64)
	}
	var sth struct {
		Size uint64 `json:"tree_size"`
	}
	err = json.Unmarshal(raw, &sth)
	return sth.Size, err
}

// poll reads what the log has added.
func (f *floor) poll() error {
	size, err := f.head()
	if err != nil || size == f.size {
		return err
	}
	for at := f.size; at < size; {
		path := fmt.Sprintf("ct/v1/get-entries?start=%d&end=%d", at, size-1)
		next := size
		if f.log.Kind == ctwatch.KindStatic {
			next = min(size, at-at%256+256)
			path = fmt.Sprintf("tile/data/%03d", at/256)
			if width := next - at/256*256; width < 256 {
				path = fmt.Sprintf("%s.p/%d", path, width)
			}
		}
		body, err := f.get(path)
		if err != nil {
			return err
		}
		sha256.Sum256(body[:len(body)/2]) // the leaves, without the precertificates
		at = next
	}
	f.read.Add(int64(size - f.size))
	f.size = size
	_, err = f.move.Exec(size, f.log.Name)
	return err
}

func benchFloor(b *testing.B, rate int) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	hash := sha256.Sum256([]byte("a tree head"))
	signed, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	if err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "floor.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE logs (name TEXT PRIMARY KEY, position INTEGER)`); err != nil {
		b.Fatal(err)
	}
	move, err := db.Prepare(`UPDATE logs SET position = ? WHERE name = ?`)
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 2, ReadBufferSize: 16 << 10, DisableCompression: true}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(b.Context())
	var read atomic.Int64
	var polls sync.WaitGroup
	defer polls.Wait()
	defer cancel()
	for _, l := range startLogs(b, rate) {
		if _, err := db.Exec(`INSERT INTO logs VALUES (?, 0)`, l.Name); err != nil {
			b.Fatal(err)
		}
		f := &floor{log: l, client: &http.Client{Transport: transport}, key: &key.PublicKey, signed: signed, move: move, read: &read}
		if f.size, err = f.head(); err != nil {
			b.Fatal(err)
		}
		polls.Go(func() {
			if err := every(ctx, time.Second, func(time.Time) error { return f.poll() }); err != nil {
				b.Error(err)
			}
		})
	}
	time.Sleep(3 * time.Second)
	for b.Loop() {
		before, wall, entries := used(b), time.Now(), read.Load()
		time.Sleep(benchTime())
		took := time.Since(wall).Seconds()
		b.ReportMetric(100*(used(b).cpu-before.cpu).Seconds()/took, "cpu-%/core")
		b.ReportMetric(float64(read.Load()-entries)/took, "entries/s")
		b.ReportMetric(0, "ns/op")
	}
}

func BenchmarkFloorHundredLogsIdle(b *testing.B) { benchFloor(b, 0) }
func BenchmarkFloorHundredLogsBusy(b *testing.B) { benchFloor(b, 30) }
