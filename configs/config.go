// Package configs reads the configuration of ctwatch, a file in YAML 1.2
// (https://yaml.org/spec/1.2.2/). The commented example (Example) is the reference
// for users; the fields of Config are the reference for code.
//
// The reader is strict: an unknown setting is a mistake. All mistakes of a file are
// reported at once, each with its file, line and column, and with what was expected.
// Anchors, aliases, merge keys and tags are refused.
//
// Rules that belong to other packages, such as those of senders, are checked there. A
// check that is passed to Load adds such mistakes at the places of their settings (see
// Mistakes).
//
//	path, err := configs.Find(explicit, env) // "" is fine: built-in defaults
//	cfg, err := configs.Load(path, env)
//
// # Secrets
//
// The file does not contain secrets. A setting such as slack.token is either the name
// of a file (token_file: a path, or the name of a credential in
// $CREDENTIALS_DIRECTORY) or a reference to the environment (token: ${NAME}). Load
// does not read secrets, so that commands work for people who may not read them:
// Secret.Reveal reads a secret when it is used. Config.CheckSecrets reads all of them,
// when the daemon starts and when a file is checked.
//
// ${NAME} is replaced by an environment variable in any other value too; $${ is a
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

// DefaultDataDir is the data directory, relative to the working directory, unless the
// file or $STATE_DIRECTORY names another.
const DefaultDataDir = "ctwatch-data"

// DefaultLogList is the list of logs that Chrome and most monitors use.
const DefaultLogList = "https://www.gstatic.com/ct/log_list/v3/log_list.json"

// Config is a checked configuration: each value has the form that its field documents.
// Relative paths are resolved against the directory of the file. The zero Config is not
// usable; see Default and Load.
type Config struct {
	// DataDir holds the database, the embedded NATS server's streams and caches.
	DataDir string `yaml:"data_dir,path"`

	Watch      []Watch  `yaml:"watch"`
	WatchFiles []string `yaml:"watch_files,path"` // in Cert Spotter's syntax; Load does not read them
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

	src *source // the place of each value in the file; nil for defaults
}

// A Watch is a domain to watch: in YAML, a mapping or the domain alone.
type Watch struct {
	// Domain is a host name, which may be internationalized, an IP address or a network
	// in CIDR notation, as the file has it (see Rule).
	Domain string `yaml:"domain,short"`
	// Subdomains watches every name below Domain too; default true. It has no meaning
	// for addresses and networks.
	Subdomains bool `yaml:"subdomains"`
	// Issuers are CAA identities (RFC 8659 §4.2), pins of issuer keys, or names of
	// CAs. If there are any, certificates of other CAs are unexpected.
	Issuers []string `yaml:"issuers,omitempty"`
	// Keys are authorized before certificates for them are issued.
	Keys []pins.Pin `yaml:"keys,omitempty"`
	// CAA checks certificates against the domain's CAA records, too.
	CAA bool `yaml:"caa,omitempty"`
	// Algorithms are those that keys may have, such as "ECDSA P-256" or "RSA 3072", or
	// families, such as "ECDSA"; empty means any.
	Algorithms []string `yaml:"algorithms,omitempty"`
	// MaxValidity is how long certificates may be valid; 0 means any.
	MaxValidity time.Duration `yaml:"max_validity,omitempty"`
	// Wildcards allows or forbids wildcard certificates. Nil means what the entry for a
	// domain above says, or allowed.
	Wildcards *bool `yaml:"wildcards"`
	// Never are names, or patterns such as "*.example.com" and ".example.com", for which
	// no certificate may be issued.
	Never []pins.Pattern `yaml:"never,omitempty"`
	// Endpoints are probed. Nil is "auto": the name itself on port 443. Empty and not nil
	// turns probing off.
	Endpoints []pins.Endpoint `yaml:"endpoints,auto,omitempty"`
}

// Rule returns the rule of the watch list. The error says what is wrong with Domain, as
// that of watchlist.NewRule.
func (w *Watch) Rule() (watchlist.Rule, error) {
	if strings.HasPrefix(w.Domain, ".") {
		return watchlist.Rule{}, errors.New("begins with a dot; want the bare domain, which stands for every name below it as well")
	}
	return watchlist.NewRule(w.Domain, w.Subdomains)
}

// Unprobed reports whether probing is turned off for the domain.
func (w *Watch) Unprobed() bool { return w.Endpoints != nil && len(w.Endpoints) == 0 }

func (w *Watch) setDefaults() { w.Subdomains = true }

// An App ships pins for some hosts.
type App struct {
	Name string `yaml:"name"`
	// Hosts are host names, or patterns whose first label is "*".
	Hosts []pins.Pattern `yaml:"hosts"`
	Pin   pins.Role      `yaml:"pin"`      // default leaf
	Min   int            `yaml:"min_pins"` // pins to ship per host, at least 1; default 2
	// LeadTime is how long a new pin takes to reach most users, in a new version;
	// default 14 days.
	LeadTime time.Duration `yaml:"lead_time"`
	Shipped  []Shipped     `yaml:"shipped,omitempty"`
}

func (a *App) setDefaults() {
	a.Pin, a.Min, a.LeadTime = pins.RoleLeaf, 2, 14*24*time.Hour
}

// A Shipped lists the pins of one released version of an app, in File or in Pins.
type Shipped struct {
	Version string                      `yaml:"version"`
	File    string                      `yaml:"file,path,omitempty"` // in any format that can be imported
	Pins    map[pins.Pattern][]pins.Pin `yaml:"pins,omitempty"`      // by host or pattern
}

// Logs configures which logs are read, and how.
type Logs struct {
	// List is the http, https or file URL, or the path, of a version 3 log list; ""
	// for Extra alone.
	List string `yaml:"list,location"`
	// ListKey is a PEM file with the public key of the list's signature, "google" for
	// the key that Google publishes, or "" for an unsigned list.
	ListKey string        `yaml:"list_key,listkey"`
	Refresh time.Duration `yaml:"refresh"` // of the list; at least 100 ms
	// States are the states of the logs that are read (ctwatch.LogStates).
	States []string      `yaml:"states"`
	Only   []string      `yaml:"only"` // names, IDs or operators; empty means all
	Extra  []ExtraLog    `yaml:"extra"`
	Start  ctwatch.Start `yaml:"start"`
	Poll   time.Duration `yaml:"poll"` // between tree heads; at least 100 ms
	// MaxRate limits the requests per second to all logs of one operator together; 1
	// to 10,000.
	MaxRate int `yaml:"max_rate"`
	// TailWait is how long to wait for a tile of a static log to be full before a
	// partial one is read; 0 to 10 min.
	TailWait time.Duration `yaml:"tail_wait"`
	// Contact is an e-mail address or https URL for log operators, sent as part of the
	// User-Agent (see CheckContact); "" for none.
	Contact string `yaml:"contact"`
}

// An ExtraLog is a log that is not on a list (see loglist.Extra).
type ExtraLog struct {
	Name string          `yaml:"name"`
	Kind ctwatch.LogKind `yaml:"kind"`
	// URL is where entries are read: http or https, or file for a static log.
	URL string `yaml:"url"`
	// SubmissionURL is the submission prefix of a static log: http or https, or "" if
	// it is URL.
	SubmissionURL string `yaml:"submission_url,omitempty"`
	Key           []byte `yaml:"key"` // DER SubjectPublicKeyInfo, RSA or ECDSA P-256
}

// NATS configures where events are published.
type NATS struct {
	// URL of one server, or several separated by commas: nats, tls, ws or wss. "" is the
	// embedded server.
	URL URL `yaml:"url"`
	// Listen is the host:port of the embedded server; "" for connections from this
	// process only.
	Listen          string   `yaml:"listen"`
	CredentialsFile string   `yaml:"credentials_file,cred"` // for URL; "" for none
	TLS             *NATSTLS `yaml:"tls"`                   // for URL; nil for none
	Stream          string   `yaml:"stream"`
	Subject         string   `yaml:"subject"` // the prefix of all subjects
}

// NATSTLS names PEM files. CA is "" for the system's roots. Cert and Key are set
// together.
type NATSTLS struct {
	CA   string `yaml:"ca,cred,omitempty"`
	Cert string `yaml:"cert,cred,omitempty"`
	Key  string `yaml:"key,cred,omitempty"`
}

// DNS configures how CAA records are looked up.
type DNS struct {
	// Servers are resolvers: IP addresses with or without a port, or host:port. Empty
	// means those of /etc/resolv.conf.
	Servers []string `yaml:"servers"`
}

// HTTP configures the listener for the dashboard, the API, pin documents and metrics.
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

// Probe configures how often endpoints are probed.
type Probe struct {
	Interval time.Duration `yaml:"interval"` // at least 1 s; 0 turns probing off
}

// Signing configures how pin documents are signed.
type Signing struct {
	KeyFile string `yaml:"key_file,cred"` // PKCS #8 PEM; "" for a key that is created in DataDir
	// Refresh is the time after which devices ask again and a new document is issued; at
	// least 1 min. Expires is how long a document is valid; longer than Refresh.
	Refresh time.Duration `yaml:"refresh"`
	Expires time.Duration `yaml:"expires"`
}

// The roles of a process in a fleet.
const (
	RoleAll         = "all"
	RoleCoordinator = "coordinator"
)

// Fleet configures which part of the work this process does.
type Fleet struct {
	Role string `yaml:"role"` // RoleAll or RoleCoordinator
}

// Default returns the configuration that is used without a file.
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

// File returns the name of the file that was read, as it was given; "" for the built-in
// defaults.
func (c *Config) File() string {
	if c.src == nil {
		return ""
	}
	return c.src.file
}

// Format prints where the configuration comes from, with every verb. It does not print
// values, which may be secrets from the environment; Show does, safely.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.origin()) }

// LogValue returns what Format prints.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.origin()) }

func (c Config) origin() string {
	if name := c.File(); name != "" {
		return "configuration of " + name
	}
	return "built-in configuration"
}

// notYet lists the settings that are checked and have no effect in this version.
var notYet = []string{"fleet"}

// Unused lists the settings of the file that have no effect in this version, in the
// file's order.
func (c *Config) Unused() Errors {
	if c.src == nil {
		return nil
	}
	var out Errors
	for _, path := range notYet {
		if p, ok := c.src.places[path]; ok {
			out = append(out, &Error{File: c.src.file, Line: p.line, Column: p.column, Msg: "setting " + path + " has no effect in this version"})
		}
	}
	return out.Sorted()
}
