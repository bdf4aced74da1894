package configs

import (
	"fmt"
	"net"
	"net/mail"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"

	"ctwatch/ctwatch"
)

// maxHookTimeout bounds how long one event may hold up those that come after it.
const maxHookTimeout = 10 * time.Minute

var (
	// senderName is narrow, since names of senders are typed in a shell.
	senderName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	slackUser  = regexp.MustCompile(`^[UW][A-Z0-9]{2,30}$`)
)

func (c checker) senders(cfg *Config) {
	if n := cfg.Notify.Storm; n < 1 && n != -1 {
		c.bad("notify.storm", "%d is no number of events; want at least 1, or -1 for no digests", n)
	}
	if cfg.Slack != nil {
		c.slack(cfg.Slack)
	}
	if cfg.Email != nil {
		c.email(cfg.Email)
	}
	c.webhooks(cfg.Webhooks)
	c.services(cfg.Services)
	for i, h := range cfg.Hooks {
		c.required(index("hooks", i), h, "the name of an executable, or of a directory of them")
	}
	c.within("hook_timeout", cfg.HookTimeout, time.Second, maxHookTimeout)
	oneOf(c, "hook_severity", cfg.HookSeverity, ctwatch.Severities()...)
	c.atLeast("heartbeat.interval", cfg.Heartbeat.Interval, time.Second)
}

func (c checker) slack(s *Slack) {
	switch {
	case s.Token.IsSet() == s.WebhookURL.IsSet():
		c.bad("slack", "has both or neither of token_file and webhook_url_file; want one")
	case s.Token.IsSet():
		c.required("slack.channel", s.Channel, "the channel that the token posts to, such as \"#certs\"")
	default:
		const useless = "is set with a webhook, which has one channel and takes no clicks; want a token_file instead of the webhook"
		if len(s.Routes) > 0 {
			c.bad("slack.routes", useless)
		}
		if s.AppToken.IsSet() {
			c.bad(s.AppToken.path, useless)
		}
	}
	c.optionalURL("slack.api_url", s.APIURL, "http", "https")
	oneOf(c, "slack.severity", s.Severity, ctwatch.Severities()...)
	seen := map[string]string{}
	for i, r := range s.Routes {
		at := index("slack.routes", i)
		switch {
		case r.Severity != "":
			oneOf(c, at+".severity", r.Severity, ctwatch.Severities()...)
		case len(r.Watch)+len(r.Types) == 0:
			c.bad(at, "does not say which events it is for; want a severity, watch or types")
		}
		c.patterns(at, r.Types, r.Watch)
		c.unique(seen, fmt.Sprintf("%q", []any{r.Severity, r.Watch, r.Types}), at, "is for the same events as another route")
		c.required(at+".channel", r.Channel, "a channel, such as \"#incident\"")
	}
	if s.AppToken.IsSet() != (len(s.Approvers) > 0) {
		c.bad("slack", "has one of app_token_file and approvers; want both, or neither")
	}
	for i, id := range s.Approvers {
		if p := index("slack.approvers", i); !slackUser.MatchString(id) {
			c.bad(p, "%s is no user's ID; want such as U024BE7LH (in Slack: profile, ⋮, Copy member ID)", c.shown(p, id))
		}
	}
}

func (c checker) email(e *Email) {
	if !validName(e.Host) {
		c.bad("email.host", "%s is no host; want the name or address of a mail server", c.shown("email.host", e.Host))
	}
	if e.Port < 1 || e.Port > 65535 {
		c.bad("email.port", "%d is no port; want 1 to 65535", e.Port)
	}
	oneOf(c, "email.tls", e.TLS, TLSStart, TLSImplicit, TLSNone)
	if e.TLS == TLSNone {
		if ip := net.ParseIP(e.Host); e.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			c.bad("email.tls", "none is only for a mail server on this machine; want starttls or implicit")
		}
		if e.CAFile != "" {
			c.bad("email.ca_file", "is set without TLS; want it only with starttls or implicit")
		}
	}
	if (e.Username == "") == e.Password.IsSet() {
		c.bad("email", "has one of username and password_file; want both, or neither")
	}
	c.address("email.from", e.From)
	c.notEmpty("email.to", len(e.To), "at least one address")
	seen := map[string]string{}
	for i, to := range e.To {
		if at := index("email.to", i); c.address(at, to) {
			parsed, _ := mail.ParseAddress(to)
			c.unique(seen, strings.ToLower(parsed.Address), at, "%s is told already", c.shown(at, to))
		}
	}
	c.filter("email", e.Filter)
}

func (c checker) webhooks(list []Webhook) {
	names, urls := map[string]string{}, map[string]string{}
	for i, w := range list {
		at := index("webhooks", i)
		c.url(at+".url", string(w.URL), "http", "https")
		if w.Name != "" {
			c.senderName(names, at+".name", w.Name)
		} else {
			c.unique(urls, string(w.URL), at+".url", "is that of another webhook, and neither has a name")
		}
		c.filter(at, w.Filter)
	}
}

func (c checker) services(list []Service) {
	names := map[string]string{}
	for i, s := range list {
		at := index("services", i)
		if !s.URL.IsSet() {
			c.bad(at, "has no URL; want url_file, or url: ${NAME}")
		}
		if s.Name != "" {
			c.senderName(names, at+".name", s.Name)
		}
		c.filter(at, s.Filter)
	}
}

func (c checker) senderName(seen map[string]string, path, name string) {
	if !senderName.MatchString(name) {
		c.bad(path, "%s is no name; want 1 to 64 letters, digits, -, . or _", c.shown(path, name))
		return
	}
	c.unique(seen, name, path, "%s is the name of another", c.shown(path, name))
}

func (c checker) filter(at string, f Filter) {
	oneOf(c, at+".severity", f.Severity, ctwatch.Severities()...)
	c.patterns(at, f.Types, f.Watch)
}

// patterns checks the patterns of a filter or a route.
func (c checker) patterns(at string, types, watch []string) {
	for i, p := range types {
		c.glob(index(at+".types", i), p, "certificate.*")
	}
	for i, p := range watch {
		c.glob(index(at+".watch", i), p, "*.example.com")
	}
}

// glob checks a pattern. One that begins with a dot is refused, since elsewhere it
// stands for what is below a domain, and here for nothing.
func (c checker) glob(at, pattern, example string) {
	_, err := path.Match(pattern, "")
	if err != nil || pattern == "" || pattern[0] == '.' || strings.ContainsFunc(pattern, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		c.bad(at, "%s is no pattern; want a word in which * stands for any characters, such as %q", c.shown(at, pattern), example)
	}
}
