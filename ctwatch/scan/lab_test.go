package scan_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/scan"
)

// A lab is a log and a CA.
type lab struct {
	testing.TB
	kind ctwatch.LogKind
	l    *ctlogtest.Log
	log  ctlog.Log
	ca   *ctlogtest.CA
}

// inBothKinds runs a test in a lab of each kind of log.
func inBothKinds(t *testing.T, test func(t *testing.T, lab *lab)) {
	for _, kind := range []ctwatch.LogKind{ctwatch.KindRFC6962, ctwatch.KindStatic} {
		t.Run(string(kind), func(t *testing.T) { test(t, newLab(t, kind, ctlogtest.CAOptions{})) })
	}
}

func newLab(t testing.TB, kind ctwatch.LogKind, opt ctlogtest.CAOptions) *lab {
	t.Helper()
	l, log := serve(t, ctlogtest.Options{Kind: kind, Name: "Lab"})
	ca, err := ctlogtest.NewCA(opt)
	if err != nil {
		t.Fatal(err)
	}
	return &lab{t, kind, l, log, ca}
}

func (x *lab) issue(r ctlogtest.Request) *ctlogtest.Issued {
	x.Helper()
	i, err := x.ca.Issue(r)
	if err != nil {
		x.Fatal(err)
	}
	return i
}

// add issues and logs a precertificate.
func (x *lab) add(r ctlogtest.Request) *ctlogtest.Issued {
	x.Helper()
	i := x.issue(r)
	if _, _, err := x.l.AddPrecert(i); err != nil {
		x.Fatal(err)
	}
	return i
}

// addRaw logs an entry as no CA would have it: with an issuer a precertificate
// entry of a TBSCertificate, and what is served with it; without, a certificate.
func (x *lab) addRaw(issuer *[32]byte, der, precert []byte) {
	x.Helper()
	truth, err := x.l.Truth()
	if err != nil {
		x.Fatal(err)
	}
	var extensions []byte
	if x.kind == ctwatch.KindStatic {
		extensions = ctlogtest.LeafIndex(uint64(len(truth)))
	}
	leaf, err := ctlogtest.Timestamped(time.Now(), issuer, der, extensions)
	if err != nil {
		x.Fatal(err)
	}
	if _, err := x.l.AddRaw(ctlogtest.Entry{Leaf: leaf, Precert: precert, Chain: [][]byte{x.ca.Intermediate, x.ca.Root}}); err != nil {
		x.Fatal(err)
	}
}

// scan reads the whole log.
func (x *lab) scan(watch ...string) ctwatch.Batch {
	x.Helper()
	return scanAll(x, x.l, x.log, &scan.Scanner{Log: x.l.Info(), List: list(x, watch...)})
}

// scanLong reads the whole log, in as many replies as it takes, and returns what
// matches by the index of its entry.
func (x *lab) scanLong(watch ...string) map[uint64]ctwatch.Certificate {
	x.Helper()
	head, err := x.l.Publish()
	if err != nil {
		x.Fatal(err)
	}
	s := &scan.Scanner{Log: x.l.Info(), List: list(x, watch...)}
	out := make(map[uint64]ctwatch.Certificate)
	for at := uint64(0); at < head.Size; {
		c, err := x.log.Fetch(x.Context(), at, head.Size, head.Size)
		if err != nil {
			x.Fatal(err)
		}
		b, err := s.Scan(c)
		if err != nil {
			x.Fatal(err)
		}
		for _, f := range b.Found {
			out[f.Certificate.Sightings[0].Index] = f.Certificate
		}
		at = b.End
	}
	return out
}

// matched returns which names of each entry matched.
func matched(b ctwatch.Batch) map[uint64][]string {
	out := make(map[uint64][]string)
	for _, f := range b.Found {
		var names []string
		for _, m := range f.Certificate.Matches {
			names = append(names, m.Name)
		}
		out[f.Certificate.Sightings[0].Index] = names
	}
	return out
}

func extension(value []byte, id ...int) pkix.Extension {
	return pkix.Extension{Id: id, Value: value}
}

func san(names ...string) pkix.Extension {
	var all []byte
	for _, n := range names {
		all = append(all, str(0x82, n)...)
	}
	return extension(str(0x30, string(all)), 2, 5, 29, 17)
}

// str encodes an element.
func str(tag byte, content string) []byte {
	b, err := asn1.Marshal(asn1.RawValue{Class: int(tag >> 6), Tag: int(tag & 0x1f), IsCompound: tag&0x20 != 0, Bytes: []byte(content)})
	if err != nil {
		panic(err)
	}
	return b
}

// subject encodes a Name of common names, each in an RDN of its own.
func subject(values ...[]byte) []byte {
	var rdns string
	for _, v := range values {
		rdns += string(str(0x31, string(commonName(v))))
	}
	return str(0x30, rdns)
}

func commonName(value []byte) []byte { return str(0x30, "\x06\x03\x55\x04\x03"+string(value)) }
