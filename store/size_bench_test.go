package store_test

import (
	"database/sql"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite"

	"ctwatch/store/storetest"
)

// BenchmarkBytesPerCertificate reports how large a database is, per certificate: after it was
// closed, in all, and its largest tables with their indexes. The floor is what remains of the file
// when all of it is compressed as one piece, by zstd with long matches: what is random in it, and
// what no row can do without if it is to be read alone. It measures no time.
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
	b.ReportMetric(float64(compressedSize(b, path))/float64(n), "floor-bytes/certificate")
	for rows.Next() {
		var table string
		var size int64
		must(b, rows.Scan(&table, &size))
		b.ReportMetric(float64(size)/float64(n), table)
	}
	must(b, rows.Err())
}

// compressedSize returns the size of a file that is compressed as a whole.
func compressedSize(b *testing.B, path string) (size int64) {
	in, err := os.Open(path)
	must(b, err)
	defer in.Close()
	var out counter
	w, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(64<<20), zstd.WithEncoderConcurrency(1))
	must(b, err)
	_, err = io.Copy(w, in)
	must(b, errors.Join(err, w.Close()))
	return int64(out)
}

// A counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
