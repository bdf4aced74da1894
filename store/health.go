package store

import (
	"context"
	"fmt"

	"ctwatch/ctwatch"
)

// SetUnhealthy notes that a log cannot be followed as it should be, and why. It is
// told in an event when the log was well before.
func (db Logs) SetUnhealthy(ctx context.Context, id ctwatch.LogID, reason string) error {
	reason = ctwatch.Printable(reason, 1000)
	return db.write(ctx, "noting that a log is unhealthy", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		began := l.unhealthy == ""
		if began {
			l.episode++
		}
		if _, err := t.exec(`UPDATE logs SET unhealthy = ?, episode = ? WHERE seq = ?`, reason, l.episode, l.seq); err != nil {
			return err
		}
		if !began {
			return nil
		}
		status := l.at(t.now)
		status.Healthy = false
		return t.event(ctwatch.UnhealthyEvent(status, reason, l.episode, t.now))
	})
}

// SetHealthy notes that a log is well. It is told in an event when it was not
// before.
func (db Logs) SetHealthy(ctx context.Context, id ctwatch.LogID) error {
	return db.write(ctx, "noting that a log has recovered", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil || l.unhealthy == "" {
			return err
		}
		if _, err := t.exec(`UPDATE logs SET unhealthy = '' WHERE seq = ?`, l.seq); err != nil {
			return err
		}
		status, err := t.statusOf(id)
		if err != nil {
			return err
		}
		return t.event(ctwatch.RecoveredEvent(status, l.episode, t.now))
	})
}

// Unfollow notes that a log is no longer followed, and why. What it held and was not
// read is told as a gap.
func (db Logs) Unfollow(ctx context.Context, id ctwatch.LogID, why string) error {
	return db.write(ctx, "leaving a log", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		s := l.at(t.now)
		if !l.started || s.Position >= s.TreeSize {
			return nil
		}
		return t.event(ctwatch.GapEvent(s, s.Position, s.TreeSize, fmt.Sprintf("the log is no longer followed: %s", why), t.now))
	})
}
