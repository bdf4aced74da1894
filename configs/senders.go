package configs

import (
	"time"

	"ctwatch/ctwatch"
)

// How people, and programs of theirs, are told of events.

// Notify says how all senders work.
type Notify struct {
	// Storm is how many events within a minute Slack, e-mail and services tell one
	// by one; more of them come as digests. At least 1, or -1 for no digests ever.
	Storm int `yaml:"storm"`
}

// A Filter says which events a sender is told of: those that meet all of its
// conditions. It is embedded, so that its settings are among the sender's own.
//
// In patterns a star stands for any characters, as path.Match has it.
type Filter struct {
	Severity ctwatch.Severity `yaml:"severity"`        // the least urgent; default info
	Types    []string         `yaml:"types,omitempty"` // patterns of event types; empty means any
	// Watch are patterns of watched domains, hosts and log IDs; empty means any.
	Watch []string `yaml:"watch,omitempty"`
}

func (f *Filter) setDefaults() { f.Severity = ctwatch.Info }

// Slack sends events to Slack, by a bot's token (with a channel) or by an incoming
// webhook: exactly one of Token and WebhookURL is set.
type Slack struct {
	Token      Secret `yaml:"token"`
	WebhookURL Secret `yaml:"webhook_url"`
	// APIURL replaces Slack's API base; "" means Slack's own.
	APIURL  string `yaml:"api_url"`
	Channel string `yaml:"channel"`
	// Severity is the least urgent that is posted at all; default info.
	Severity ctwatch.Severity `yaml:"severity"`
	Routes   []SlackRoute     `yaml:"routes"` // only with Token
	// AppToken is for Socket Mode, by which Approvers, who are user IDs, judge
	// certificates by buttons: both are set, with Token, or neither.
	AppToken  Secret   `yaml:"app_token"`
	Approvers []string `yaml:"approvers,omitempty"`
}

func (s *Slack) setDefaults() { s.Severity = ctwatch.Info }

// A SlackRoute sends the events that meet all of its conditions to another channel.
// It has at least one condition. They are those of Filter, but for the default.
type SlackRoute struct {
	Severity ctwatch.Severity `yaml:"severity,omitempty"` // the least urgent; "" means any
	Watch    []string         `yaml:"watch,omitempty"`
	Types    []string         `yaml:"types,omitempty"`
	Channel  string           `yaml:"channel"`
}

// How the connection to a mail server is protected.
const (
	TLSStart    = "starttls" // insisted on
	TLSImplicit = "implicit" // from the first byte
	TLSNone     = "none"     // only where Host is this machine
)

// Email sends events by SMTP.
type Email struct {
	Host     string `yaml:"host"`
	Port     int    `yaml:"port"`               // default 587, or 465 with TLSImplicit
	TLS      string `yaml:"tls"`                // default TLSStart
	CAFile   string `yaml:"ca_file,cred"`       // PEM; "" for the system's roots
	Username string `yaml:"username,omitempty"` // "" sends without logging in
	Password Secret `yaml:"password"`
	From     string `yaml:"from"` // an address, as in RFC 5322
	// To are such addresses, at least one, and each once: each is a sender.
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

// A Webhook is an address that events are posted to.
type Webhook struct {
	URL    SecretURL `yaml:"url"`            // http or https
	Name   string    `yaml:"name,omitempty"` // tells it from others; "" is one made from URL
	Secret Secret    `yaml:"secret"`         // signs what is posted; may be unset
	// AllowPrivate permits addresses that are not of the public internet.
	AllowPrivate bool `yaml:"allow_private"`
	Filter
}

// A Service is another service, named by a URL of shoutrrr.
type Service struct {
	URL  Secret `yaml:"url"`
	Name string `yaml:"name,omitempty"` // tells it from others; "" is one made from URL
	Filter
}

// Heartbeat says how the daemon shows that it works.
type Heartbeat struct {
	Interval time.Duration `yaml:"interval"` // at least 1 s
	// URL is called at each beat; http or https. Unset, there is only the event.
	URL Secret `yaml:"url"`
	// AllowPrivate permits addresses that are not of the public internet.
	AllowPrivate bool `yaml:"allow_private"`
}
