package store_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/store"
	"ctwatch/store/storetest"
)

// BenchmarkListPage reads a page of 100 certificates with each filter, in a store with
// storetest.Many certificates.
func BenchmarkListPage(b *testing.B) {
	db := filled(b)
	first, err := storetest.New(storetest.Options{})
	must(b, err)
	for _, bench := range []struct {
		name   string
		filter store.Filter
	}{
		{"all", store.Filter{}},
		{"domain", store.Filter{Domain: "customer-7.example"}},
		{"top-level domain", store.Filter{Domain: "example"}},
		{"no domain", store.Filter{Domain: "none.example"}},
		{"verdict", store.Filter{Verdict: ctwatch.Unreviewed}},
		{"no verdict", store.Filter{Verdict: ctwatch.Unexpected}},
		{"open", store.Filter{Open: true}},
		{"unproven", store.Filter{Unproven: true}},
		{"since", store.Filter{Since: time.Now().Add(-time.Hour)}},
		{"log", store.Filter{Log: first.Second.ID}},
		{"no log", store.Filter{Log: testLog(9).ID}},
		{"domain and log", store.Filter{Domain: "customer-8.example", Log: first.Second.ID}},
		{"domain, open", store.Filter{Domain: "customer-7.example", Open: true}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bench.filter.Limit = 100
			for b.Loop() {
				for _, err := range db.Certificates.List(context.Background(), bench.filter) {
					must(b, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
		})
	}
}

// BenchmarkListFloor reads the columns of 100 certificates, their matches and sightings with
// plain SQLite, and makes nothing of them.
func BenchmarkListFloor(b *testing.B) {
	db := filled(b)
	for b.Loop() {
		for _, query := range []string{
			`SELECT * FROM certificates ORDER BY first_seen DESC LIMIT 100`,
			`SELECT m.* FROM (SELECT seq FROM certificates ORDER BY first_seen DESC LIMIT 100) JOIN matches m ON m.certificate = seq`,
			`SELECT s.* FROM (SELECT seq FROM certificates ORDER BY first_seen DESC LIMIT 100) JOIN sightings s ON s.certificate = seq`,
		} {
			rows, err := db.Reader().Query(query)
			must(b, err)
			columns, err := rows.Columns()
			must(b, err)
			row := make([]any, len(columns))
			for i := range row {
				row[i] = new(sql.RawBytes)
			}
			for rows.Next() {
				must(b, rows.Scan(row...))
			}
			must(b, rows.Err())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
}

// filled opens a store with storetest.Many certificates to read.
func filled(b *testing.B) *store.DB {
	b.Helper()
	db, err := store.OpenReadOnly(context.Background(), storetest.Filled(b, storetest.Many(b)))
	must(b, err)
	b.Cleanup(func() { must(b, db.Close()) })
	return db
}
