package ctlogtest

import (
	"crypto/sha256"
	"errors"
	"slices"

	"ctwatch/ctwatch"
)

// AddPrecert adds a precertificate, and returns the log's SCT (RFC 6962 §3.2) and the index.
// Adding it again makes another entry.
func (l *Log) AddPrecert(i *Issued) (sct []byte, index uint64, err error) {
	known := i.truth()
	known.Kind = ctwatch.Precertificate
	e := Entry{Precert: i.Precert, Chain: i.PrecertChain}
	return l.add(e, &i.IssuerKeyHash, i.TBS, known)
}

// AddFinal adds a final certificate that i.Final returned, and returns the log's SCT and the
// index.
func (l *Log) AddFinal(i *Issued, cert []byte) (sct []byte, index uint64, err error) {
	if len(cert) == 0 {
		return nil, 0, errors.New("adding a final certificate: it is empty")
	}
	known := i.truth()
	known.Kind = ctwatch.FinalCertificate
	return l.add(Entry{Chain: i.Chain}, nil, cert, known)
}

// AddRaw adds an entry of any bytes and returns its index: for entries that no CA would make.
// The tree contains it as it is.
func (l *Log) AddRaw(e Entry) (index uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	index = l.tree.size
	known := Truth{Index: index, Timestamp: l.now()}
	return index, l.appendLocked(&single{e, known}, leafHash(e), e.Chain)
}

// add appends an entry that is complete except for its leaf.
func (l *Log) add(e Entry, issuerKeyHash *[32]byte, der []byte, known Truth) (sct []byte, index uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known.Index, known.Timestamp = l.tree.size, l.now()
	extensions := l.extensions(known.Index)
	if e.Leaf, err = Timestamped(known.Timestamp, issuerKeyHash, der, extensions); err != nil {
		return nil, 0, err
	}
	if sct, err = l.signSCT(e, known.Timestamp, extensions); err != nil {
		return nil, 0, err
	}
	return sct, known.Index, l.appendLocked(&single{e, known}, leafHash(e), e.Chain)
}

// extensions returns the CtExtensions of the entry at an index.
func (l *Log) extensions(index uint64) []byte {
	if l.opt.Kind == ctwatch.KindStatic {
		return LeafIndex(index)
	}
	return nil
}

// appendLocked sequences one entry.
func (l *Log) appendLocked(r record, leaf ctwatch.Hash, chain [][]byte) error {
	if err := l.tree.append(leaf); err != nil {
		return err
	}
	l.records = append(l.records, r)
	for _, c := range chain {
		l.issuers[sha256.Sum256(c)] = c
	}
	if l.opt.AutoPublish {
		return l.publishLocked()
	}
	return nil
}

// Truth returns all that was added, published or not, in the order of the log. It renders
// fillers, which takes about 10 µs each.
func (l *Log) Truth() ([]Truth, error) {
	l.mu.RLock()
	records := slices.Clip(l.records)
	l.mu.RUnlock()
	out := make([]Truth, len(records))
	for i, r := range records {
		var err error
		if out[i], err = r.truth(uint64(i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
