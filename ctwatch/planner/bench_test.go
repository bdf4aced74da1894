package planner

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"ctwatch/pins"
	"ctwatch/store"
	"ctwatch/store/storetest"
)

// processorTime returns the processor time that this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchPlanner is a planner over a store with storetest.Many certificates, for some apps.
func benchPlanner(b *testing.B, apps ...pins.App) (*Planner, *store.DB) {
	b.Helper()
	db, err := store.Open(b.Context(), storetest.Filled(b, storetest.Many(b)), store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return &Planner{
		Store: &FactStore{Store: db.Plans, CAs: db.Issuers}, Logger: slog.New(slog.DiscardHandler),
		Apps:    func(context.Context) ([]pins.App, error) { return apps, nil },
		Subject: func(host pins.Pattern) string { return host.Name },
		Look:    func([]pins.Pattern) {},
	}, db
}

// hostsOfStore is an app with five hosts that have certificates in a filled store.
func hostsOfStore() pins.App {
	app := shop("L", "B")
	app.Hosts = nil
	for n := range 5 {
		app.Hosts = append(app.Hosts, pins.Pattern{Name: fmt.Sprintf("h%d.customer-%d.example", n, n)})
	}
	return app
}

// BenchmarkPlan plans once, as a change for an app or a minute does, in a store with
// storetest.Many certificates.
func BenchmarkPlan(b *testing.B) {
	for name, apps := range map[string][]pins.App{"no app": nil, "an app with 5 hosts": {hostsOfStore()}} {
		b.Run(name, func(b *testing.B) {
			p, _ := benchPlanner(b, apps...)
			before, n := processorTime(b), 0
			b.ReportAllocs()
			for b.Loop() {
				if err := p.plan(b.Context()); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(n)/1000, "cpu-ms/plan")
			b.ReportMetric(float64(residentPeak(b))/(1<<20), "MiB-peak")
		})
	}
}

// BenchmarkChangeElsewhere is what a change costs the planner that concerns no app: here
// a key that a person declares.
func BenchmarkChangeElsewhere(b *testing.B) {
	p, db := benchPlanner(b, hostsOfStore())
	if err := p.plan(b.Context()); err != nil {
		b.Fatal(err)
	}
	revision, err := db.Plans.Revision(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := p.look(b.Context(), revision); err != nil {
		b.Fatal(err)
	}
	plans := 0
	p.Changed = func(*Result) { plans++ }
	id := fmt.Sprint(time.Now().UnixNano())
	var spent time.Duration
	n := 0
	for b.Loop() {
		declared := pins.Approval{Pin: pin(id + fmt.Sprint(n)), Role: pins.RoleLeaf, Hosts: []pins.Pattern{{Name: "elsewhere.example"}}, Declare: true, Actor: pins.Policy, By: "policy"}
		if _, err := db.Keys.Approve(b.Context(), declared); err != nil {
			b.Fatal(err)
		}
		n++
		before := processorTime(b)
		if revision, err = db.Plans.Revision(b.Context()); err == nil && p.Store.Concerns(revision) {
			err = p.plan(b.Context())
		}
		if err == nil {
			err = p.look(b.Context(), revision)
		}
		if err != nil {
			b.Fatal(err)
		}
		spent += processorTime(b) - before
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(n), "cpu-µs/change")
	b.ReportMetric(float64(plans)/float64(n), "plans/change")
}

var vmHWM = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// residentPeak returns the most memory that this process had resident, in bytes; 0 where
// /proc does not say.
func residentPeak(b *testing.B) int {
	b.Helper()
	status, _ := os.ReadFile("/proc/self/status")
	m := vmHWM.FindSubmatch(status)
	if m == nil {
		return 0
	}
	kB, err := strconv.Atoi(string(m[1]))
	if err != nil {
		b.Fatal(err)
	}
	return kB << 10
}
