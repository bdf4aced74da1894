// Command gen adds root keys to the table of CAs in package policy: those of a PEM bundle
// of roots, such as a system's ca-certificates or curl's extract of Mozilla's list, whose
// subject names an organization of the table.
//
// It only ever adds lines, behind the others of their CA, and prints the roots of no CA in
// the table. Anyone can write any name into a root, so a person looks through the
// difference before it is committed, and takes the CA out of a line that is doubtful.
package main

import (
	"bytes"
	"crypto/x509"
	"encoding/csv"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	bundle := flags.String("roots", "", "`FILE` with the certificates of roots in PEM")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 1 || *bundle == "" {
		fmt.Fprintln(stderr, "gen: want -roots FILE, and the file of keys to add to")
		return 2
	}
	if err := update(flags.Arg(0), *bundle, stderr); err != nil {
		fmt.Fprintln(stderr, "gen:", err)
		return 1
	}
	return 0
}

// update adds the roots of a bundle to a file of keys.
func update(name, bundle string, report io.Writer) error {
	roots, err := readRoots(bundle)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	lines, err := csv.NewReader(bytes.NewReader(old)).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	lines = add(lines, roots, report)
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(lines); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// readRoots reads the certificates of a PEM bundle that signed themselves.
func readRoots(name string) (roots []*x509.Certificate, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // crypto/x509 reads no chain up to it either
		}
		if cert.IsCA && bytes.Equal(cert.RawIssuer, cert.RawSubject) {
			roots = append(roots, cert)
		}
	}
	if len(roots) == 0 {
		return nil, errors.New(name + " has no roots in PEM")
	}
	return roots, nil
}

// add returns lines of keys with those of roots that are new. Lines are the CA's name, the
// pin and the certificate's name.
func add(lines [][]string, roots []*x509.Certificate, report io.Writer) [][]string {
	cas := policy.NewCAs()
	for _, root := range roots {
		pin := pins.FromSPKI(root.RawSubjectPublicKeyInfo).String()
		if slices.ContainsFunc(lines, func(l []string) bool { return l[1] == pin }) {
			continue
		}
		ca, ok := cas.Guess(root.Subject.String())
		if !ok {
			fmt.Fprintf(report, "of no CA in the table: %s, %q\n", pin, root.Subject)
			continue
		}
		name := root.Subject.CommonName
		if name == "" && len(root.Subject.OrganizationalUnit) > 0 {
			name = root.Subject.OrganizationalUnit[0]
		}
		at := len(lines)
		for i, l := range lines {
			if l[0] == ca.Name {
				at = i + 1
			}
		}
		lines = slices.Insert(lines, at, []string{ca.Name, pin, name})
		fmt.Fprintf(report, "added to %s: %s, %q\n", ca.Name, pin, root.Subject)
	}
	return lines
}
