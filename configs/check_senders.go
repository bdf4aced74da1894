package configs

import (
	"net/mail"
	"regexp"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// maxHookTimeout bounds how long one event may hold up those that come after it.
const maxHookTimeout = 10 * time.Minute

// senderName is narrow, since names of senders are typed in a shell.
var senderName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (c checker) senders(cfg *Config) {
	if n := cfg.Notify.Storm; n < 1 && n != -1 {
		c.bad("notify.storm", "%d is no number of events; want at least 1, or -1 for no digests", n)
	}
	c.names(cfg)
	for i, h := range cfg.Hooks {
		c.required(index("hooks", i), h, "the name of an executable, or of a directory of them")
	}
	c.within("hook_timeout", cfg.HookTimeout, time.Second, maxHookTimeout)
	oneOf(c, "hook_severity", cfg.HookSeverity, ctwatch.Severities()...)
	c.atLeast("heartbeat.interval", cfg.Heartbeat.Interval, time.Second)
}

// names checks what tells senders of one kind apart, and which settings make sense
// together. The senders check their settings themselves.
func (c checker) names(cfg *Config) {
	addresses, names, urls, services := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	if e := cfg.Email; e != nil {
		if e.TLS == TLSNone && e.CAFile != "" {
			c.bad("email.ca_file", "is set without TLS; want it only with starttls or implicit")
		}
		c.notEmpty("email.to", len(e.To), "at least one address")
		for i, to := range e.To {
			if parsed, err := mail.ParseAddress(to); err == nil {
				at := index("email.to", i)
				c.unique(addresses, strings.ToLower(parsed.Address), at, "%s is listed already", c.shown(at, to))
			}
		}
	}
	for i, w := range cfg.Webhooks {
		at := index("webhooks", i)
		if w.Name != "" {
			c.senderName(names, at+".name", w.Name)
		} else {
			c.unique(urls, string(w.URL), at+".url", "is that of another webhook, and neither has a name")
		}
	}
	for i, s := range cfg.Services {
		if s.Name != "" {
			c.senderName(services, index("services", i)+".name", s.Name)
		}
	}
}

func (c checker) senderName(seen map[string]string, path, name string) {
	if !senderName.MatchString(name) {
		c.bad(path, "%s is no name; want 1 to 64 letters, digits, -, . or _", c.shown(path, name))
		return
	}
	c.unique(seen, name, path, "%s is the name of another", c.shown(path, name))
}
