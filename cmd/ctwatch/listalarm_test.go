package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
)

// A list that names a log whose private key is public is never in use: NATS and Slack
// get one event, however often it is read and across a restart, and the logs of the
// last good list are read on.
func TestFrozenLogListIsTold(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.fill(20)
	s.publish()
	list := newListServer(t)
	good := s.static.Info()
	list.set(false, good)
	slack := newFakeSlack(t)
	config := s.config(fmt.Sprintf(`logs: {list: %q, list_key: "", refresh: 100ms, poll: 100ms, max_rate: 10000}
http: {listen: "127.0.0.1:0"}
`, list.URL+"/list.json") + slack.config())
	d := s.start(config)
	events := s.subscribe(d.natsURL)
	s.eventually("the log is followed", func() bool { return s.status(s.static).Verified == 20 })

	bad := good
	var err error
	bad.ID, err = ctwatch.ParseLogID("si9+3rWvav5QPeBAgbLXTBJThJL+3yyypSZQPO9TztI=")
	s.check(err)
	list.set(false, bad)
	e := s.next(events, ctwatch.LogListRefused)
	if e.Data.Severity != ctwatch.Critical || e.subject != "ctwatch.loglist.refused.daemon" {
		t.Errorf("%s on %s: %s", e.Data.Severity, e.subject, e.Data.Summary)
	}
	s.eventually("the list is refused again", func() bool { return list.served() > 3 })
	if got := d.metrics()[`ctwatch_log_list_alarm{reason="compromised_logs"}`]; got != 1 {
		t.Errorf("the metric is %v", got)
	}
	if status, body := d.get("readyz", ""); status != http.StatusOK || !strings.Contains(body, "alarm: ") || !strings.Contains(body, "private key is public") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	s.eventually("Slack gets the alarm", func() bool { return len(slack.messages()) > 0 })
	i := s.watched("www.example.com")
	s.addPrecert(s.static, i)
	s.publish()
	if got := s.next(events, ctwatch.CertificateIssued); got.Data.Certificate.ID != i.ID {
		t.Errorf("event about %v", got.Data.Certificate.Names)
	}
	d.stop()

	// After a restart the cause is the same, and so it is not reported again.
	before := list.served()
	d = s.start(config)
	d.says(t, "is refused; using an earlier one")
	s.eventually("the list is refused again", func() bool { return list.served() > before+3 })
	s.untilDelivered()
	refusals := 0
	for _, m := range slack.messages() {
		if strings.Contains(m.text, "log list is refused") {
			refusals++
		}
	}
	if refusals != 1 {
		t.Errorf("Slack got %d messages about one refusal", refusals)
	}

	// A good list ends it.
	list.set(false, good)
	s.eventually("the alarm ends", func() bool { return d.metrics()[`ctwatch_log_list_alarm{reason="compromised_logs"}`] == 0 })
	if at := d.metrics()["ctwatch_log_list_timestamp_seconds"]; time.Since(time.Unix(int64(at), 0)) > 2*time.Hour {
		t.Errorf("the list in use is of %v", at)
	}
	d.stop()
}
