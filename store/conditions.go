package store

import (
	"context"
	"database/sql"

	"ctwatch/ctwatch"
)

type conditionKey struct {
	kind            ctwatch.EventType
	app, host, what string
}

func keyOfCondition(c *ctwatch.Condition) conditionKey {
	return conditionKey{c.Kind, text(c.App), text(c.Host), text(c.What)}
}

// SyncConditions takes all conditions that hold now, and tells of those that did not hold the
// last time. Where nothing changed nothing is written.
func (db Plans) SyncConditions(ctx context.Context, holding []ctwatch.Condition) error {
	const what = "telling what came to be"
	var same bool
	err := db.read(ctx, what, func(t readTx) error {
		begun, ended, err := compareConditions(t, holding)
		same = len(begun) == 0 && len(ended) == 0
		return err
	})
	if err != nil || same {
		return err
	}
	return db.write(ctx, what, func(t *tx) error {
		begun, ended, err := compareConditions(t, holding)
		if err != nil {
			return err
		}
		for _, k := range ended {
			_, err := t.exec(`UPDATE conditions SET active = 0, since = ?5 WHERE kind = ?1 AND app = ?2 AND host = ?3 AND what = ?4`,
				string(k.kind), k.app, k.host, k.what, ms(t.now))
			if err != nil {
				return err
			}
		}
		for i := range begun {
			k := keyOfCondition(&begun[i])
			var episode int64
			err := t.queryRow(`
				INSERT INTO conditions (kind, app, host, what, active, episode, since) VALUES (?, ?, ?, ?, 1, 1, ?)
				ON CONFLICT DO UPDATE SET active = 1, episode = episode + 1, since = excluded.since
				RETURNING episode`, string(k.kind), k.app, k.host, k.what, ms(t.now)).Scan(&episode)
			if err != nil {
				return err
			}
			if err := t.event(begun[i].Event(episode)); err != nil {
				return err
			}
		}
		return nil
	})
}

// compareConditions returns which conditions hold that did not, each once and in
// the order given, and which no longer hold that did.
func compareConditions(q querier, holding []ctwatch.Condition) (begun []ctwatch.Condition, ended []conditionKey, err error) {
	rows, err := q.query(`SELECT kind, app, host, what FROM conditions WHERE active = 1 ORDER BY kind, app, host, what`)
	active, err := collect(rows, err, func(r *sql.Rows) (k conditionKey, err error) {
		err = r.Scan(&k.kind, &k.app, &k.host, &k.what)
		return k, err
	})
	if err != nil {
		return nil, nil, err
	}
	known := make(map[conditionKey]bool, len(active))
	for _, k := range active {
		known[k] = true
	}
	holds := make(map[conditionKey]bool, len(holding))
	for _, c := range holding {
		k := keyOfCondition(&c)
		if !holds[k] && !known[k] {
			begun = append(begun, c)
		}
		holds[k] = true
	}
	for _, k := range active {
		if !holds[k] {
			ended = append(ended, k)
		}
	}
	return begun, ended, nil
}
