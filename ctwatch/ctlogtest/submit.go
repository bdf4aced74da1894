package ctlogtest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// maxChain bounds the body of a submission, in bytes.
const maxChain = 1 << 20

// addChain answers add-chain (RFC 6962 §4.1).
func (v *View) addChain(w http.ResponseWriter, r *http.Request) { v.submit(w, r, false) }

// addPreChain answers add-pre-chain (RFC 6962 §4.2).
func (v *View) addPreChain(w http.ResponseWriter, r *http.Request) { v.submit(w, r, true) }

// submit adds a chain from outside, from any issuer. One that is submitted twice is logged
// twice.
func (v *View) submit(w http.ResponseWriter, r *http.Request, precert bool) {
	var in struct {
		Chain [][]byte `json:"chain"`
	}
	if r.Method != http.MethodPost {
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxChain)).Decode(&in); err != nil {
		badRequest(w, "reading the chain: %v", err)
		return
	}
	i, err := submitted(in.Chain, precert)
	if err != nil {
		badRequest(w, "%v", err)
		return
	}
	var sct []byte
	if precert {
		sct, _, err = v.log.AddPrecert(i)
	} else {
		sct, _, err = v.log.AddFinal(i, in.Chain[0])
	}
	if err != nil {
		serverError(w, err)
		return
	}
	out, err := sctReply(sct)
	if err != nil {
		serverError(w, err)
		return
	}
	replyJSON(w, out)
}

// submitted parses a submitted chain.
func submitted(chain [][]byte, precert bool) (*Issued, error) {
	if len(chain) < 2 {
		return nil, fmt.Errorf("a chain of %d certificates: want the issuer's too", len(chain))
	}
	leaf, err := parse(chain[0])
	if err != nil {
		return nil, fmt.Errorf("the first certificate: %w", err)
	}
	issuer, err := x509.ParseCertificate(chain[1])
	if err != nil {
		return nil, fmt.Errorf("the issuer's certificate: %w", err)
	}
	if leaf.has(oidPoison) != precert {
		return nil, errors.New("a precertificate goes to add-pre-chain, a final certificate to add-chain")
	}
	if slices.ContainsFunc(issuer.UnknownExtKeyUsage, oidCTSigning.Equal) {
		return nil, errors.New("precertificate signing certificates are for AddPrecert only")
	}
	drop := oidSCTList
	if precert {
		drop = oidPoison
	}
	i := &Issued{
		IssuerKeyHash: sha256.Sum256(issuer.RawSubjectPublicKeyInfo),
		Issuer:        chain[1], Chain: chain[1:], PrecertChain: chain[1:],
		LeafPin: pins.FromSPKI(leaf.spki), IssuerPin: pins.FromSPKI(issuer.RawSubjectPublicKeyInfo),
	}
	if i.TBS, err = leaf.without(drop); err != nil {
		return nil, err
	}
	i.ID = sha256.Sum256(i.TBS)
	if precert {
		i.Precert = chain[0]
	}
	if c, err := x509.ParseCertificate(chain[0]); err == nil { // names are for Truth only
		i.Names = c.DNSNames
		for _, ip := range c.IPAddresses {
			i.IPs = append(i.IPs, ip.String())
		}
		if cn := c.Subject.CommonName; cn != "" && !slices.Contains(i.Names, cn) {
			i.Names = append(i.Names, cn)
		}
	}
	return i, nil
}

// An sctJSON is the reply to a submission (RFC 6962 §4.1).
type sctJSON struct {
	Version    uint8         `json:"sct_version"`
	ID         ctwatch.LogID `json:"id"`
	Timestamp  uint64        `json:"timestamp"`
	Extensions []byte        `json:"extensions"`
	Signature  []byte        `json:"signature"`
}

// sctReply parses an SCT.
func sctReply(sct []byte) (out sctJSON, err error) {
	s := cryptobyte.String(sct)
	var extensions cryptobyte.String
	if !s.ReadUint8(&out.Version) || !s.CopyBytes(out.ID[:]) || !s.ReadUint64(&out.Timestamp) ||
		!s.ReadUint16LengthPrefixed(&extensions) {
		return out, errors.New("an SCT of this log cannot be read")
	}
	out.Extensions, out.Signature = append([]byte{}, extensions...), s
	return out, nil
}
