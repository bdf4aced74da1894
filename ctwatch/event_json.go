package ctwatch

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"ctwatch/pins"
)

// The JSON of an event is appended to a buffer, which costs a sixth of encoding/json: a
// certificate that matches is reported in two or three events. The result is what
// encoding/json writes, to the byte: rare members are left to it, and a test compares the
// others.

// appendJSON appends the event with its data as it is.
func (e *Event) appendJSON(b []byte) ([]byte, error) {
	w := jsonWriter{b: append(b, `{"specversion":"1.0"`...)}
	w.text("id", e.ID)
	w.text("source", eventSource)
	w.text("type", string(e.Type))
	w.text("subject", e.Subject)
	w.time("time", e.Time.UTC())
	w.text("datacontenttype", "application/json")
	w.key("data")
	e.Data.appendJSON(&w)
	w.b = append(w.b, '}')
	return w.b, w.err
}

func (d *EventData) appendJSON(w *jsonWriter) {
	w.open('{')
	w.text("severity", string(d.Severity))
	w.text("summary", d.Summary)
	if d.Certificate != nil {
		w.key("certificate")
		d.Certificate.appendJSON(w)
	}
	if d.Key != nil {
		w.other("key", d.Key)
	}
	if d.Log != nil {
		w.other("log", d.Log)
	}
	if d.Evidence != nil {
		w.other("evidence", d.Evidence)
	}
	w.textIfAny("by", d.By)
	w.textIfAny("report_to", d.ReportTo)
	if d.InDigest {
		w.bool("in_digest", true)
	}
	if d.AfterDigest {
		w.bool("after_digest", true)
	}
	if d.Unproven != nil {
		w.other("unproven", d.Unproven)
	}
	w.textIfAny("app", d.App)
	w.textIfAny("host", d.Host)
	w.textIfAny("endpoint", d.Endpoint)
	if d.Index != nil {
		w.uint("index", *d.Index)
	}
	if len(d.Indexes) > 0 {
		w.other("indexes", d.Indexes)
	}
	if d.MoreEntries != 0 {
		w.uint("more_entries", d.MoreEntries)
	}
	if d.Start != nil {
		w.uint("start", *d.Start)
	}
	if d.End != nil {
		w.uint("end", *d.End)
	}
	if len(d.Omitted) > 0 {
		w.other("omitted", d.Omitted)
	}
	w.close('}')
}

// AppendJSON appends what MarshalJSON returns, at a fraction of the cost.
func (c Certificate) AppendJSON(b []byte) ([]byte, error) {
	w := jsonWriter{b: b}
	c.appendJSON(&w)
	return w.b, w.err
}

func (c *Certificate) appendJSON(w *jsonWriter) {
	w.open('{')
	w.hash("id", &c.ID)
	w.text("serial", c.Serial)
	w.texts("names", c.Names)
	w.texts("ip_addresses", c.IPAddresses)
	w.text("subject", c.Subject)
	if !c.NotBefore.IsZero() {
		w.time("not_before", c.NotBefore)
	}
	if !c.NotAfter.IsZero() {
		w.time("not_after", c.NotAfter)
	}
	w.key("issuer")
	w.open('{')
	w.text("name", c.Issuer.Name)
	w.pin("pin", c.Issuer.Pin)
	w.bool("proven", c.Issuer.Proven)
	w.text("caa", c.Issuer.CAA)
	w.close('}')
	w.key("key")
	w.open('{')
	w.text("algorithm", c.Key.Algorithm)
	w.pin("pin", c.Key.Pin)
	w.close('}')
	w.key("pins")
	w.open('[')
	for _, p := range c.Pins {
		w.element()
		w.open('{')
		w.text("role", string(p.Role))
		w.pin("pin", p.Pin)
		w.close('}')
	}
	w.close(']')
	w.key("matches")
	w.open('[')
	for i := range c.Matches {
		w.element()
		w.open('{')
		w.text("watch", c.Matches[i].Watch)
		w.text("name", c.Matches[i].Name)
		w.close('}')
	}
	w.close(']')
	w.text("verdict", string(c.Verdict))
	w.texts("reasons", c.Reasons)
	w.bool("deployed", c.Deployed)
	if c.DeployedAt == nil {
		w.null("deployed_at")
	} else {
		w.time("deployed_at", *c.DeployedAt)
	}
	w.key("sightings")
	w.open('[')
	for i := range c.Sightings {
		w.element()
		c.Sightings[i].appendJSON(w)
	}
	w.close(']')
	w.time("first_seen", c.FirstSeen)
	w.key("fingerprints")
	w.open('{')
	w.hash("certificate", c.Fingerprints.Certificate)
	w.hash("precertificate", c.Fingerprints.Precertificate)
	w.close('}')
	w.texts("problems", c.Problems)
	if c.Judgments != nil {
		w.other("judgements", c.Judgments)
	}
	if len(c.Omitted) > 0 {
		w.other("omitted", c.Omitted)
	}
	w.close('}')
}

func (s *Sighting) appendJSON(w *jsonWriter) {
	w.open('{')
	w.text("log", s.Log)
	w.key("log_id")
	w.b = append(base64.StdEncoding.AppendEncode(append(w.b, '"'), s.LogID[:]), '"')
	w.uint("index", s.Index)
	w.time("timestamp", s.Timestamp)
	w.text("kind", string(s.Kind))
	w.bool("verified", s.Verified)
	w.close('}')
}

// A jsonWriter appends JSON without spaces. The first error remains.
type jsonWriter struct {
	b   []byte
	err error
}

func (w *jsonWriter) open(c byte)  { w.b = append(w.b, c) }
func (w *jsonWriter) close(c byte) { w.b = append(w.b, c) }

// element separates an element of a list, or a member, from the one before it.
func (w *jsonWriter) element() {
	if c := w.b[len(w.b)-1]; c != '[' && c != '{' {
		w.b = append(w.b, ',')
	}
}

// key begins a member.
func (w *jsonWriter) key(name string) {
	w.element()
	w.b = append(append(append(w.b, '"'), name...), `":`...)
}

func (w *jsonWriter) text(name, s string) {
	w.key(name)
	w.string(s)
}

func (w *jsonWriter) textIfAny(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *jsonWriter) texts(name string, list []string) {
	w.key(name)
	w.open('[')
	for _, s := range list {
		w.element()
		w.string(s)
	}
	w.close(']')
}

// string leaves texts that need an escape to encoding/json.
func (w *jsonWriter) string(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			w.value(s)
			return
		}
	}
	w.b = append(append(append(w.b, '"'), s...), '"')
}

func (w *jsonWriter) bool(name string, v bool) {
	w.key(name)
	w.b = strconv.AppendBool(w.b, v)
}

func (w *jsonWriter) uint(name string, n uint64) {
	w.key(name)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *jsonWriter) null(name string) {
	w.key(name)
	w.b = append(w.b, "null"...)
}

func (w *jsonWriter) hash(name string, h *Hash) {
	if h == nil {
		w.null(name)
		return
	}
	w.key(name)
	w.b = append(hex.AppendEncode(append(w.b, '"'), h[:]), '"')
}

func (w *jsonWriter) pin(name string, p pins.Pin) {
	w.key(name)
	b, _ := p.AppendText(append(w.b, '"'))
	w.b = append(b, '"')
}

func (w *jsonWriter) time(name string, t time.Time) {
	w.key(name)
	w.b = append(w.b, '"')
	b, err := t.AppendText(w.b) // as RFC 3339 has it, or an error
	if err != nil {
		w.fail(err)
		return
	}
	w.b = append(b, '"')
}

// other is a member that encoding/json writes.
func (w *jsonWriter) other(name string, v any) {
	w.key(name)
	w.value(v)
}

func (w *jsonWriter) value(v any) {
	b, err := json.Marshal(v)
	w.b = append(w.b, b...)
	w.fail(err)
}

func (w *jsonWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
