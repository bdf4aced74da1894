package ctlogtest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// finalEvery makes one in so many fillers a final certificate. The others are precertificates,
// of which real logs have more.
const finalEvery = 8

// Fill adds n entries for names that no one watches, or those of Options.FillNames: about
// 1.6 kB each without the chain, all different, and readable by crypto/x509. They take about
// 10 µs each: only hashes are stored, the entries are rendered when requested, and their
// signatures are random.
func (l *Log) Fill(n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.filler == nil {
		ca, err := NewCA(CAOptions{Name: "Filler", Seed: "filler", Now: l.opt.Now})
		if err != nil {
			return err
		}
		l.filler = ca
		for _, der := range [][]byte{ca.Intermediate, ca.Root} {
			l.issuers[sha256.Sum256(der)] = der
		}
	}
	f, err := l.newFiller()
	if err != nil {
		return err
	}
	for range n {
		index := l.tree.size
		e, _, _, err := f.leaf(index)
		if err != nil {
			return err
		}
		if err := l.tree.append(leafHash(e)); err != nil {
			return err
		}
		l.records = append(l.records, f)
	}
	if l.opt.AutoPublish {
		return l.publishLocked()
	}
	return nil
}

// A filler is the record of all the entries of one Fill.
type filler struct {
	log    *Log
	ca     *CA
	at     time.Time
	keys   [32]byte // hash of the issuer's key
	common *tbs     // the parts that all share
	poison []byte
}

func (l *Log) newFiller() (*filler, error) {
	f := &filler{log: l, ca: l.filler, at: l.now()}
	issuer := f.ca.issuer
	f.keys = sha256.Sum256(issuer.cert.RawSubjectPublicKeyInfo)
	extensions, err := leafExtensions(issuer.cert.SubjectKeyId, nil)
	if err != nil {
		return nil, err
	}
	from := f.at.Truncate(time.Second).Add(-time.Hour)
	valid, err := validity(from, from.AddDate(0, 0, 90))
	if err != nil {
		return nil, err
	}
	f.common = &tbs{
		algorithm: issuer.algorithm, issuer: issuer.cert.RawSubject, validity: valid,
		extensions: slices.Clip(extensions), place: len(extensions) + 1,
	}
	f.poison, err = poison()
	return f, err
}

func isFinal(index uint64) bool { return index%finalEvery == finalEvery-1 }

// certificate makes the filler at an index from the index and the log's ID, and returns random
// bytes for what else differs.
func (f *filler) certificate(index uint64) (*tbs, *rand.ChaCha8, error) {
	seed := [32]byte(f.log.id)
	binary.BigEndian.PutUint64(seed[:8], binary.BigEndian.Uint64(seed[:8])^index)
	random := rand.NewChaCha8(seed)
	names := f.names(index)
	san, err := subjectAltName(names, nil, false)
	if err != nil {
		return nil, nil, fmt.Errorf("filler %d: %w", index, err)
	}
	t := *f.common
	t.serial, t.spki = der(0x02, number16(random)), fillerKey(random)
	t.subject = commonName("")
	if len(names) > 0 && len(names[0]) <= 64 {
		t.subject = commonName(names[0])
	}
	t.extensions = append(t.extensions, san)
	return &t, random, nil
}

// leaf renders the hashed part of the entry at an index: all that Fill needs.
func (f *filler) leaf(index uint64) (Entry, *tbs, *rand.ChaCha8, error) {
	t, random, err := f.certificate(index)
	if err != nil {
		return Entry{}, nil, nil, err
	}
	var body []byte
	keys := &f.keys
	if isFinal(index) {
		scts, err := fillerSCTs(random)
		if err != nil {
			return Entry{}, nil, nil, err
		}
		keys, body = nil, seal(t.marshal(scts), t.algorithm, fillerSignature(random))
	} else {
		body = t.marshal(nil)
	}
	e := Entry{Chain: [][]byte{f.ca.Intermediate, f.ca.Root}}
	e.Leaf, err = Timestamped(f.at, keys, body, f.log.extensions(index))
	return e, t, random, err
}

// entry implements record.
func (f *filler) entry(index uint64) (Entry, error) {
	e, t, random, err := f.leaf(index)
	if err == nil && !isFinal(index) {
		e.Precert = seal(t.marshal(f.poison), t.algorithm, fillerSignature(random))
	}
	return e, err
}

// truth implements record.
func (f *filler) truth(index uint64) (Truth, error) {
	t, _, err := f.certificate(index)
	if err != nil {
		return Truth{}, err
	}
	known := Truth{
		Index: index, Timestamp: f.at, Kind: ctwatch.Precertificate, ID: sha256.Sum256(t.marshal(nil)), Names: f.names(index),
		LeafPin: pins.FromSPKI(t.spki), IssuerPin: pins.Pin(f.keys), Filler: true,
	}
	if isFinal(index) {
		known.Kind = ctwatch.FinalCertificate
	}
	return known, nil
}

func (f *filler) names(index uint64) []string {
	if names := f.log.opt.FillNames; names != nil {
		return names(index)
	}
	name := fmt.Sprintf("host-%d.filler.test", index)
	return []string{name, "www." + name}
}

// number16 returns a positive number of 16 bytes.
func number16(random *rand.ChaCha8) []byte {
	n := make([]byte, 16)
	_, _ = random.Read(n)
	n[0] = n[0]&0x7f | 0x40
	return n
}

// fillerKey returns the SubjectPublicKeyInfo of a random RSA 2048 key.
func fillerKey(random *rand.ChaCha8) []byte {
	var modulus [257]byte
	_, _ = random.Read(modulus[1:])
	modulus[1] |= 0x80
	modulus[256] |= 1
	rsaEncryption := []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00")
	exponent := []byte{0x02, 3, 1, 0, 1} // 65537
	return der(0x30, rsaEncryption, der(0x03, []byte{0}, der(0x30, der(0x02, modulus[:]), exponent)))
}

// fillerSignature returns what looks like an ECDSA signature.
func fillerSignature(random *rand.ChaCha8) []byte {
	r, s := slices.Concat(number16(random), number16(random)), slices.Concat(number16(random), number16(random))
	return der(0x30, der(0x02, r), der(0x02, s))
}

// fillerSCTs returns what looks like an extension with two SCTs.
func fillerSCTs(random *rand.ChaCha8) ([]byte, error) {
	var scts [2][117]byte
	for i := range scts {
		_, _ = random.Read(scts[i][:])
		scts[i][0] = 0 // v1
	}
	value, err := sctList([][]byte{scts[0][:], scts[1][:]})
	if err != nil {
		return nil, err
	}
	return extension(oidSCTList, false, value)
}
