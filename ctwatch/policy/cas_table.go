package policy

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"ctwatch/pins"
)

// The built-in table, as of 24 November 2026. People maintain cas.json, with the CAs that
// issue most first. Its sources:
//
//   - caa: the Common CA Database's report "CAA Identifiers"; those of Certainly and
//     TrustAsia from CAA records in use.
//   - report_to: the CAs' certification practice statements (Let's Encrypt, DigiCert,
//     Sectigo, GoDaddy, emSign, Microsec), their own pages (Google, Amazon, IdenTrust,
//     Chunghwa Telecom, Buypass), and lists kept by people who report (GlobalSign,
//     Microsoft, SSL.com, Entrust, Certum). Absent where none was found.
//
// cas_keys.csv has the SHA-256 of each key's SubjectPublicKeyInfo: of the roots in
// Mozilla's list, as golang.org/x/crypto/x509roots/fallback (v0.0.0-20261030153154) and
// Debian's ca-certificates (20230311) carry it. Debian has roots that are no longer
// trusted, to which chains still lead. Let's Encrypt's roots YE and YR and its
// intermediates are from github.com/letsencrypt/website (static/certs/2024 and
// static/certs/gen-y), each verified up to ISRG Root X1 or X2. Starfield Services G2 is
// Amazon's, by www.amazontrust.com/repository; the names of the other roots say whose
// they are. A key without a CA is left out on purpose, as are roots that changed hands
// without such a source: an unknown CA is better than a wrong one.
//
// go generate adds the roots that are new in this system's ca-certificates; look through
// the difference before it is committed.
//
//go:generate go run ./gen -roots /etc/ssl/certs/ca-certificates.crt cas_keys.csv

//go:embed cas.json
var casJSON string

//go:embed cas_keys.csv
var casKeys string

// builtin returns the built-in table.
func builtin() []CA {
	table, err := readTable([]byte(casJSON), []byte(casKeys))
	if err != nil {
		panic(err) // a test reads them
	}
	return table
}

// readTable reads a table of CAs, and refuses what is not exactly right.
func readTable(cas, keys []byte) ([]CA, error) {
	var table []CA
	d := json.NewDecoder(bytes.NewReader(cas))
	d.DisallowUnknownFields()
	if err := d.Decode(&table); err != nil {
		return nil, fmt.Errorf("table of CAs: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("table of CAs: something follows the list")
	}
	byName := make(map[string]*CA)
	identities := make(map[string]bool)
	for i := range table {
		ca := &table[i]
		if ca.Name == "" || byName[ca.Name] != nil || len(ca.CAA) == 0 || len(ca.Organizations) == 0 || ca.Keys != nil {
			return nil, fmt.Errorf("table of CAs: %q is not a new name with CAA identities and organizations, and without keys", ca.Name)
		}
		byName[ca.Name] = ca
		for _, identity := range ca.CAA {
			if !isIdentity(identity) || identities[identity] {
				return nil, fmt.Errorf("table of CAs: %s: %q is not a new CAA identity", ca.Name, identity)
			}
			identities[identity] = true
		}
	}
	lines, err := csv.NewReader(bytes.NewReader(keys)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("keys of CAs: %w", err)
	}
	if len(lines) == 0 || !slices.Equal(lines[0], []string{"ca", "pin", "certificate"}) {
		return nil, errors.New("keys of CAs: want the columns ca, pin and certificate")
	}
	seen := make(map[pins.Pin]bool)
	for _, line := range lines[1:] {
		pin, err := pins.Parse(line[1])
		if err != nil || seen[pin] {
			return nil, fmt.Errorf("keys of CAs: %s: %q is not a new pin", line[2], line[1])
		}
		seen[pin] = true
		switch ca := byName[line[0]]; {
		case ca != nil:
			ca.Keys = append(ca.Keys, pin)
		case line[0] != "":
			return nil, fmt.Errorf("keys of CAs: %s: there is no CA %q", line[2], line[0])
		}
	}
	return table, nil
}
