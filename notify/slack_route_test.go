package notify

import (
	"strings"
	"testing"

	"ctwatch/ctwatch"
)

func TestTheFirstRouteThatMatchesCounts(t *testing.T) {
	certificate, log := issued("api.example.com"), misbehaved()
	pin := ctwatch.PinMissingEvent("shop", "api.example.com", "example.com", nil, testCertificate().Key.Pin, "why", 1, testTime)
	other := testCertificate("www.example.net")
	other.Matches = []ctwatch.Match{{Watch: ".Example.NET", Name: "www.example.net", Domain: "example.net"}, {Watch: "shop.example", Name: "shop.example"}}
	elsewhere := ctwatch.IssuedEvent(other, testTime)
	for name, tt := range map[string]struct {
		routes                            []SlackRoute
		certificate, log, pin, otherWatch string // "" is the default channel
	}{
		"none":                    {},
		"by severity":             {[]SlackRoute{{Severity: ctwatch.Critical, Channel: "#incident"}}, "", "#incident", "#incident", ""},
		"more severe first":       {[]SlackRoute{{Severity: ctwatch.Critical, Channel: "#incident"}, {Severity: ctwatch.Info, Channel: "#team"}}, "#team", "#incident", "#incident", "#team"},
		"more severe last":        {[]SlackRoute{{Severity: ctwatch.Info, Channel: "#team"}, {Severity: ctwatch.Critical, Channel: "#incident"}}, "#team", "#incident", "#incident", "#team"},
		"by type":                 {[]SlackRoute{{Types: []string{"pin.*"}, Channel: "#apps"}, {Severity: ctwatch.Critical, Channel: "#incident"}}, "", "#incident", "#apps", ""},
		"by type, but later":      {[]SlackRoute{{Severity: ctwatch.Critical, Channel: "#incident"}, {Types: []string{"pin.*"}, Channel: "#apps"}}, "", "#incident", "#incident", ""},
		"by watched domain":       {[]SlackRoute{{Watch: []string{"example.com"}, Channel: "#com"}}, "#com", "", "#com", ""},
		"by pattern":              {[]SlackRoute{{Watch: []string{"*.com"}, Channel: "#com"}, {Watch: []string{"*.net"}, Channel: "#net"}}, "#com", "", "#com", "#net"},
		"by any watched domain":   {[]SlackRoute{{Watch: []string{"shop.example"}, Channel: "#shop"}}, "", "", "", "#shop"},
		"all conditions":          {[]SlackRoute{{Severity: ctwatch.Critical, Watch: []string{"example.com"}, Types: []string{"pin.*"}, Channel: "#x"}}, "", "", "#x", ""},
		"severe, and of one kind": {[]SlackRoute{{Severity: ctwatch.Info, Types: []string{"pin.*"}, Channel: "#apps"}, {Severity: ctwatch.Critical, Types: []string{"pin.*"}, Channel: "#urgent"}}, "", "", "#urgent", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSlack(t, SlackOptions{Token: StaticSecret(testToken), Channel: "#all", Routes: tt.routes})
			for what, e := range map[string]struct {
				e    ctwatch.Event
				want string
			}{"certificate": {certificate, tt.certificate}, "log": {log, tt.log}, "pin": {pin, tt.pin}, "other": {elsewhere, tt.otherWatch}} {
				if got := strings.TrimPrefix(s.channel(e.e), "#all"); got != e.want {
					t.Errorf("%s goes to %q, want %q", what, got, e.want)
				}
			}
		})
	}
	s := apiSlack(t, newSlackServer(t))
	if s.Wants(ctwatch.Event{Data: ctwatch.EventData{Severity: ctwatch.Debug}}) || !s.Wants(issued()) {
		t.Error("by default it wants info and above")
	}
}
