package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"ctwatch/ctwatch"
)

// TestWhatIsSuggestedMakesWhatIsUnreviewedExpected: the lines that certs list
// --suggest prints, put into the configuration as they are, have the daemon judge what
// was unreviewed as expected; and others, that name another CA, as unexpected.
func TestWhatIsSuggestedMakesWhatIsUnreviewedExpected(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := s.config("")
	p := person{s, config}
	for n := range 3 {
		s.addFinal(s.logs[n%2], s.watched(fmt.Sprintf("host%d.example.com", n)))
	}
	s.addFinal(s.static, s.watched("www.example.net"))
	s.publish()
	d := s.start(config)
	s.untilVerified()
	d.stop()

	verdicts := func(want ctwatch.Verdict) {
		t.Helper()
		var all []ctwatch.Certificate
		s.check(json.Unmarshal([]byte(p.does(exitDone, "certs", "list", "--json")), &all))
		if len(all) != 4 {
			t.Errorf("%d certificates", len(all))
		}
		for _, c := range all {
			if c.Verdict != want {
				t.Errorf("%v is %s (%q), want %s", c.Names, c.Verdict, c.Reasons, want)
			}
		}
	}
	verdicts(ctwatch.Unreviewed)
	lines := p.does(exitDone, "certs", "list", "--suggest")
	text, err := os.ReadFile(config)
	s.check(err)
	put := func(watch string) {
		s.check(os.WriteFile(config, []byte(strings.Replace(string(text), "watch: [example.com, example.net]\n", watch, 1)), 0o600))
	}
	put(lines)
	p.does(exitDone, "config", "check")
	s.start(config).stop() // it judges again when it starts
	verdicts(ctwatch.Expected)
	if again := p.does(exitDone, "certs", "list", "--suggest"); strings.Contains(again, "issuers:") {
		t.Errorf("where all is expected, there is more to suggest:\n%s", again)
	}
	if _, _, says := p.tries("certs", "list", "--verdict", "expected", "--suggest"); !strings.Contains(says, " match; none needs a rule.") {
		t.Errorf("of what is expected it says %q", says)
	}
	put("watch: [{domain: example.com, issuers: [letsencrypt.org]}, {domain: example.net, issuers: [letsencrypt.org]}]\n")
	s.start(config).stop()
	verdicts(ctwatch.Unexpected)
}

// TestSuggestHeedsRejected: an unknown CA is shown by what it calls itself, and is not
// suggested once a person rejected a certificate that it issued for any domain.
func TestSuggestHeedsRejected(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := s.config("")
	p := person{s, config}
	s.addFinal(s.static, s.watched("www.example.com"))
	rogue := s.watched("www.example.net")
	s.addFinal(s.rfc, rogue)
	s.publish()
	d := s.start(config)
	s.untilVerified()
	d.stop()

	pin := rogue.IssuerPin.String()
	lines := p.does(exitDone, "certs", "list", "--suggest", "--domain", "example.com")
	if !strings.Contains(lines, fmt.Sprintf("issuers: [%q] # unknown CA, calls itself O=", pin)) {
		t.Errorf("before: %s", lines)
	}
	p.does(exitDone, "certs", "reject", rogue.ID.String(), "--reason", "not ours")
	lines = p.does(exitDone, "certs", "list", "--suggest", "--domain", "example.com")
	if strings.Contains(lines, "issuers:") || !strings.Contains(lines, "# Not suggested: "+pin) || !strings.Contains(lines, rogue.ID.String()[:16]) {
		t.Errorf("after: %s", lines)
	}
}
