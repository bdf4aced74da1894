package ctlogtest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A Request describes a certificate to issue. Its zero value is a valid request for a
// certificate without names.
type Request struct {
	// Names go into the SAN as they are, including hostile bytes. With neither Names nor IPs
	// there is no SAN; a custom one goes into ExtraExtensions.
	Names []string
	IPs   []netip.Addr

	CommonName string // "" for none
	Subject    []byte // a Name in DER, instead of CommonName

	// Key is certified. For a renewal it is the key of the first certificate. Default: a new
	// ECDSA P-256 key.
	Key crypto.Signer

	NotBefore, NotAfter time.Time // default: an hour ago, and 90 days after that
	Serial              *big.Int  // default: a new one

	// ExtraExtensions come last, after the poison or the SCT list.
	ExtraExtensions []pkix.Extension

	// Encode changes the encoding of each TBSCertificate before it is signed, for example
	// with Reencode. Default: DER.
	Encode func(tbs []byte) ([]byte, error)
}

// An Issued is a certificate in the forms that logs store. All have one TBSCertificate, byte
// for byte, except for poison and SCT list.
type Issued struct {
	ID      ctwatch.Hash // SHA-256 of TBS
	TBS     []byte       // without poison and SCT list, under the final issuer (RFC 6962 §3.2)
	Precert []byte       // as submitted, with poison

	IssuerKeyHash [32]byte // of the final issuer
	Issuer        []byte   // the final issuer's certificate
	Chain         [][]byte // of the final certificate: issuer first, root last
	PrecertChain  [][]byte // of the precertificate: the same, plus any precertificate signing certificate

	LeafPin, IssuerPin pins.Pin
	Names, IPs         []string // see Truth
	Key                crypto.Signer

	ca  *CA
	tbs *tbs
}

func (i *Issued) truth() Truth {
	return Truth{ID: i.ID, Names: i.Names, IPs: i.IPs, LeafPin: i.LeafPin, IssuerPin: i.IssuerPin}
}

// Issue issues a certificate: the precertificate now, the final one with Final.
func (ca *CA) Issue(req Request) (*Issued, error) {
	i, err := ca.issue(req)
	if err != nil {
		return nil, fmt.Errorf("issuing for %q: %w", req.Names, err)
	}
	return i, nil
}

func (ca *CA) issue(req Request) (*Issued, error) {
	ca.mu.Lock()
	ca.issued++
	number := ca.issued
	ca.mu.Unlock()

	var err error
	if req.Key == nil {
		leafKeys := CA{opt: CAOptions{Seed: ca.opt.Seed}} // P-256 even below an RSA CA
		if req.Key, err = leafKeys.newKey(fmt.Sprintf("leaf %d", number)); err != nil {
			return nil, err
		}
	}
	spki, err := x509.MarshalPKIXPublicKey(req.Key.Public())
	if err != nil {
		return nil, err
	}
	t, err := ca.template(req, number, spki)
	if err != nil {
		return nil, err
	}
	i := &Issued{
		IssuerKeyHash: sha256.Sum256(ca.issuer.cert.RawSubjectPublicKeyInfo),
		Issuer:        ca.Intermediate, Chain: [][]byte{ca.Intermediate, ca.Root},
		LeafPin: pins.FromSPKI(spki), IssuerPin: pins.FromSPKI(ca.issuer.cert.RawSubjectPublicKeyInfo),
		Names: slices.Clone(req.Names), Key: req.Key, ca: ca, tbs: t,
	}
	i.PrecertChain = i.Chain
	if ca.PrecertSigner != nil {
		i.PrecertChain = append([][]byte{ca.PrecertSigner}, i.Chain...)
	}
	if cn := req.CommonName; cn != "" && !slices.Contains(i.Names, cn) {
		i.Names = append(i.Names, cn)
	}
	for _, ip := range req.IPs {
		i.IPs = append(i.IPs, ip.String())
	}
	if i.TBS, err = t.encoded(nil); err != nil {
		return nil, err
	}
	i.ID = sha256.Sum256(i.TBS)
	mark, err := poison()
	if err != nil {
		return nil, err
	}
	if t, err = t.under(ca.issuer, ca.precertSign); err != nil {
		return nil, err
	}
	i.Precert, err = t.sign(ca.precertSign, mark)
	return i, err
}

// template returns what all forms of a certificate share.
func (ca *CA) template(req Request, number uint64, spki []byte) (*tbs, error) {
	now := ca.opt.Now().UTC().Truncate(time.Second)
	if req.NotBefore.IsZero() {
		req.NotBefore = now.Add(-time.Hour)
	}
	if req.NotAfter.IsZero() {
		req.NotAfter = req.NotBefore.AddDate(0, 0, 90)
	}
	if req.Serial == nil {
		d := sha256.Sum256(binary.BigEndian.AppendUint64(slices.Clip(ca.issuer.cert.RawSubjectPublicKeyInfo), number))
		d[0] = d[0]&0x7f | 0x40 // positive, and always of the same length
		req.Serial = new(big.Int).SetBytes(d[:16])
	}
	serial, err := asn1.Marshal(req.Serial)
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	if req.Subject == nil {
		req.Subject = commonName(req.CommonName)
	}
	extensions, err := leafExtensions(ca.issuer.cert.SubjectKeyId, spki)
	if err != nil {
		return nil, err
	}
	if len(req.Names)+len(req.IPs) > 0 {
		san, err := subjectAltName(req.Names, req.IPs, req.CommonName == "")
		if err != nil {
			return nil, err
		}
		extensions = append(extensions, san)
	}
	place := len(extensions)
	for _, e := range req.ExtraExtensions {
		x, err := extension(e.Id, e.Critical, e.Value)
		if err != nil {
			return nil, err
		}
		extensions = append(extensions, x)
	}
	valid, err := validity(req.NotBefore, req.NotAfter)
	return &tbs{
		serial: serial, algorithm: ca.issuer.algorithm, issuer: ca.issuer.cert.RawSubject, validity: valid,
		subject: req.Subject, spki: spki, extensions: extensions, place: place, encode: req.Encode,
	}, err
}

// Final returns the final certificate with SCTs. Without any it has no SCT list.
func (i *Issued) Final(scts ...[]byte) ([]byte, error) {
	if i.tbs == nil {
		return nil, fmt.Errorf("certificate %v was not issued by a CA of this package", i.ID)
	}
	var list []byte
	if len(scts) > 0 {
		value, err := sctList(scts)
		if err != nil {
			return nil, fmt.Errorf("embedding SCTs: %w", err)
		}
		if list, err = extension(oidSCTList, false, value); err != nil {
			return nil, err
		}
	}
	return i.tbs.sign(i.ca.issuer, list)
}

// under returns the TBSCertificate of one authority as another would issue it: only issuer name
// and authority key identifier may differ (RFC 6962 §3.2).
func (t *tbs) under(from, to authority) (*tbs, error) {
	was, err := authorityKeyID(from.cert.SubjectKeyId)
	if err != nil {
		return nil, err
	}
	is, err := authorityKeyID(to.cert.SubjectKeyId)
	if err != nil {
		return nil, err
	}
	other := *t
	other.issuer, other.algorithm = to.cert.RawSubject, to.algorithm
	other.extensions = slices.Clone(t.extensions)
	i := slices.IndexFunc(t.extensions, func(e []byte) bool { return bytes.Equal(e, was) })
	other.extensions[i] = is // every leaf has it, see leafExtensions
	return &other, nil
}

// sign encodes a certificate, with one more extension if it is not nil.
func (t *tbs) sign(a authority, more []byte) ([]byte, error) {
	body, err := t.encoded(more)
	if err != nil {
		return nil, err
	}
	signature, err := signSHA256(a.key, body)
	if err != nil {
		return nil, err
	}
	return seal(body, t.algorithm, signature), nil
}
