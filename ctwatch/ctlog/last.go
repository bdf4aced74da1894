package ctlog

import (
	"bytes"
	"sync/atomic"

	"ctwatch/ctwatch"
)

// lastHead remembers the last tree head whose signature was good: most polls get the same
// bytes again, which need not be verified again.
type lastHead struct{ head atomic.Pointer[ctwatch.Head] }

// or returns the tree head in a reply: the last one, if the reply has its bytes, or else what
// verify returns.
func (l *lastHead) or(raw []byte, verify func() (ctwatch.Head, error)) (ctwatch.Head, error) {
	if last := l.head.Load(); last != nil && bytes.Equal(last.Raw, raw) {
		return *last, nil
	}
	head, err := verify()
	if err == nil {
		l.head.Store(&head)
	}
	return head, err
}
