package ctlog

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"

	"ctwatch/ctwatch/ctlog/inflate"
)

// maxPooled is the size of the largest buffer that is reused. Larger ones are left to the
// garbage collector, so that one huge reply does not take memory forever.
const maxPooled = 4 << 20

// A buffer holds a reply. Replies with entries are large and many, and needed only until
// they are scanned, so their storage is reused.
type buffer struct {
	storage
	free chan storage // where storage comes from and returns to; nil for a reply without entries

	slot   chan struct{} // taken in the Budget; nil if not taken
	waited time.Duration // for it
}

// storage is the memory of a buffer.
type storage struct {
	body     []byte // the reply: received or unpacked
	received []byte
	unpacked []byte
	scratch  []byte // for decoding one entry
	spans    []span
	inflate  *inflater // nil before the first gzip
}

// adopt takes free storage. A sync.Pool would be emptied by each garbage collection, and so
// cause the next one.
func (b *buffer) adopt() {
	select {
	case b.storage = <-b.free:
		b.body, b.received, b.unpacked, b.scratch, b.spans = nil, b.received[:0], b.unpacked[:0], b.scratch[:0], b.spans[:0]
	default:
	}
}

func (b *buffer) release() {
	if b.slot != nil {
		<-b.slot
		b.slot = nil
	}
	if cap(b.received)+cap(b.unpacked)+cap(b.scratch) > maxPooled {
		return
	}
	select {
	case b.free <- b.storage:
	default: // enough is free, or it is not for entries
	}
	b.storage = storage{}
}

// room returns b, emptied, with room for n bytes and one more, so that they need not be copied
// while they grow. n comes from the log, so it is bounded.
func room(b []byte, n int64) []byte {
	if n = min(n+1, maxPooled/2); n > int64(cap(b)) {
		return make([]byte, 0, n+n/8)
	}
	return b[:0]
}

// An inflater reads gzip.
type inflater struct {
	decoder inflate.Decoder
	memory  bytes.Reader
	z       gzip.Reader
}

// decompress returns what src decompresses to, in dst if that has room.
func (f *inflater) decompress(dst, src []byte, limit int64) ([]byte, error) {
	if out, ok := f.decoder.Gzip(dst, src, limit); ok {
		return out, nil
	}
	f.memory.Reset(src)
	defer f.memory.Reset(nil)
	return f.stream(dst, &f.memory, limit)
}

// stream appends what r decompresses to.
func (f *inflater) stream(dst []byte, r io.Reader, limit int64) ([]byte, error) {
	if err := f.z.Reset(r); err != nil {
		return nil, err
	}
	return readAtMost(&f.z, dst, limit)
}

// read reads all of r into the body, decompressed if it is gzip. More than limit bytes are an
// error. Nothing else that a log serves begins like gzip: JSON and checkpoints are text,
// certificates begin with 0x30, and a data tile with the upper byte of a timestamp. Only a
// hash tile may, so hash tiles are never decompressed.
//
// Less than whole bytes of gzip are decompressed at once, which is faster than from a stream.
// More are not: a little gzip can be more than limit, and the rest of it need not be read.
func (b *buffer) read(r io.Reader, whole, limit int64) (err error) {
	if b.received, err = readAtMost(io.LimitReader(r, whole), b.received, whole); err != nil {
		return err
	}
	if limit == maxHash || !bytes.HasPrefix(b.received, []byte{0x1f, 0x8b}) {
		b.received, err = readAtMost(r, b.received, limit)
		b.body = b.received
		return err
	}
	if b.inflate == nil {
		b.inflate = new(inflater)
	}
	if int64(len(b.received)) < whole {
		b.unpacked, err = b.inflate.decompress(b.unpacked, b.received, limit)
	} else {
		b.unpacked, err = b.inflate.stream(b.unpacked, bufio.NewReader(io.MultiReader(bytes.NewReader(b.received), r)), limit)
	}
	if err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	b.body = b.unpacked
	return nil
}

func readAtMost(r io.Reader, dst []byte, limit int64) ([]byte, error) {
	if cap(dst) == 0 {
		dst = make([]byte, 0, 512) // enough for a tree head
	}
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

// A Budget bounds how many replies with entries are in memory at once, for all logs that
// share it: while many logs are behind, they take turns. Each log may hold one more reply,
// so that no log waits for slow ones.
type Budget struct {
	shared chan struct{}
	free   chan storage
}

// NewBudget returns a budget of n replies.
func NewBudget(n int) *Budget {
	return &Budget{make(chan struct{}, n), make(chan storage, n)}
}

// freeBuffers is how many free buffers a log without a Budget keeps.
const freeBuffers = 16

// A share is one log's part of a Budget. It has no bounds if shared is nil.
type share struct {
	shared chan struct{}
	own    chan struct{} // the one more reply
	free   chan storage
}

func (b *Budget) share() *share {
	if b == nil {
		return &share{free: make(chan storage, freeBuffers)}
	}
	return &share{b.shared, make(chan struct{}, 1), b.free}
}

// take waits until buf may be filled, and gives it storage. It adds the time it waited to
// buf.waited: the log is not slow because of it.
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
	case s.own <- struct{}{}: // leaves the shared ones to other logs
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
