package store_test

import (
	"database/sql"
	"os"
	"testing"

	_ "modernc.org/sqlite"

	"ctwatch/store/storetest"
)

// BenchmarkBytesPerCertificate reports how large a database is, per certificate: after it was
// closed, in all, and its largest tables with their indexes. It measures no time.
func BenchmarkBytesPerCertificate(b *testing.B) {
	n := storetest.Many(b)
	path := storetest.Filled(b, n)
	fi, err := os.Stat(path)
	must(b, err)
	r, err := sql.Open("sqlite", path)
	must(b, err)
	defer r.Close()
	rows, err := r.Query(`
		SELECT tbl_name, sum(pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name
		WHERE aggregate = TRUE GROUP BY 1 ORDER BY 2 DESC LIMIT 6`)
	must(b, err)
	defer rows.Close()
	for b.Loop() {
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(fi.Size())/float64(n), "bytes/certificate")
	for rows.Next() {
		var table string
		var size int64
		must(b, rows.Scan(&table, &size))
		b.ReportMetric(float64(size)/float64(n), table)
	}
	must(b, rows.Err())
}
