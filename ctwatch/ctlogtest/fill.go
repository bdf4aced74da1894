package ctlogtest

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// finalEvery is the share of fillers that are final certificates; the others are
// precertificates, of which real logs hold more.
const finalEvery = 8

// Fill adds n entries for names that nobody watches, or those of
// Options.FillNames: about 2.3 kB each, all different, as crypto/x509 reads them.
// They are cheap, at about 10 µs each: only their hashes are kept, and they are
// rendered when asked for. What is cheap about them can be told by verifying their
// signatures, which are none.
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
		e, err := f.entry(index)
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
	keys   ctwatch.Hash // of the issuer
	common []pkix.Extension
}

func (l *Log) newFiller() (*filler, error) {
	cert := l.filler.issuer.cert
	common, err := leafExtensions("Filler", cert.SubjectKeyId, nil)
	if err != nil {
		return nil, err
	}
	return &filler{log: l, ca: l.filler, at: l.now(), keys: sha256.Sum256(cert.RawSubjectPublicKeyInfo), common: common}, nil
}

func isFinal(index uint64) bool { return index%finalEvery == finalEvery-1 }

// entry implements record.
func (f *filler) entry(index uint64) (Entry, error) {
	t, random, err := f.certificate(index)
	if err != nil {
		return Entry{}, fmt.Errorf("filler %d: %w", index, err)
	}
	e := Entry{Chain: [][]byte{f.ca.Intermediate, f.ca.Root}}
	keys := (*[32]byte)(&f.keys)
	more := poison()
	if isFinal(index) {
		keys = nil
		if more, err = fillerSCTs(random); err != nil {
			return Entry{}, err
		}
	}
	whole, err := t.marshal(&more)
	if err != nil {
		return Entry{}, fmt.Errorf("filler %d: %w", index, err)
	}
	der, err := seal(whole, t.algorithm, fillerSignature(random))
	if err != nil {
		return Entry{}, fmt.Errorf("filler %d: %w", index, err)
	}
	if !isFinal(index) {
		e.Precert = der
		if der, err = t.marshal(nil); err != nil {
			return Entry{}, fmt.Errorf("filler %d: %w", index, err)
		}
	}
	e.Leaf, err = Timestamped(f.at, keys, der, f.log.extensions(index))
	return e, err
}

// truth implements record.
func (f *filler) truth(index uint64) (Truth, error) {
	t, _, err := f.certificate(index)
	if err != nil {
		return Truth{}, err
	}
	der, err := t.marshal(nil)
	if err != nil {
		return Truth{}, err
	}
	known := Truth{
		Index: index, Timestamp: f.at, Kind: ctwatch.Precertificate, ID: sha256.Sum256(der), Names: f.names(index),
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

// certificate makes the filler at an index, out of its index and its log's ID, and
// returns random bytes for what is to be told apart beside it.
func (f *filler) certificate(index uint64) (*tbs, *rand.ChaCha8, error) {
	seed := [32]byte(f.log.id)
	binary.BigEndian.PutUint64(seed[:8], binary.BigEndian.Uint64(seed[:8])^index)
	random := rand.NewChaCha8(seed)
	var serial [16]byte
	_, _ = random.Read(serial[:])
	serial[0] = serial[0]&0x7f | 0x40
	spki, err := fillerKey(random)
	if err != nil {
		return nil, nil, err
	}
	names := f.names(index)
	cn := ""
	if len(names) > 0 && len(names[0]) <= 64 {
		cn = names[0]
	}
	subject, err := asn1.Marshal(pkix.Name{CommonName: cn}.ToRDNSequence())
	if err != nil {
		return nil, nil, err
	}
	san, err := subjectAltName(names, nil, false)
	if err != nil {
		return nil, nil, err
	}
	issuer := f.ca.issuer
	extensions := make([]pkix.Extension, 0, len(f.common)+1)
	extensions = append(append(extensions, f.common...), san)
	from := f.at.Truncate(time.Second).Add(-time.Hour)
	return &tbs{
		serial: new(big.Int).SetBytes(serial[:]), algorithm: issuer.algorithm,
		issuer: issuer.cert.RawSubject, subject: subject, spki: spki,
		notBefore: from, notAfter: from.AddDate(0, 0, 90), extensions: extensions, place: len(extensions),
	}, random, nil
}

// fillerKey makes the SubjectPublicKeyInfo of an RSA 2048 key that nobody has.
func fillerKey(random *rand.ChaCha8) ([]byte, error) {
	var modulus [256]byte
	_, _ = random.Read(modulus[:])
	modulus[0] |= 0x80
	modulus[255] |= 1
	b := cryptobyte.NewBuilder(make([]byte, 0, 300))
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}) // rsaEncryption
			b.AddASN1NULL()
		})
		b.AddASN1(tag.BIT_STRING, func(b *cryptobyte.Builder) {
			b.AddUint8(0)
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1BigInt(new(big.Int).SetBytes(modulus[:]))
				b.AddASN1Int64(65537)
			})
		})
	})
	return b.Bytes()
}

// fillerSignature has the looks of an ECDSA signature.
func fillerSignature(random *rand.ChaCha8) []byte {
	s := []byte{0x30, 0x44}
	for range 2 {
		var n [32]byte
		_, _ = random.Read(n[:])
		n[0] = n[0]&0x7f | 0x40
		s = append(append(s, 0x02, 32), n[:]...)
	}
	return s
}

// fillerSCTs has the looks of two SCTs.
func fillerSCTs(random *rand.ChaCha8) (pkix.Extension, error) {
	var scts [2][117]byte
	for i := range scts {
		_, _ = random.Read(scts[i][:])
		scts[i][0] = 0 // v1
	}
	value, err := sctList([][]byte{scts[0][:], scts[1][:]})
	return pkix.Extension{Id: oidSCTList, Value: value}, err
}
