package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
	"ctwatch/store"
)

// The benchmarks record what a hosting company finds: certificates for 20,000 customers'
// domains, by a CA that the rules of half of them allow. Half of the certificates are
// logged again in a second log. A batch is a full tile, and 4,096 entries are proven at
// once.
const (
	benchBatch   = 256
	benchAdvance = 16 // batches
	benchDomains = 20_000
)

// benchRules allow the CA for every second domain, and nothing for the others.
func benchRules(issuer pins.Pin) []policy.Rule {
	rules := make([]policy.Rule, benchDomains)
	for i := range rules {
		rules[i].Pattern = pins.Pattern{Name: benchDomain(i), Reach: pins.AllBelow}
		if i%2 == 0 {
			rules[i].Issuers = []policy.Issuer{{Pin: issuer}}
		}
	}
	return rules
}

func benchDomain(i int) string { return fmt.Sprintf("customer-%05d.example", i%benchDomains) }

// A hoster makes up the entries of two logs.
type hoster struct {
	logs   [2]ctwatch.Log
	at     [2]uint64 // entries so far
	issuer pins.Pin
	chain  [][]byte
	random *mathrand.ChaCha8

	domains int  // watched; the certificates are for each in turn
	sameKey bool // all certificates have the same key

	n int // certificates so far
}

func newHoster(t testing.TB) *hoster {
	t.Helper()
	h := &hoster{logs: [2]ctwatch.Log{testLog(1), testLog(2)}, random: mathrand.NewChaCha8([32]byte{1}), domains: benchDomains}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	for _, name := range []string{"Intermediate R10", "Root X1"} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1 << 40), Subject: pkix.Name{Country: []string{"US"}, Organization: []string{"Bench CA"}, CommonName: name},
			NotBefore: epoch.AddDate(-1, 0, 0), NotAfter: epoch.AddDate(4, 0, 0), IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: make([]byte, 20), AuthorityKeyId: make([]byte, 20),
			CRLDistributionPoints: []string{"http://x1.c.example/"}, IssuingCertificateURL: []string{"http://x1.i.example/"},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		must(t, err)
		h.chain = append(h.chain, der)
	}
	h.issuer = pins.FromSPKI([]byte("intermediate"))
	return h
}

func (h *hoster) start(t testing.TB, db *store.DB) {
	t.Helper()
	for _, l := range h.logs {
		_, err := db.Logs.Follow(t.Context(), l)
		must(t, err)
		must(t, db.Logs.Start(t.Context(), l.ID, ctwatch.Tree{}, head(0), ""))
	}
}

// noise returns random bytes.
func (h *hoster) noise(n int) []byte {
	b := make([]byte, n)
	h.random.Read(b)
	return b
}

// certificate makes up the next certificate, found in a log: the structure of all is the
// same, and serial, key, signatures and SCTs are random.
func (h *hoster) certificate(log int) ctwatch.Found {
	i := h.n
	h.n++
	domain := benchDomain(i * 7 % h.domains)
	names := []string{domain, "www." + domain}
	if i%2 == 0 {
		names = append(names, fmt.Sprintf("shop-%d.%s", i, domain))
	}
	before := epoch.Add(time.Duration(i) * time.Second)
	tbs := []byte(strings.Repeat("\x30\x82\x06\x03\x55\x1d\x0f\x01\x01\xff\x04 structure ", 16))
	binary.BigEndian.PutUint64(tbs, uint64(before.Unix()))
	tbs = append(append(append(tbs, strings.Join(names, "\x82")...), h.noise(18)...), h.noise(294)...)
	der := append(append([]byte("\x30\x82\x05\xdc"), tbs...), h.noise(256)...) // with the CA's signature
	der = append(der, strings.Repeat("http://r10.o.lencr.example/", 12)...)
	pre := ctwatch.Hash(sha256.Sum256(der))
	c := ctwatch.Certificate{
		ID: sha256.Sum256(tbs), Serial: fmt.Sprintf("%x", h.noise(18)), Names: names, Subject: "CN=" + domain,
		NotBefore: before, NotAfter: before.AddDate(0, 3, 0),
		Issuer:       ctwatch.Issuer{Name: "CN=R10,O=Let's Encrypt,C=US", Pin: h.issuer, Proven: true},
		Key:          ctwatch.CertificateKey{Algorithm: "RSA 2048", Pin: sha256.Sum256(tbs[100:])},
		Fingerprints: ctwatch.Fingerprints{Precertificate: &pre},
	}
	if h.sameKey {
		c.Key.Pin = pin("key")
	}
	for _, n := range names {
		c.Matches = append(c.Matches, ctwatch.Match{Watch: "." + domain, Name: n, Domain: domain})
	}
	c.SetPins()
	return h.sighting(ctwatch.Found{Certificate: c, TBS: tbs, DER: der, Chain: h.chain}, log)
}

// sighting is a certificate in the next entry of a log.
func (h *hoster) sighting(f ctwatch.Found, log int) ctwatch.Found {
	f.LeafHash = leafHash(log, h.at[log])
	f.Certificate.Sightings = []ctwatch.Sighting{{
		Log: h.logs[log].Name, LogID: h.logs[log].ID, Index: h.at[log], Timestamp: f.Certificate.NotBefore.Add(time.Hour), Kind: ctwatch.Precertificate,
	}}
	h.at[log]++
	return f
}

// batches makes up two batches of new certificates in the first log, and one of half of
// them in the second.
func (h *hoster) batches() []ctwatch.Batch {
	var out []ctwatch.Batch
	batch := func(log int, found []ctwatch.Found) {
		out = append(out, ctwatch.Batch{Log: h.logs[log].ID, Start: h.at[log] - benchBatch, End: h.at[log], Found: found})
	}
	var again []ctwatch.Found
	for range 2 {
		var found []ctwatch.Found
		for i := range benchBatch {
			found = append(found, h.certificate(0))
			if i%2 == 0 {
				again = append(again, found[i])
			}
		}
		batch(0, found)
	}
	for i := range again {
		again[i] = h.sighting(again[i], 1)
	}
	batch(1, again)
	return out
}

// openHoster opens a new database that judges as the daemon does.
func openHoster(t testing.TB, h *hoster) (*store.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	prepare(t, path)
	live := policy.NewLive(benchRules(h.issuer), "bench")
	db, err := store.Open(context.Background(), path, store.Options{
		Logger: discard(), Judge: live.Judge, Learner: live.CAs, Pinned: func(string) (string, string, bool) { return "", "", false },
	})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	h.start(t, db)
	return db, path
}

// cpu returns the CPU time of this process.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A meter measures what is between start and stop.
type meter struct{ cpu, wall time.Duration }

func (m *meter) measure(t testing.TB, f func()) {
	t.Helper()
	from, at := cpu(t), time.Now()
	f()
	m.cpu, m.wall = m.cpu+cpu(t)-from, m.wall+time.Since(at)
}

// BenchmarkRecordEveryEntry records and proves batches of which every entry matches.
func BenchmarkRecordEveryEntry(b *testing.B) {
	h := newHoster(b)
	db, _ := openHoster(b, h)
	var record, prove meter
	entries, rounds := 0, 0
	advance := func() {
		prove.measure(b, func() {
			for i, l := range h.logs {
				must(b, db.Logs.Advance(b.Context(), l.ID, tree(h.at[i]), head(h.at[i])))
			}
		})
	}
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		batches := h.batches()
		b.StartTimer()
		record.measure(b, func() {
			for _, batch := range batches {
				must(b, db.Logs.Record(b.Context(), batch, batch.End))
				entries += len(batch.Found)
			}
		})
		if rounds++; rounds%(benchAdvance/2) == 0 {
			advance()
		}
	}
	advance()
	report(b, entries, record.wall+prove.wall, record.cpu+prove.cpu)
	b.ReportMetric(float64(record.cpu.Microseconds())/float64(entries), "record-µs/entry")
	b.ReportMetric(float64(prove.cpu.Microseconds())/float64(entries), "prove-µs/entry")
}

func report(b *testing.B, entries int, wall, cpu time.Duration) {
	b.ReportMetric(float64(entries)/wall.Seconds(), "entries/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(entries), "cpu-µs/entry")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRecordFloor writes the rows that BenchmarkRecordEveryEntry leaves, in as many
// transactions, by plain statements.
func BenchmarkRecordFloor(b *testing.B) {
	h := newHoster(b)
	db, path := openHoster(b, h)
	const rounds = 16
	entries := 0
	for range rounds {
		for _, batch := range h.batches() {
			must(b, db.Logs.Record(b.Context(), batch, batch.End))
			entries += len(batch.Found)
		}
	}
	for i, l := range h.logs {
		must(b, db.Logs.Advance(b.Context(), l.ID, tree(h.at[i]), head(h.at[i])))
	}
	from, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	must(b, err)
	b.Cleanup(func() { from.Close() })
	var tables []table
	for _, name := range []string{"certificates", "ders", "matches", "sightings", "keys", "key_domains", "grants", "audit", "issuer_certificates", "outbox"} {
		tables = append(tables, readTable(b, from, name))
	}
	var m meter
	total := 0
	for b.Loop() {
		b.StopTimer()
		path := filepath.Join(b.TempDir(), "ctwatch.db")
		prepare(b, path)
		to, err := sql.Open("sqlite", "file:"+path+"?_journal_mode=WAL&_synchronous=NORMAL&_txlock=immediate")
		must(b, err)
		to.SetMaxOpenConns(1)
		var stmts []*sql.Stmt
		for _, t := range tables {
			s, err := to.Prepare(t.insert)
			must(b, err)
			stmts = append(stmts, s)
		}
		b.StartTimer()
		m.measure(b, func() {
			transactions := entries / benchBatch
			for n := range transactions {
				tx, err := to.Begin()
				must(b, err)
				for i, t := range tables {
					s := tx.Stmt(stmts[i])
					for _, row := range t.rows[len(t.rows)*n/transactions : len(t.rows)*(n+1)/transactions] {
						_, err := s.Exec(row...)
						must(b, err)
					}
				}
				must(b, tx.Commit())
			}
		})
		total += entries
		b.StopTimer()
		must(b, to.Close())
		b.StartTimer()
	}
	report(b, total, m.wall, m.cpu)
}

// A table is the rows of one, and the statement that inserts one.
type table struct {
	insert string
	rows   [][]any
}

func readTable(t testing.TB, db *sql.DB, name string) table {
	t.Helper()
	rows, err := db.Query(`SELECT * FROM ` + name)
	must(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(t, err)
	out := table{insert: `INSERT INTO ` + name + ` VALUES (?` + strings.Repeat(`, ?`, len(columns)-1) + `)`}
	for rows.Next() {
		row, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		must(t, rows.Scan(to...))
		for i, v := range row {
			if b, ok := v.([]byte); ok && b == nil {
				row[i] = []byte{} // of length 0, and not NULL
			}
		}
		out.rows = append(out.rows, row)
	}
	must(t, rows.Err())
	return out
}
