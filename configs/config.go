// Package configs is the configuration of ctwatch: its schema, its defaults, and
// a strict reader. The commented example (Example) is the reference for users;
// the fields of Config are the reference for code.
//
// The file is YAML 1.2, one document. An unknown setting is a mistake, and every
// mistake names its file, line and column, and what was expected; a file's
// mistakes are reported all at once. Anchors and aliases work within a bound;
// tags and merge keys are refused.
//
//	path, err := configs.Find(explicit, env) // "" is fine: built-in defaults
//	cfg, err := configs.Load(path, env)
//
// # Secrets
//
// A setting that is a secret (say slack.token) is never written in the file. It
// is either the name of a file (token_file: a path, or the name of a credential
// in $CREDENTIALS_DIRECTORY) or taken from the environment (token: ${NAME}).
// Load does not read it, so that reading commands work for people who may not:
// Secret.Reveal reads it when it is used, and Config.CheckSecrets tries all of
// them, for the daemon's start and for checking a file.
//
// ${NAME} stands for an environment variable in any other value too; $${ is a
// literal ${.
package configs

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
)

// DefaultDataDir is where everything is kept unless the file or $STATE_DIRECTORY
// says otherwise, relative to the working directory.
const DefaultDataDir = "ctwatch-data"

// DefaultLogList is the list of logs that Chrome and most monitors use.
const DefaultLogList = "https://www.gstatic.com/ct/log_list/v3/log_list.json"

// Config is the whole configuration, checked: each value is of the form that its
// field documents. Relative paths have been resolved against the directory of the
// file. A zero value is not usable; see Default and Load.
type Config struct {
	// DataDir holds the database, the embedded NATS server's streams and caches.
	DataDir string `yaml:"data_dir,path"`

	Watch      []Watch  `yaml:"watch"`
	WatchFiles []string `yaml:"watch_files,path"` // in Cert Spotter's syntax; not read here
	Apps       []App    `yaml:"apps"`

	Logs Logs `yaml:"logs"`
	NATS NATS `yaml:"nats"`

	Notify   Notify    `yaml:"notify"`
	Slack    *Slack    `yaml:"slack"` // nil: off
	Email    *Email    `yaml:"email"` // nil: off
	Webhooks []Webhook `yaml:"webhooks"`
	Services []Service `yaml:"services"`
	Hooks    []string  `yaml:"hooks,path"` // executables, or directories of them
	// HookTimeout is how long a hook may run for one event; 1 s to 10 min.
	HookTimeout time.Duration `yaml:"hook_timeout"`
	// HookSeverity is the least urgent severity that hooks are run for.
	HookSeverity ctwatch.Severity `yaml:"hook_severity"`
	Stdout       bool             `yaml:"stdout"`
	Heartbeat    Heartbeat        `yaml:"heartbeat"`

	DNS     DNS     `yaml:"dns"`
	HTTP    HTTP    `yaml:"http"`
	Probe   Probe   `yaml:"probe"`
	Signing Signing `yaml:"signing"`
	Fleet   Fleet   `yaml:"fleet"`

	src *source // where each value stands in the file; nil for defaults
}

// A Watch is a domain to watch. In YAML it is a mapping, or just the domain.
type Watch struct {
	// Domain is as written: a domain name, which may be internationalised, an IP
	// address, or a network in CIDR notation.
	Domain string `yaml:"domain,short"`
	// Subdomains says whether every name below Domain is watched too; default true.
	// It means nothing for addresses and networks.
	Subdomains bool `yaml:"subdomains"`
	// Issuers are CAA identities (RFC 8659 §4.2), pins of issuer keys, or names of
	// CAs. When there are any, every other CA is unexpected. Whether there is such a
	// CA is not known here.
	Issuers []string `yaml:"issuers,omitempty"`
	// Keys are authorised before anything is issued for them.
	Keys []pins.Pin `yaml:"keys,omitempty"`
	// CAA also judges certificates by the domain's CAA records.
	CAA bool `yaml:"caa,omitempty"`
	// Algorithms are those that keys may have, as certificates tell them ("ECDSA
	// P-256", "RSA 3072"), or families ("ECDSA"); empty means any.
	Algorithms []string `yaml:"algorithms,omitempty"`
	// MaxValidity is how long certificates may be valid; 0 means any.
	MaxValidity time.Duration `yaml:"max_validity,omitempty"`
	// Wildcards says whether wildcard certificates may be issued; nil leaves it to
	// what is said of a domain above, where they may unless that forbids them.
	Wildcards *bool `yaml:"wildcards"`
	// Never are names, or patterns such as "*.example.com" and ".example.com", that
	// are never to be issued for.
	Never []pins.Pattern `yaml:"never,omitempty"`
	// Endpoints (host:port) are where the domain is served, and looked at. Nil is "auto":
	// the name itself on port 443. Empty and not nil means that nothing is looked at.
	Endpoints []pins.Endpoint `yaml:"endpoints,auto,omitempty"`
}

// Rule returns what is watched, or what is wrong with Domain, as watchlist.NewRule says it.
func (w *Watch) Rule() (watchlist.Rule, error) {
	if strings.HasPrefix(w.Domain, ".") {
		return watchlist.Rule{}, errors.New("begins with a dot; want the bare domain, which stands for every name below it as well")
	}
	return watchlist.NewRule(w.Domain, w.Subdomains)
}

// Unprobed reports whether the domain's endpoints are not to be looked at.
func (w *Watch) Unprobed() bool { return w.Endpoints != nil && len(w.Endpoints) == 0 }

func (w *Watch) setDefaults() { w.Subdomains = true }

// An App ships pins for some hosts.
type App struct {
	Name string `yaml:"name"`
	// Hosts are host names, or patterns whose first label is "*".
	Hosts []pins.Pattern `yaml:"hosts"`
	Pin   pins.Role      `yaml:"pin"`      // default leaf
	Min   int            `yaml:"min_pins"` // pins to ship per host, at least 1; default 2
	// LeadTime is how long it takes from a new pin to an app version that most
	// people run; default 14 days.
	LeadTime time.Duration `yaml:"lead_time"`
	Shipped  []Shipped     `yaml:"shipped,omitempty"`
}

func (a *App) setDefaults() {
	a.Pin, a.Min, a.LeadTime = pins.RoleLeaf, 2, 14*24*time.Hour
}

// A Shipped says what one released version of an app carries: exactly one of File
// and Pins is set.
type Shipped struct {
	Version string                      `yaml:"version"`
	File    string                      `yaml:"file,path,omitempty"` // in any format that can be imported
	Pins    map[pins.Pattern][]pins.Pin `yaml:"pins,omitempty"`      // by host or pattern
}

// Logs says which logs are read, and how.
type Logs struct {
	// List is an http, https or file URL, or a path, of a version 3 log list; ""
	// means that only Extra is read.
	List string `yaml:"list,location"`
	// ListKey is a PEM file with the key that signs the list, "google" for its
	// published key, or "" for an unsigned list.
	ListKey string        `yaml:"list_key,listkey"`
	Refresh time.Duration `yaml:"refresh"` // of the list; at least 100 ms
	// States are the states of the logs that are read (ctwatch.LogStates).
	States []string      `yaml:"states"`
	Only   []string      `yaml:"only"` // names, IDs or operators; empty means all
	Extra  []ExtraLog    `yaml:"extra"`
	Start  ctwatch.Start `yaml:"start"`
	Poll   time.Duration `yaml:"poll"` // between tree heads; at least 100 ms
	// MaxRate is the most requests per second to the logs of one operator, all
	// together; from 1 to 10,000.
	MaxRate int `yaml:"max_rate"`
	// TailWait is how long entries of a static log that do not fill a tile are
	// left alone; 0 to 10 min.
	TailWait time.Duration `yaml:"tail_wait"`
	// Contact is an e-mail address or an https URL that log operators find in the
	// User-Agent, as CheckContact has it; "" when none is given.
	Contact string `yaml:"contact"`
}

// An ExtraLog is a log that is on no list.
type ExtraLog struct {
	Name string          `yaml:"name"`
	Kind ctwatch.LogKind `yaml:"kind"`
	// URL is what entries are read from; http or https, or file for a static log.
	URL string `yaml:"url"`
	// SubmissionURL is the submission prefix of a static log, if it differs from
	// URL; http or https, or "".
	SubmissionURL string `yaml:"submission_url,omitempty"`
	Key           []byte `yaml:"key"` // DER SubjectPublicKeyInfo, RSA or ECDSA P-256
}

// NATS says where events are published.
type NATS struct {
	// URL of one server, or several separated by commas; nats, tls, ws or wss. ""
	// means the embedded server.
	URL URL `yaml:"url"`
	// Listen is the embedded server's host:port; "" keeps it in the process.
	Listen          string   `yaml:"listen"`
	CredentialsFile string   `yaml:"credentials_file,cred"` // for URL; "" when none
	TLS             *NATSTLS `yaml:"tls"`                   // for URL; nil when none is configured
	Stream          string   `yaml:"stream"`
	Subject         string   `yaml:"subject"` // what every subject begins with
}

// NATSTLS names PEM files. CA is "" for the system's roots; Cert and Key are both
// set, or neither.
type NATSTLS struct {
	CA   string `yaml:"ca,cred,omitempty"`
	Cert string `yaml:"cert,cred,omitempty"`
	Key  string `yaml:"key,cred,omitempty"`
}

// DNS says where CAA records are looked up.
type DNS struct {
	// Servers are resolvers, each an IP address, with or without a port, or
	// host:port; empty means those of /etc/resolv.conf.
	Servers []string `yaml:"servers"`
}

// HTTP is the listener of dashboard, API, pin documents and metrics.
type HTTP struct {
	Listen     string   `yaml:"listen"` // host:port; "" for no listener
	TokensFile string   `yaml:"tokens_file,cred"`
	TLS        *HTTPTLS `yaml:"tls"`
	PublicURL  string   `yaml:"public_url"` // http or https; "" when unknown
}

// HTTPTLS names two PEM files.
type HTTPTLS struct {
	Cert string `yaml:"cert,cred"`
	Key  string `yaml:"key,cred"`
}

// Probe says how often endpoints are probed.
type Probe struct {
	Interval time.Duration `yaml:"interval"` // at least 1 s; 0: not at all
}

// Signing says how pin documents are signed.
type Signing struct {
	KeyFile string `yaml:"key_file,cred"` // PKCS #8 PEM; "" for one made under DataDir
	// Refresh is after which time devices ask again, and a new document is issued;
	// at least 1 min. Expires is how long one holds; longer than Refresh.
	Refresh time.Duration `yaml:"refresh"`
	Expires time.Duration `yaml:"expires"`
}

// The roles of a process in a fleet.
const (
	RoleAll         = "all"
	RoleCoordinator = "coordinator"
)

// Fleet says what part of the work this process does.
type Fleet struct {
	Role string `yaml:"role"` // RoleAll or RoleCoordinator
}

// Default returns the built-in configuration: what ctwatch works on when there is
// no file.
func Default() *Config {
	return &Config{
		DataDir: DefaultDataDir,
		Logs: Logs{
			List: DefaultLogList, ListKey: "google", Refresh: time.Hour,
			States: []string{ctwatch.LogQualified, ctwatch.LogUsable, ctwatch.LogReadOnly, ctwatch.LogRetired},
			Poll:   30 * time.Second, MaxRate: 200,
		},
		NATS:   NATS{Listen: "127.0.0.1:4222", Stream: "CTWATCH", Subject: "ctwatch"},
		Notify: Notify{Storm: 20},

		HookTimeout: 30 * time.Second, HookSeverity: ctwatch.Info,
		Stdout:    true,
		Heartbeat: Heartbeat{Interval: 5 * time.Minute},

		HTTP:    HTTP{Listen: "127.0.0.1:8780"},
		Probe:   Probe{Interval: 10 * time.Minute},
		Signing: Signing{Refresh: 24 * time.Hour, Expires: 30 * 24 * time.Hour},
		Fleet:   Fleet{Role: RoleAll},
	}
}

// File is the name of the file that the configuration was read from, as it was
// given; "" for the built-in defaults.
func (c *Config) File() string {
	if c.src == nil {
		return ""
	}
	return c.src.file
}

// Format prints only where the configuration came from, with every verb: values
// taken from the environment may be secret. Show is for people.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.origin()) }

// LogValue implements slog.LogValuer as Format does.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.origin()) }

func (c Config) origin() string {
	if name := c.File(); name != "" {
		return "configuration of " + name
	}
	return "built-in configuration"
}

// notYet are the settings that are read and checked, and that nothing acts upon in
// this version.
var notYet = []string{"fleet"}

// Unused lists the settings of the file that this version accepts without acting
// upon them, in the file's order. Nobody should rely on what is not there.
func (c *Config) Unused() Errors {
	if c.src == nil {
		return nil
	}
	var out Errors
	for _, path := range notYet {
		if p, ok := c.src.places[path]; ok {
			out = append(out, &Error{File: c.src.file, Line: p.line, Column: p.column, Msg: "setting " + path + " is accepted but not acted upon by this version"})
		}
	}
	return out.Sorted()
}
