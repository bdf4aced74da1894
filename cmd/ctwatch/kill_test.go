package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"ctwatch/ctwatch/ctlogtest"
)

// TestKill9 kills the daemon at random instants, over and over, while both logs
// grow: at the end everything is recorded, and everything was reported once.
func TestKill9(t *testing.T) {
	t.Parallel()
	const growths = 5 // during each life
	kills := 16
	switch {
	case thorough():
		kills = 64
	case testing.Short():
		kills = 4
	}
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	for _, l := range s.logs {
		l.SetFault(ctlogtest.SlowBy(3 * time.Millisecond).On(ctlogtest.Entries)) // so that kills meet it reading
	}
	s.fill(500)
	s.publish()
	config := s.config("")

	// The logs grow while the daemon lives.
	grow := make(chan struct{})
	var grower sync.WaitGroup
	grown := 0
	grower.Go(func() {
		for range grow {
			i := s.watched(fmt.Sprintf("host%d.example.com", grown))
			sct := s.addPrecert(s.logs[grown%2], i)
			s.fill(25)
			s.addFinal(s.logs[(grown+1)%2], i, sct)
			s.publish()
			grown++
		}
	})

	began, verified := time.Now(), 0
	for n := range kills {
		before, asked := s.status(s.rfc), s.rfc.Requests(ctlogtest.Entries)
		c := spawn(t, program, nil, "run", "--config", config)
		for range growths {
			grow <- struct{}{}
		}
		// Anywhere in its first steps, or while it reads, or when it has verified.
		life := time.Duration(rand.Int64N(int64(300 * time.Millisecond)))
		switch n % 4 {
		case 0:
			s.eventually("the daemon verifies", func() bool { return s.status(s.rfc).Verified > before.Verified })
		case 2:
			s.eventually("the daemon reads", func() bool { return s.rfc.Requests(ctlogtest.Entries) > asked })
		}
		select {
		case <-time.After(life): // the instant is to be random; nothing is waited for
		case <-c.done:
			t.Fatalf("the daemon ended by itself, with status %d:\n%s", c.status, c.stderr.tail())
		}
		c.kill()
		if s.status(s.rfc).Verified > before.Verified {
			verified++
		}
	}
	close(grow)
	grower.Wait()
	t.Logf("%d kills in %v, %d of them after it had verified more; %d certificates in %d entries each",
		kills, time.Since(began).Round(time.Second), verified, grown, s.rfc.Size())

	c := s.run(config)
	s.untilVerified()
	s.untilDelivered()
	s.expectTruth()
	s.expectEvents(s.stream(c.natsURL()), grown)
	if c.signal(syscall.SIGTERM); c.status != 0 {
		t.Errorf("it ended with status %d", c.status)
	}
	expectSound(t, s.dir)
}

// expectSound checks the database itself.
func expectSound(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "ctwatch.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var answer string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		t.Errorf("the database is damaged: %s %v", answer, err)
	}
	var strays int
	if err := db.QueryRow("SELECT count(*) FROM pragma_foreign_key_check").Scan(&strays); err != nil || strays != 0 {
		t.Errorf("%d rows of the database refer to nothing %v", strays, err)
	}
}
