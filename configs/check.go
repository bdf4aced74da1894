package configs

import (
	"fmt"
	"net"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// minInterval is the shortest interval of requests over the network.
const minInterval = 100 * time.Millisecond

// maxTailWait bounds the delay of alerts that saves requests.
const maxTailWait = 10 * time.Minute

// A checker checks the values of a decoded file.
type checker struct{ *decoder }

// bad records a mistake, unless the setting has one already.
func (c checker) bad(path, format string, args ...any) {
	if !c.spoiled(path) {
		c.fail(path, format, args...)
	}
}

func check(cfg *Config, d *decoder) {
	c := checker{d}
	c.required("data_dir", cfg.DataDir, "a directory")
	c.watch(cfg.Watch)
	for i, file := range cfg.WatchFiles {
		c.required(index("watch_files", i), file, "the name of a file")
	}
	c.apps(cfg.Apps)
	c.logs(cfg.Logs)
	c.nats(cfg.NATS)
	c.senders(cfg)
	for i, server := range cfg.DNS.Servers {
		c.resolver(index("dns.servers", i), server)
	}
	c.listen("http.listen", cfg.HTTP.Listen)
	if t := cfg.HTTP.TLS; t != nil {
		c.required("http.tls.cert", t.Cert, "the name of a PEM file")
		c.required("http.tls.key", t.Key, "the name of a PEM file")
	}
	if u := cfg.HTTP.PublicURL; u != "" {
		c.url("http.public_url", u, "http", "https")
	}
	if cfg.Probe.Interval != 0 { // off
		c.atLeast("probe.interval", cfg.Probe.Interval, time.Second)
	}
	c.atLeast("signing.refresh", cfg.Signing.Refresh, time.Minute)
	if cfg.Signing.Expires <= cfg.Signing.Refresh {
		c.bad("signing.expires", "%s is not longer than refresh; want several times that, since devices go dark when a document expires", ctwatch.FormatDuration(cfg.Signing.Expires))
	}
	oneOf(c, "fleet.role", cfg.Fleet.Role, RoleAll, RoleCoordinator)
}

func (c checker) watch(list []Watch) {
	seen := map[string]string{}
	for i, w := range list {
		at := index("watch", i)
		name := at + ".domain"
		if rule, err := w.Rule(); err != nil {
			c.bad(name, "%s %s", c.shown(name, w.Domain), err)
		} else {
			c.unique(seen, rule.Domain, name, "%s is watched already", c.shown(name, w.Domain))
		}
		if w.MaxValidity != 0 {
			c.atLeast(at+".max_validity", w.MaxValidity, time.Hour)
		}
		for j, algorithm := range w.Algorithms {
			c.required(index(at+".algorithms", j), algorithm, "a kind of key, such as \"ECDSA P-256\" or \"RSA\"")
		}
	}
}

func (c checker) apps(list []App) {
	seen := map[string]string{}
	for i, a := range list {
		at := index("apps", i)
		if c.required(at+".name", a.Name, "a name") {
			c.unique(seen, a.Name, at+".name", "%s is the name of another app", c.shown(at+".name", a.Name))
		}
		c.notEmpty(at+".hosts", len(a.Hosts), "at least one host, or pattern such as \"*.example.com\"")
		for j, h := range a.Hosts {
			c.host(index(at+".hosts", j), h)
		}
		oneOf(c, at+".pin", a.Pin, pins.RoleLeaf, pins.RoleIssuer)
		if a.Min < 1 {
			c.bad(at+".min_pins", "%d is too few; want at least 1", a.Min)
		}
		c.atLeast(at+".lead_time", a.LeadTime, time.Second)
		versions := map[string]string{}
		for j, s := range a.Shipped {
			at := index(at+".shipped", j)
			if c.required(at+".version", s.Version, "a version, in quotes") {
				c.unique(versions, s.Version, at+".version", "%s is the name of another version", c.shown(at+".version", s.Version))
			}
			if (s.File == "") == (len(s.Pins) == 0) {
				c.bad(at, "has both or neither of file and pins; want one")
			}
			for host, list := range s.Pins {
				p := at + ".pins[" + host.String() + "]"
				c.host(p, host)
				c.notEmpty(p, len(list), "at least one pin")
			}
		}
	}
}

func (c checker) logs(l Logs) {
	switch {
	case l.List != "":
		if strings.Contains(l.List, "://") {
			c.url("logs.list", l.List, "http", "https", "file")
		}
		c.notEmpty("logs.states", len(l.States), "at least one of "+strings.Join(ctwatch.LogStates(), ", "))
	case len(l.Extra) == 0:
		c.bad("logs.list", "there is no list and no log in logs.extra; want one of the two")
	}
	c.atLeast("logs.refresh", l.Refresh, minInterval)
	c.atLeast("logs.poll", l.Poll, minInterval)
	if l.MaxRate < 1 || l.MaxRate > 10_000 {
		c.bad("logs.max_rate", "%d is not a rate; want 1 to 10000 requests per second", l.MaxRate)
	}
	c.within("logs.tail_wait", l.TailWait, 0, maxTailWait)
	for i, s := range l.States {
		oneOf(c, index("logs.states", i), s, ctwatch.LogStates()...)
	}
	for i, s := range l.Only {
		c.required(index("logs.only", i), s, "a log's name or ID, or an operator")
	}
	names, keys := map[string]string{}, map[string]string{}
	for i, x := range l.Extra {
		at := index("logs.extra", i)
		if c.required(at+".name", x.Name, "a name") {
			c.unique(names, x.Name, at+".name", "%s is the name of another log", c.shown(at+".name", x.Name))
		}
		c.required(at+".kind", string(x.Kind), "rfc6962 or static")
		if len(x.Key) > 0 {
			c.unique(keys, string(x.Key), at+".key", "is the key of another log")
		}
	}
	if l.Contact != "" {
		c.contact("logs.contact", l.Contact)
	}
}

func (c checker) nats(n NATS) {
	if n.URL != "" {
		for _, server := range strings.Split(string(n.URL), ",") {
			if _, err := ctwatch.ParseURL(strings.TrimSpace(server), "nats", "tls", "ws", "wss"); err != nil {
				c.bad("nats.url", "%s", err)
			}
		}
	} else {
		const useless = "is set without nats.url; want both, or neither (the embedded server is reached over loopback, without credentials)"
		if n.CredentialsFile != "" {
			c.bad("nats.credentials_file", useless)
		}
		if n.TLS != nil {
			c.bad("nats.tls", useless)
		}
		c.listen("nats.listen", n.Listen)
	}
	if t := n.TLS; t != nil && (t.Cert == "") != (t.Key == "") {
		c.bad("nats.tls", "has one of cert and key; want both, or neither")
	}
}

// host checks a pattern of an app's hosts.
func (c checker) host(path string, p pins.Pattern) {
	const want = "want a host, or a pattern such as \"*.example.com\""
	switch shown := c.shown(path, p.String()); {
	case p.Reach == pins.AllBelow:
		c.bad(path, "%s begins with a dot; "+want, shown)
	case p.Reach == pins.OneBelow && !strings.Contains(p.Name, "."):
		c.bad(path, "%s covers a whole top-level domain; "+want, shown)
	}
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// required checks that there is a value, without control characters, and reports whether
// there is.
func (c checker) required(path, value, want string) bool {
	switch {
	case strings.TrimSpace(value) == "":
		c.bad(path, "is missing or empty; want %s", want)
	case strings.ContainsFunc(value, unicode.IsControl):
		c.bad(path, "%s has control characters; want %s", c.shown(path, value), want)
	default:
		return true
	}
	return false
}

func (c checker) notEmpty(path string, n int, want string) {
	if n == 0 {
		c.bad(path, "is missing or empty; want %s", want)
	}
}

// unique checks that a key is not in seen, and adds it.
func (c checker) unique(seen map[string]string, key, path, format string, args ...any) {
	if first, ok := seen[key]; ok {
		c.bad(path, format+"; want each once (the first is on line %d)", append(args, c.at(first).line)...)
		return
	}
	seen[key] = path
}

// oneOf checks that a value is in a list.
func oneOf[T ~string](c checker, path string, value T, allowed ...T) {
	want := make([]string, len(allowed))
	for i, a := range allowed {
		want[i] = string(a)
	}
	switch {
	case slices.Contains(allowed, value):
	case value == "":
		c.bad(path, "is missing or empty; want %s", strings.Join(want, ", "))
	default:
		c.bad(path, "%s is not known; want %s", c.shown(path, string(value)), strings.Join(want, ", "))
	}
}

func (c checker) atLeast(path string, d, least time.Duration) {
	if d < least {
		c.bad(path, "%s is too short; want at least %s", ctwatch.FormatDuration(d), ctwatch.FormatDuration(least))
	}
}

func (c checker) within(path string, d, least, most time.Duration) {
	c.atLeast(path, d, least)
	if d > most {
		c.bad(path, "%s is too long; want at most %s", ctwatch.FormatDuration(d), ctwatch.FormatDuration(most))
	}
}

func (c checker) url(path, value string, schemes ...string) {
	if u, err := ctwatch.ParseURL(value, schemes...); err != nil {
		c.bad(path, "%s", err)
	} else if u.User != nil {
		c.bad(path, "has a user name or password; want a URL without")
	}
}

// resolver checks the address of a DNS server. A name without a port is refused: finding
// its address would take a DNS server.
func (c checker) resolver(path, value string) {
	if host, _, ok := ctwatch.SplitHostPort(value, false); net.ParseIP(value) == nil && (!ok || host == "") {
		c.bad(path, "%s is not a DNS server; want its address, such as 192.0.2.53 or 192.0.2.53:5353", c.shown(path, value))
	}
}

// listen checks the address of a listener; "" is none.
func (c checker) listen(path, value string) {
	if value == "" {
		return
	}
	if _, _, ok := ctwatch.SplitHostPort(value, true); !ok {
		c.bad(path, "%s is not an address to listen on; want host:port, such as 127.0.0.1:4222, or \"\" for none", c.shown(path, value))
	}
}

// maxHookTimeout bounds how long one event can delay the next ones.
const maxHookTimeout = 10 * time.Minute

// senderName allows few characters, since people type names of senders in a shell.
var senderName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (c checker) senders(cfg *Config) {
	if n := cfg.Notify.Storm; n < 1 && n != -1 {
		c.bad("notify.storm", "%d is not a number of events; want at least 1, or -1 for no digests", n)
	}
	c.names(cfg)
	for i, h := range cfg.Hooks {
		c.required(index("hooks", i), h, "the name of an executable, or of a directory of them")
	}
	c.within("hook_timeout", cfg.HookTimeout, time.Second, maxHookTimeout)
	oneOf(c, "hook_severity", cfg.HookSeverity, ctwatch.Severities()...)
	c.atLeast("heartbeat.interval", cfg.Heartbeat.Interval, time.Second)
}

// names checks that senders of one kind have different names, and that settings do not
// contradict each other. The senders check their settings themselves.
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
		c.bad(path, "%s is not a name; want 1 to 64 letters, digits, -, . or _", c.shown(path, name))
		return
	}
	c.unique(seen, name, path, "%s is the name of another sender", c.shown(path, name))
}
