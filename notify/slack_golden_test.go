package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMessagesLookAsTheyDid holds what Slack is sent against golden files, which
// Slack's Block Kit Builder shows as people see them. The files are rewritten by
// go test ./notify -run MessagesLook -update: read the difference.
func TestMessagesLookAsTheyDid(t *testing.T) {
	s := &Slack{o: SlackOptions{Buttons: &SlackButtons{}, MinSeverity: ctwatch.Info}}
	c := newStory("api.example.com")
	c.c.Issuer.CAA = "letsencrypt.org"
	issued, logged, deployed := c.issued(), c.logged(), c.deployed()
	rejected := c.rejected("alice")
	homograph := newStory("xn--pple-43d.com")
	homograph.c.Issuer.Name = "CN=Lеt's Encrypt <!channel>" // with a Cyrillic е
	look := homograph.issued()
	homograph.c.Verdict, homograph.c.Reasons = ctwatch.Unexpected, []string{"issuer_not_allowed"}
	alarm := ctwatch.UnexpectedEvent(homograph.c, "no rule allows its issuer", testTime)
	alarm.Data.ReportTo = "problems@ca.example"
	changed := *c
	authorized := changed.authorized("alice")
	key := pins.Key{
		Pin: c.c.Key.Pin, Role: pins.RoleLeaf, State: pins.StateApproved, Hosts: []string{"api.example.com"},
		Apps: []pins.AppVersion{{Name: "shop", Version: "5.2"}},
	}
	d := &slackDigest{}
	for _, e := range []ctwatch.Event{issued, look, misbehaved()} {
		d.add(e)
	}
	for name, m := range map[string]slackMessage{
		"issued":     s.eventMessage(issued, nil, false),
		"logged":     s.eventMessage(logged, nil, true),
		"deployed":   s.rootMessage(deployed, deployed.Data.By),
		"rejected":   s.eventMessage(rejected, []ctwatch.Event{issued}, false),
		"updated":    s.rootMessage(rejected, rejected.Data.By),
		"homograph":  s.eventMessage(alarm, nil, false),
		"judged":     s.eventMessage(authorized, nil, true),
		"authorized": s.rootMessage(authorized, authorized.Data.By),
		"stalled":    s.eventMessage(ctwatch.StalledEvent("no log was read for 25 hours", testTime), nil, false),
		"listbad":    s.eventMessage(ctwatch.LogListRefusedEvent(ctwatch.Critical, "it names a log whose private key is public", "cause", testTime), nil, false),
		"test":       s.eventMessage(ctwatch.TestEvent("alice <!here>", testTime), nil, false),
		"missing":    s.eventMessage(ctwatch.PinMissingEvent("shop", "api.example.com", "example.com", &c.c, key.Pin, "no version of shop accepts it", 1, testTime), nil, false),
		"candidate":  s.eventMessage(ctwatch.PinCandidateForApp("shop", "api.example.com", "example.com", key, "release it by 2026-12-01", 1, testTime), nil, false),
		"misbehaved": s.eventMessage(misbehaved(), nil, false),
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
			file := filepath.Join("testdata", "slack", name+".json")
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
