package store

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store/pack"
)

// Certificates keeps the certificates found for watched names, with their verdicts. It
// is a policy.CAAStore.
type Certificates struct{ *database }

// maxSightings bounds the sightings that a certificate object carries. All are recorded;
// but a log that holds one certificate a million times cannot make objects and events of
// any size.
const maxSightings = 200

const (
	certificateColumns = `c.seq, c.id, c.first_seen, c.verdict, c.reasons, c.serial, c.names, c.ip_addresses, c.subject, c.not_before, c.not_after,
		c.issuer_name, c.issuer_pin, c.issuer_proven <> 0, c.issuer_caa, c.key_algorithm, c.key_pin, c.certificate, c.precertificate, c.problems,
		c.deployed, c.deployed_at`
	sqlCertificateSeq = `SELECT seq FROM certificates WHERE id = ?`
	sqlCertificate    = `SELECT ` + certificateColumns + ` FROM certificates c WHERE c.seq = ?`

	sqlInsertCertificate = `
		INSERT INTO certificates (id, first_seen, verdict, reasons, serial, names, ip_addresses, subject, not_before, not_after,
			issuer_name, issuer_pin, issuer_proven, issuer_caa, key_algorithm, key_pin, certificate, precertificate, problems, caa,
			deployed, deployed_at, vouched)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)`
	sqlServedSince       = `SELECT min(since) FROM served WHERE certificate = ?`
	sqlUpdateCertificate = `
		UPDATE certificates SET issuer_name = ?2, issuer_pin = ?3, issuer_proven = ?4, issuer_caa = ?5, certificate = ?6, precertificate = ?7, problems = ?8
		WHERE seq = ?1`
	sqlDisproveIssuer = `UPDATE certificates SET issuer_proven = 0 WHERE seq = ? AND issuer_proven = 2`
	sqlProveIssuer    = `UPDATE certificates SET issuer_proven = 1 WHERE seq = ? AND issuer_proven = 2`
	sqlOtherIssuers   = `SELECT issuer_pin FROM sightings WHERE certificate = ?1 AND issuer_pin <> ?2 LIMIT 100`

	sqlMatches     = `SELECT watch, name, domain FROM matches WHERE certificate = ? ORDER BY n`
	sqlInsertMatch = `INSERT INTO matches (certificate, n, watch, name, domain) VALUES (?, ?, ?, ?, ?)`

	// In the order of the primary key, so that it stops at the limit.
	sqlSightings = `
		SELECT l.name, l.id, s.entry, s.timestamp, s.kind, s.verified, s.issuer_pin FROM sightings s CROSS JOIN logs l ON l.seq = s.log
		WHERE s.certificate = ? ORDER BY s.log, s.entry LIMIT ?`

	sqlInsertDER   = `INSERT INTO ders (certificate, tbs, final, precertificate, final_proven) VALUES (?, ?, ?, ?, ?)`
	sqlKeepFinal   = `UPDATE ders SET final = ?2, final_proven = ?3 WHERE certificate = ?1 AND (final IS NULL OR final_proven < ?3)`
	sqlKeepPrecert = `UPDATE ders SET precertificate = ?2 WHERE certificate = ?1 AND precertificate IS NULL`
)

// storableCertificate returns a copy of a certificate as both the database and JSON can
// hold it.
func storableCertificate(c ctwatch.Certificate, now time.Time) ctwatch.Certificate {
	c.Serial, c.Subject = text(c.Serial), text(c.Subject)
	c.Issuer.Name, c.Issuer.CAA = text(c.Issuer.Name), text(c.Issuer.CAA)
	c.Key.Algorithm = text(c.Key.Algorithm)
	c.Names, c.IPAddresses = textList(c.Names), textList(c.IPAddresses)
	c.Reasons, c.Problems = textList(c.Reasons), textList(c.Problems)
	c.Matches = slices.Clone(c.Matches)
	for i, m := range c.Matches {
		c.Matches[i] = ctwatch.Match{Watch: text(m.Watch), Name: text(m.Name), Domain: text(m.Domain)}
	}
	if !c.NotBefore.IsZero() {
		c.NotBefore = stored(c.NotBefore)
	}
	if !c.NotAfter.IsZero() {
		c.NotAfter = stored(c.NotAfter)
	}
	if c.FirstSeen.IsZero() {
		c.FirstSeen = now
	}
	c.FirstSeen = stored(c.FirstSeen)
	c.Sightings = slices.Clone(c.Sightings)
	for i := range c.Sightings {
		c.Sightings[i].Timestamp = stored(c.Sightings[i].Timestamp)
	}
	if c.Verdict == "" {
		c.Verdict = ctwatch.Unreviewed
	}
	c.Pins = nil
	c.SetPins()
	return c
}

func certificateSeq(q querier, id ctwatch.Hash) (seq int64, known bool, err error) {
	err = q.queryRow(sqlCertificateSeq, id[:]).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return seq, err == nil, err
}

// setDeployed fills in since when a certificate that is not stored yet is served.
func (t *tx) setDeployed(c *ctwatch.Certificate) error {
	var since sql.NullInt64
	err := t.queryRow(sqlServedSince, c.ID[:]).Scan(&since)
	c.Deployed, c.DeployedAt = since.Valid, timePtr(since)
	return err
}

// insertCertificate inserts a new certificate with its matches.
func (t *tx) insertCertificate(r *certificateRow) error {
	c := &r.Certificate
	var err error
	r.seq, err = t.insert(sqlInsertCertificate,
		c.ID[:], ms(c.FirstSeen), string(c.Verdict), list(c.Reasons), c.Serial, list(c.Names), list(c.IPAddresses), c.Subject,
		nullMS(c.NotBefore), nullMS(c.NotAfter), c.Issuer.Name, nullPin(c.Issuer.Pin), c.Issuer.Proven, c.Issuer.CAA, c.Key.Algorithm, nullPin(c.Key.Pin),
		nullHash(c.Fingerprints.Certificate), nullHash(c.Fingerprints.Precertificate), list(c.Problems), nullText(r.caa),
		c.Deployed, nullTime(c.DeployedAt), r.grants)
	if err != nil {
		return err
	}
	t.changeCertificate(c)
	t.addTo(r.seq, c, listsOf(c.Names, c.Matches)...)
	t.countOpen(c.Verdict, c.Domains(), +1)
	return t.insertMatches(r.seq, 0, c.Matches)
}

// insertMatches inserts matches of a certificate, numbered from n.
func (t *tx) insertMatches(certificate int64, n int, matches []ctwatch.Match) error {
	for i, m := range matches {
		if _, err := t.exec(sqlInsertMatch, certificate, n+i, m.Watch, m.Name, m.Domain); err != nil {
			return err
		}
	}
	return nil
}

// mergeCertificate adds to a known certificate what another sighting of it knows
// in addition. It reports whether the issuer is better known now. The verdict stays.
func (t *tx) mergeCertificate(r *certificateRow, more *ctwatch.Certificate, f *ctwatch.Found) (issuer bool, err error) {
	final, err := t.keepDER(r.seq, f)
	if err != nil {
		return false, err
	}
	if issuer, err = t.mergeIssuer(r, more, f.Incomplete); err != nil {
		return false, err
	}
	c := &r.Certificate
	known := c.Domains()
	changed, matches := c.Merge(more, final)
	if changed || issuer {
		t.changeCertificate(c)
		c.SetPins()
		_, err := t.exec(sqlUpdateCertificate, r.seq, c.Issuer.Name, nullPin(c.Issuer.Pin), c.Issuer.Proven, c.Issuer.CAA,
			nullHash(c.Fingerprints.Certificate), nullHash(c.Fingerprints.Precertificate), list(c.Problems))
		if err != nil {
			return false, err
		}
	}

	if len(matches) == 0 {
		return issuer, nil
	}
	t.changeCertificate(c)
	t.addTo(r.seq, c, listsOf(nil, matches)...)
	if !r.past.ByPerson {
		t.countOpen(c.Verdict, c.Domains()[len(known):], +1)
	}
	return issuer, t.insertMatches(r.seq, len(c.Matches)-len(matches), matches)
}

// mergeIssuer replaces an issuer that is not proven by one that is: an entry that names
// another issuer cannot keep the real one out. An issuer that is believed only because
// an older version recorded it loses that when the log serves all that it has and that
// proves nothing.
func (t *tx) mergeIssuer(r *certificateRow, more *ctwatch.Certificate, incomplete bool) (changed bool, err error) {
	issuer := &r.Issuer
	switch {
	case more.Issuer.Proven && !issuer.Proven:
		issuer.Pin, issuer.Proven = more.Issuer.Pin, true
		return true, nil
	case more.Issuer.Proven && more.Issuer.Pin == issuer.Pin:
		if r.believed {
			_, err = t.exec(sqlProveIssuer, r.seq)
		}
		return false, err
	case issuer.Proven && (!incomplete || more.Issuer.Proven):
		if !r.believed {
			return false, nil
		}
		if _, err := t.exec(sqlDisproveIssuer, r.seq); err != nil {
			return false, err
		}
		issuer.Proven = false
		if more.Issuer.Proven {
			issuer.Pin, issuer.Proven = more.Issuer.Pin, true
		}
		return true, nil
	}
	if changed = issuer.Pin.IsZero() && !more.Issuer.Pin.IsZero(); changed {
		issuer.Pin = more.Issuer.Pin
	}
	return changed, nil
}

// insertDER keeps the bytes of a new certificate.
func (t *tx) insertDER(certificate int64, f *ctwatch.Found) error {
	var final, pre any
	proven := false
	if f.Certificate.Sightings[0].Kind == ctwatch.Precertificate {
		pre = packDER(f)
	} else {
		final, proven = packDER(f), f.Certificate.Issuer.Proven
	}
	_, err := t.exec(sqlInsertDER, certificate, pack.DER(nil, f.TBS), final, pre, proven)
	return err
}

// keepDER keeps the bytes of a known certificate, if they are new, and reports whether
// they are the final certificate's. One that is proven to be signed by its CA replaces one
// that is not: the same TBSCertificate can be in any number of those.
func (t *tx) keepDER(certificate int64, f *ctwatch.Found) (final bool, err error) {
	der := packDER(f)
	switch {
	case der == nil:
		return false, nil
	case f.Certificate.Sightings[0].Kind == ctwatch.Precertificate:
		_, err = t.exec(sqlKeepPrecert, certificate, der)
		return false, err
	}
	n, err := t.exec(sqlKeepFinal, certificate, der, f.Certificate.Issuer.Proven)
	return n == 1, err
}

// packDER encodes a certificate or precertificate, as what differs from its TBSCertificate;
// nil if the log did not serve it.
func packDER(f *ctwatch.Found) any {
	if len(f.DER) == 0 {
		return nil
	}
	base := f.TBS
	if sha256.Sum256(base) != f.Certificate.ID {
		base = nil // the row may have another
	}
	return pack.DER(base, f.DER)
}

// unpackDER decodes the columns of a row.
func unpackDER(packed DER) (d DER, err error) {
	if d.TBS, err = pack.DecodeDER(nil, packed.TBS); err != nil {
		return d, err
	}
	if packed.Certificate != nil {
		if d.Certificate, err = pack.DecodeDER(d.TBS, packed.Certificate); err != nil {
			return d, err
		}
	}
	if packed.Precertificate != nil {
		d.Precertificate, err = pack.DecodeDER(d.TBS, packed.Precertificate)
	}
	return d, err
}

// loadCertificate reads a certificate with its matches and sightings.
func loadCertificate(q querier, seq int64) (ctwatch.Certificate, error) {
	_, c, err := scanCertificate(q.queryRow(sqlCertificate, seq))
	if err != nil {
		return c, err
	}
	_, err = loadRelated(q, seq, &c)
	return c, err
}

// scanCertificate reads a row of certificateColumns, and what follows them.
func scanCertificate(row interface{ Scan(...any) error }, more ...any) (seq int64, c ctwatch.Certificate, err error) {
	var (
		firstSeen              int64
		notBefore, notAfter    sql.NullInt64
		certificate, precert   []byte
		certificateP, precertP *ctwatch.Hash
		deployedAt             sql.NullInt64
	)
	err = row.Scan(append([]any{
		&seq, &c.ID, &firstSeen, &c.Verdict,
		listOf{&c.Reasons},
		&c.Serial,
		listOf{&c.Names},
		listOf{&c.IPAddresses},
		&c.Subject,
		&notBefore, &notAfter, &c.Issuer.Name, &c.Issuer.Pin, &c.Issuer.Proven, &c.Issuer.CAA, &c.Key.Algorithm, &c.Key.Pin, &certificate, &precert,
		listOf{&c.Problems},
		&c.Deployed, &deployedAt,
	}, more...)...)
	if err != nil {
		return 0, c, err
	}
	if certificateP, err = hashPtr(certificate); err != nil {
		return 0, c, err
	}
	if precertP, err = hashPtr(precert); err != nil {
		return 0, c, err
	}
	c.Fingerprints = ctwatch.Fingerprints{Certificate: certificateP, Precertificate: precertP}
	c.DeployedAt = timePtr(deployedAt)
	c.FirstSeen, c.NotBefore, c.NotAfter = fromMS(firstSeen), fromNullMS(notBefore), fromNullMS(notAfter)
	c.SetPins()
	return seq, c, nil
}

// loadRelated reads the matches and sightings of a certificate. It returns the keys that
// the sightings name as the issuer's, each once.
func loadRelated(q querier, seq int64, c *ctwatch.Certificate) (issuers []pins.Pin, err error) {
	rows, err := q.query(sqlMatches, seq)
	c.Matches, err = collect(rows, err, func(r *sql.Rows) (m ctwatch.Match, err error) {
		err = r.Scan(&m.Watch, &m.Name, &m.Domain)
		return m, err
	})
	if err != nil {
		return nil, err
	}
	rows, err = q.query(sqlSightings, seq, maxSightings)
	c.Sightings, err = collect(rows, err, func(r *sql.Rows) (s ctwatch.Sighting, err error) {
		var timestamp int64
		var issuer pins.Pin
		err = r.Scan(&s.Log, &s.LogID, &s.Index, &timestamp, &s.Kind, &s.Verified, &issuer)
		s.Timestamp = fromMS(timestamp)
		if !issuer.IsZero() && !slices.Contains(issuers, issuer) {
			issuers = append(issuers, issuer)
		}
		return s, err
	})
	sortSightings(c)
	return issuers, err
}

// sortSightings sorts sightings, oldest first.
func sortSightings(c *ctwatch.Certificate) {
	slices.SortStableFunc(c.Sightings, func(a, b ctwatch.Sighting) int { return cmp.Compare(a.Timestamp.UnixMilli(), b.Timestamp.UnixMilli()) })
}
