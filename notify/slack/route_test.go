package slack

import (
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
)

func TestFirstMatchingRouteCounts(t *testing.T) {
	certificate, log := notifytest.Issued("api.example.com"), notifytest.Misbehaved()
	pin := ctwatch.PinMissingEvent("shop", "api.example.com", "example.com", nil, notifytest.Certificate().Key.Pin, "why", 1, notifytest.Time)
	other := notifytest.Certificate("www.example.net")
	other.Matches = []ctwatch.Match{{Watch: ".Example.NET", Name: "www.example.net", Domain: "example.net"}, {Watch: "shop.example", Name: "shop.example"}}
	elsewhere := ctwatch.IssuedEvent(other, notifytest.Time)
	for name, tt := range map[string]struct {
		routes                            []Route
		certificate, log, pin, otherWatch string // "" is the default channel
	}{
		"none":                    {},
		"by severity":             {[]Route{{Severity: ctwatch.Critical, Channel: "#incident"}}, "", "#incident", "#incident", ""},
		"more severe first":       {[]Route{{Severity: ctwatch.Critical, Channel: "#incident"}, {Severity: ctwatch.Info, Channel: "#team"}}, "#team", "#incident", "#incident", "#team"},
		"more severe last":        {[]Route{{Severity: ctwatch.Info, Channel: "#team"}, {Severity: ctwatch.Critical, Channel: "#incident"}}, "#team", "#incident", "#incident", "#team"},
		"by type":                 {[]Route{{Types: []string{"pin.*"}, Channel: "#apps"}, {Severity: ctwatch.Critical, Channel: "#incident"}}, "", "#incident", "#apps", ""},
		"by type, but later":      {[]Route{{Severity: ctwatch.Critical, Channel: "#incident"}, {Types: []string{"pin.*"}, Channel: "#apps"}}, "", "#incident", "#incident", ""},
		"by watched domain":       {[]Route{{Watch: []string{"example.com"}, Channel: "#com"}}, "#com", "", "#com", ""},
		"by pattern":              {[]Route{{Watch: []string{"*.com"}, Channel: "#com"}, {Watch: []string{"*.net"}, Channel: "#net"}}, "#com", "", "#com", "#net"},
		"by any watched domain":   {[]Route{{Watch: []string{"shop.example"}, Channel: "#shop"}}, "", "", "", "#shop"},
		"all conditions":          {[]Route{{Severity: ctwatch.Critical, Watch: []string{"example.com"}, Types: []string{"pin.*"}, Channel: "#x"}}, "", "", "#x", ""},
		"severe, and of one kind": {[]Route{{Severity: ctwatch.Info, Types: []string{"pin.*"}, Channel: "#apps"}, {Severity: ctwatch.Critical, Types: []string{"pin.*"}, Channel: "#urgent"}}, "", "", "#urgent", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSender(t, Options{Token: notify.StaticSecret(testToken), Channel: "#all", Routes: tt.routes})
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
	s := tokenSender(t, newFakeSlack(t))
	if s.Wants(ctwatch.Event{Data: ctwatch.EventData{Severity: ctwatch.Debug}}) || !s.Wants(notifytest.Issued()) {
		t.Error("by default it wants info and above")
	}
}
