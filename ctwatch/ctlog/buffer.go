package ctlog

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
)

// maxKept is the size of the largest buffer that is handed round; larger ones are
// left to the garbage collector, so that one huge reply does not cost for ever.
const maxKept = 4 << 20

// A buffer is what a reply is read into. Those with entries are large and many, and
// live only until they are scanned, so that their storage is handed round.
type buffer struct {
	storage
	free chan storage // where it comes from and goes to; nil for a reply without entries

	slot   chan struct{} // taken in the Budget; nil if none is
	waited time.Duration // for it
}

// storage is the memory of a buffer.
type storage struct {
	body    []byte
	scratch []byte // for decoding one entry
	spans   []span
	inflate inflater
}

// adopt gives the buffer storage that is free. A sync.Pool would be emptied by each
// garbage collection, and by that bring on the next.
func (b *buffer) adopt() {
	select {
	case b.storage = <-b.free:
		b.body, b.scratch, b.spans = b.body[:0], b.scratch[:0], b.spans[:0]
	default:
	}
}

func (b *buffer) release() {
	if b.slot != nil {
		<-b.slot
		b.slot = nil
	}
	if cap(b.body)+cap(b.scratch) > maxKept {
		return
	}
	select {
	case b.free <- b.storage:
	default: // there is enough, or it is not for entries
	}
	b.storage = storage{}
}

// grow makes room for a body of about n bytes, so that it need not be moved while
// it grows. The number is not believed: it counts up to the size of what is kept.
func (b *buffer) grow(n, limit int64) {
	if n := int(min(n+1, limit+1, maxKept/2)); n > cap(b.body) {
		b.body = make([]byte, 0, n)
	}
}

// An inflater is the state of reading gzip. Its zero value is ready.
type inflater struct {
	br *bufio.Reader
	z  *gzip.Reader
}

// read reads all of r into the body, inflated if it is gzip, and refuses more than
// limit bytes. Nothing that a log serves begins like gzip unless it is: JSON and
// checkpoints are text, certificates begin with 0x30, and a data tile with the
// upper byte of a timestamp. Only a hash tile may, so those are never inflated.
func (b *buffer) read(r io.Reader, limit int64) (err error) {
	if limit == maxHash {
		b.body, err = readAtMost(r, b.body, limit)
		return err
	}
	f := &b.inflate
	if f.br == nil {
		f.br, f.z = bufio.NewReaderSize(nil, 32<<10), new(gzip.Reader)
	}
	f.br.Reset(r)
	defer f.br.Reset(nil)
	if magic, _ := f.br.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		b.body, err = readAtMost(f.br, b.body, limit)
		return err
	}
	if err := f.z.Reset(f.br); err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	if b.body, err = readAtMost(f.z, b.body, limit); err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	return nil
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

// A Budget bounds how many replies with entries are in memory at once, over all
// logs that share it: while many logs are behind, they take turns. Each log may
// hold one reply beyond it, so that none has to wait for those that are slow.
type Budget struct {
	shared chan struct{}
	free   chan storage
}

// NewBudget returns a budget of n replies.
func NewBudget(n int) *Budget {
	return &Budget{make(chan struct{}, n), make(chan storage, n)}
}

// freeWithout is how many free buffers a log keeps that has no Budget.
const freeWithout = 16

// A share is one log's part in a Budget. Where shared is nil there are no bounds.
type share struct {
	shared chan struct{}
	own    chan struct{} // the one reply beyond
	free   chan storage
}

func (b *Budget) share() *share {
	if b == nil {
		return &share{free: make(chan storage, freeWithout)}
	}
	return &share{b.shared, make(chan struct{}, 1), b.free}
}

// take waits until buf may be filled, and gives it storage. It notes how long it
// waited: that is no fault of the log.
func (s *share) take(ctx context.Context, buf *buffer) error {
	if buf.free == nil || buf.slot != nil {
		return nil
	}
	if s.shared == nil {
		buf.adopt()
		return nil
	}
	begun := time.Now()
	select {
	case s.own <- struct{}{}: // while it is free the shared ones are left to others
		buf.slot = s.own
	default:
		select {
		case s.own <- struct{}{}:
			buf.slot = s.own
		case s.shared <- struct{}{}:
			buf.slot = s.shared
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	buf.waited += time.Since(begun)
	buf.adopt()
	return nil
}
