package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

const (
	auditColumns = `at, pin, role, action, from_state, to_state, hosts, certificate, verdict, app, version, actor, by, reason`

	sqlInsertAudit = `INSERT INTO audit (` + auditColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// record adds a record to the audit trail.
func (t *tx) record(r pins.Record) error {
	hosts, err := json.Marshal(orEmpty(r.Hosts))
	if err != nil {
		return fmt.Errorf("writing the audit trail: %w", err)
	}
	var certificate any
	if r.Certificate != "" {
		id, err := ctwatch.ParseHash(r.Certificate)
		if err != nil {
			return fmt.Errorf("writing the audit trail: %w", err)
		}
		certificate = id[:]
	}
	_, err = t.exec(sqlInsertAudit, ms(t.now), nullPin(r.Pin), string(r.Role), r.Action, string(r.From), string(r.To), string(hosts), certificate,
		r.Verdict, text(r.App), text(r.Version), string(r.Actor), text(r.By), text(r.Reason))
	if err != nil {
		return fmt.Errorf("writing the audit trail: %w", err)
	}
	return nil
}

// History returns the latest records of the audit trail about a pin, in any role, oldest
// first: at most limit, or all if it is 0. The zero pin means the whole trail.
func (db Keys) History(ctx context.Context, pin pins.Pin, limit int) ([]pins.Record, error) {
	if limit <= 0 {
		limit = -1 // no limit, for SQLite
	}
	where, args := `true`, []any{}
	if !pin.IsZero() {
		where, args = `pin = ?`, []any{pin[:]}
	}
	return db.history(ctx, limit, where, args...)
}

// History returns the records of the audit trail about a certificate, oldest first.
func (db Certificates) History(ctx context.Context, id ctwatch.Hash) ([]pins.Record, error) {
	return db.history(ctx, -1, `certificate = ?`, id[:])
}

func (db *database) history(ctx context.Context, limit int, where string, args ...any) ([]pins.Record, error) {
	return readAll(ctx, db, "reading the audit trail", scanRecord, `
		SELECT `+auditColumns+` FROM (SELECT * FROM audit WHERE `+where+` ORDER BY seq DESC LIMIT ?) ORDER BY seq`, append(args, limit)...)
}

func scanRecord(row *sql.Rows) (r pins.Record, err error) {
	var (
		at          int64
		hosts       string
		certificate []byte
	)
	err = row.Scan(&at, &r.Pin, &r.Role, &r.Action, &r.From, &r.To, &hosts, &certificate, &r.Verdict, &r.App, &r.Version, &r.Actor, &r.By, &r.Reason)
	if err != nil {
		return r, err
	}
	r.At = fromMS(at)
	if certificate != nil {
		var id ctwatch.Hash
		if err := id.Scan(certificate); err != nil {
			return r, err
		}
		r.Certificate = id.String()
	}
	if hosts == "[]" {
		return r, nil
	}
	return r, json.Unmarshal([]byte(hosts), &r.Hosts)
}
