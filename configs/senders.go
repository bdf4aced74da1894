package configs

import (
	"time"

	"ctwatch/ctwatch"
)

// Notify configures all senders.
type Notify struct {
	// Storm is the number of events within a minute that Slack, e-mail and services send
	// individually; more are sent as digests. At least 1, or -1 for no digests.
	Storm int `yaml:"storm"`
}

// A Filter selects the events that a sender gets: those that meet all of its conditions
// (see notify.Filter). It is embedded, so that its settings are among the sender's own.
type Filter struct {
	Severity ctwatch.Severity `yaml:"severity"`        // the least urgent; default info
	Types    []string         `yaml:"types,omitempty"` // patterns of event types; empty means any
	// Watch are patterns of watched domains, hosts and log IDs; empty means any.
	Watch []string `yaml:"watch,omitempty"`
}

func (f *Filter) setDefaults() { f.Severity = ctwatch.Info }

// Slack sends events to Slack, with a bot's token or to an incoming webhook: one of Token
// and WebhookURL is set.
type Slack struct {
	Token      Secret `yaml:"token"`
	WebhookURL Secret `yaml:"webhook_url"`
	// APIURL is the base of the API; "" for Slack's own.
	APIURL  string `yaml:"api_url"`
	Channel string `yaml:"channel"`
	// Severity is the least urgent that is posted, whatever Routes say; default info.
	Severity ctwatch.Severity `yaml:"severity"`
	Routes   []SlackRoute     `yaml:"routes"` // only with Token
	// AppToken is for Socket Mode, which brings clicks on buttons. Approvers are the IDs
	// of the users who may click them. Both are set, with Token, or neither.
	AppToken  Secret   `yaml:"app_token"`
	Approvers []string `yaml:"approvers,omitempty"`
}

func (s *Slack) setDefaults() { s.Severity = ctwatch.Info }

// A SlackRoute sends the events that meet all of its conditions to another channel. Its
// conditions are those of a Filter, at least one of them, and none by default.
type SlackRoute struct {
	Severity ctwatch.Severity `yaml:"severity,omitempty"` // the least urgent; "" means any
	Watch    []string         `yaml:"watch,omitempty"`
	Types    []string         `yaml:"types,omitempty"`
	Channel  string           `yaml:"channel"`
}

// The ways to protect the connection to a mail server.
const (
	TLSStart    = "starttls" // required
	TLSImplicit = "implicit" // from the first byte
	TLSNone     = "none"     // only where Host is this machine
)

// Email sends events by SMTP.
type Email struct {
	Host     string `yaml:"host"`
	Port     int    `yaml:"port"`               // default 587, or 465 with TLSImplicit
	TLS      string `yaml:"tls"`                // default TLSStart
	CAFile   string `yaml:"ca_file,cred"`       // PEM; "" for the system's roots
	Username string `yaml:"username,omitempty"` // "" to send without a login
	Password Secret `yaml:"password"`
	From     string `yaml:"from"` // an address, as in RFC 5322
	// To are addresses, too: at least one, and each once. Each is a sender.
	To []string `yaml:"to"`
	Filter
}

func (e *Email) setDefaults() {
	e.TLS = TLSStart
	e.Filter.setDefaults()
}

// defaultPort is the port of a mail server (RFC 8314 §3.3, RFC 6409).
func (e *Email) defaultPort() int {
	if e.TLS == TLSImplicit {
		return 465
	}
	return 587
}

// A Webhook is a URL that events are posted to.
type Webhook struct {
	URL    SecretURL `yaml:"url"`            // http or https
	Name   string    `yaml:"name,omitempty"` // of the sender; "" for one that is derived from URL
	Secret Secret    `yaml:"secret"`         // signs requests; optional
	// AllowPrivate allows addresses outside the public internet.
	AllowPrivate bool `yaml:"allow_private"`
	Filter
}

// A Service is a chat or push service, by a URL of shoutrrr.
type Service struct {
	URL  Secret `yaml:"url"`
	Name string `yaml:"name,omitempty"` // of the sender; "" for one that is derived from URL
	Filter
}

// Heartbeat configures how the daemon shows that it works.
type Heartbeat struct {
	Interval time.Duration `yaml:"interval"` // at least 1 s
	// URL is called at each beat: http or https. Without it there is only the event.
	URL Secret `yaml:"url"`
	// AllowPrivate allows addresses outside the public internet.
	AllowPrivate bool `yaml:"allow_private"`
}
