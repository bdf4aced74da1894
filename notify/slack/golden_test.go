package slack

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
	"ctwatch/pins"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestMessagesAreGolden compares the messages to Slack with golden files, which
// Slack's Block Kit Builder shows as people see them. The files are rewritten by
// go test ./notify/slack -run Golden -update: read the difference.
func TestMessagesAreGolden(t *testing.T) {
	s := &Sender{o: Options{Buttons: &Buttons{}, MinSeverity: ctwatch.Info}}
	c := notifytest.NewStory("api.example.com")
	c.Cert.Issuer.CAA = "letsencrypt.org"
	Issued, logged, deployed := c.Issued(), c.Logged(), c.Deployed()
	rejected := c.Rejected("alice")
	homograph := notifytest.NewStory("xn--pple-43d.com")
	homograph.Cert.Issuer.Name = "CN=Lеt's Encrypt <!channel>" // with a Cyrillic е
	look := homograph.Issued()
	homograph.Cert.Verdict, homograph.Cert.Reasons = ctwatch.Unexpected, []string{"issuer_not_allowed"}
	alarm := ctwatch.UnexpectedEvent(homograph.Cert, "no rule allows its issuer", notifytest.Time)
	alarm.Data.ReportTo = "problems@ca.example"
	changed := *c
	authorized := changed.Authorized("alice")
	key := pins.Key{
		Pin: c.Cert.Key.Pin, Role: pins.RoleLeaf, State: pins.StateApproved, Hosts: []string{"api.example.com"},
		Apps: []pins.AppVersion{{Name: "shop", Version: "5.2"}},
	}
	d := &digestMessage{}
	for _, e := range []ctwatch.Event{Issued, look, notifytest.Misbehaved()} {
		d.add(e)
	}
	for name, m := range map[string]message{
		"issued":     s.eventMessage(Issued, nil, false),
		"logged":     s.eventMessage(logged, nil, true),
		"deployed":   s.rootMessage(deployed, deployed.Data.By),
		"rejected":   s.eventMessage(rejected, []ctwatch.Event{Issued}, false),
		"updated":    s.rootMessage(rejected, rejected.Data.By),
		"homograph":  s.eventMessage(alarm, nil, false),
		"judged":     s.eventMessage(authorized, nil, true),
		"authorized": s.rootMessage(authorized, authorized.Data.By),
		"stalled":    s.eventMessage(ctwatch.StalledEvent("no log was read for 25 hours", notifytest.Time), nil, false),
		"listbad":    s.eventMessage(ctwatch.LogListRefusedEvent(ctwatch.Critical, "it names a log whose private key is public", "cause", notifytest.Time), nil, false),
		"test":       s.eventMessage(ctwatch.TestEvent("alice <!here>", notifytest.Time), nil, false),
		"missing":    s.eventMessage(ctwatch.PinMissingEvent("shop", "api.example.com", "example.com", &c.Cert, key.Pin, "no version of shop accepts it", 1, notifytest.Time), nil, false),
		"candidate":  s.eventMessage(ctwatch.PinCandidateForApp("shop", "api.example.com", "example.com", key, "release it by 2026-12-01", 1, notifytest.Time), nil, false),
		"misbehaved": s.eventMessage(notifytest.Misbehaved(), nil, false),
		"digest":     d.message(),
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(map[string]any{"text": m.text, "blocks": m.blocks, "metadata": m.metadata()}); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}
