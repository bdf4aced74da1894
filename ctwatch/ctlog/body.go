package ctlog

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Replies with entries are large and many, and live only until they are scanned.
// What it takes to read one (a buffer for the body, the state of the inflater) is
// therefore handed round.
var (
	buffers  = sync.Pool{New: func() any { return new(buffer) }}
	inflater = sync.Pool{New: func() any { return &inflate{br: bufio.NewReaderSize(nil, 32<<10), z: new(gzip.Reader)} }}
)

// maxKept is the size of the largest buffer that is handed round; larger ones are
// left to the garbage collector, so that one huge reply does not cost for ever.
const maxKept = 4 << 20

// A buffer is memory that a reply is read into, and decoded in.
type buffer struct {
	body    []byte
	scratch []byte
	spans   []span
}

func newBuffer() *buffer {
	b := buffers.Get().(*buffer)
	b.body, b.scratch, b.spans = b.body[:0], b.scratch[:0], b.spans[:0]
	return b
}

func (b *buffer) release() {
	if cap(b.body)+cap(b.scratch) <= maxKept {
		buffers.Put(b)
	}
}

type inflate struct {
	br *bufio.Reader
	z  *gzip.Reader
}

// readBody appends all of r to dst, inflated if it is gzip, and refuses more than
// limit bytes. Nothing that a log serves begins like gzip unless it is: JSON and
// checkpoints are text, certificates begin with 0x30, and a data tile with the
// upper byte of a timestamp. Only a hash tile may, so those are never inflated.
func readBody(r io.Reader, dst []byte, limit int64) ([]byte, error) {
	if limit == maxHash {
		return readAtMost(r, dst, limit)
	}
	f := inflater.Get().(*inflate)
	defer func() {
		f.br.Reset(nil)
		inflater.Put(f)
	}()
	f.br.Reset(r)
	if magic, _ := f.br.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return readAtMost(f.br, dst, limit)
	}
	if err := f.z.Reset(f.br); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	b, err := readAtMost(f.z, dst, limit)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return b, nil
}

func readAtMost(r io.Reader, dst []byte, limit int64) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case int64(len(dst)) > limit:
			return nil, fmt.Errorf("reply of more than %d bytes", limit)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return nil, err
		}
	}
}
