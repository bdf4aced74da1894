// Package webhook posts events to URLs, as signed CloudEvents in structured JSON
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md).
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/retryafter"
	"ctwatch/notify"
	"ctwatch/notify/outward"
)

// SignatureHeader is the header that proves to a receiver who sent an event:
//
//	X-Ctwatch-Signature: t=1764547200,v1=5f2c…
//
// t is when it was sent, in seconds since 1970, and v1 the HMAC-SHA256, in hex, of t, a
// full stop and the raw body, by the secret that both sides know. A receiver computes v1,
// compares it in constant time, and refuses a t that is more than some minutes from now,
// so that an old request cannot be replayed. It ignores unknown parts. CheckSignature
// does all of this.
const SignatureHeader = "X-Ctwatch-Signature"

// maxReply bounds what is read of a reply.
const maxReply = 64 << 10

// Options configures a Sender.
type Options struct {
	URL string // https or http; may hold secrets, which are never shown
	// Name distinguishes it from other webhooks: the sender is "webhook:" and this name.
	// Default the URL's host and a hash of the URL, so that another URL has another
	// cursor.
	Name    string
	Key     notify.Secret // signs requests; optional
	Outward outward.Options

	Now func() time.Time // default time.Now
}

// A Sender posts each event to a URL: a CloudEvent in structured JSON. The header
// Idempotency-Key has the event's ID, so that a receiver recognizes a repeated post.
//
// Any 2xx reply means that the receiver has the event. After any other reply the event is
// posted again, without end, since a person can repair receivers. Only what may be a
// refusal of this one event (400, 413, 422) is given up after MaxTries.
type Sender struct {
	o     Options
	url   *url.URL
	name  string
	http  *http.Client
	tries notify.Tries
}

// Check returns the mistakes in the options, as ctwatch.SettingErrors.
func (o Options) Check() error {
	_, err := o.url()
	return err
}

func (o Options) url() (*url.URL, error) {
	u, err := ctwatch.ParseURL(strings.TrimSpace(o.URL), "http", "https")
	if err != nil {
		return nil, &ctwatch.SettingError{Setting: "url", Wrong: err.Error()}
	}
	return u, nil
}

// New checks the options.
func New(o Options) (*Sender, error) {
	u, err := o.url()
	if err != nil {
		return nil, err
	}
	w := &Sender{o: o, url: u, name: "webhook:" + o.Name, http: outward.NewClient(u, o.Outward)}
	if o.Name == "" {
		w.name = "webhook:" + outward.Name(u)
	}
	if w.o.Now == nil {
		w.o.Now = time.Now
	}
	return w, nil
}

// Name implements Sender.
func (w *Sender) Name() string { return w.name }

// Wants implements Sender: everything. Filtered narrows it.
func (w *Sender) Wants(ctwatch.Event) bool { return true }

// Close ends connections that are kept for the next event.
func (w *Sender) Close() { w.http.CloseIdleConnections() }

// Send implements Sender.
func (w *Sender) Send(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return false, fmt.Errorf("encoding event %s: %w", e.ID, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return true, errors.New("webhook: it is not a URL: want https://example.com/path") // err holds it
	}
	req.Header.Set("Content-Type", notify.ContentType)
	req.Header.Set("Idempotency-Key", e.ID)
	req.Header.Set("User-Agent", "ctwatch")
	var key []byte
	if w.o.Key != nil {
		secret, err := w.o.Key()
		if key = []byte(strings.TrimSpace(secret)); err != nil || len(key) == 0 {
			return true, fmt.Errorf("webhook %s: there is no secret to sign with: check webhooks.secret_file: %w", w.url.Host, cmpErr(err))
		}
		req.Header.Set(SignatureHeader, sign(key, w.o.Now().Unix(), body))
	}
	resp, err := w.http.Do(req)
	switch {
	case ctx.Err() != nil:
		return true, fmt.Errorf("webhook %s: no answer in time: %w", w.url.Host, ctx.Err())
	case err != nil:
		return true, w.errorf(key, "%s", outward.WithoutURL(err))
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	status := resp.StatusCode
	if status/100 == 2 { // whatever became of the rest of the reply
		return false, nil
	}
	text := fmt.Sprintf("it answered %d %s", status, http.StatusText(status))
	switch {
	case status/100 == 3:
		text += ": redirects are not followed: configure the URL that it points to"
	case err == nil && len(bytes.TrimSpace(reply)) > 0:
		text += ": " + ctwatch.Printable(string(bytes.TrimSpace(reply)), 200)
	}
	err = w.errorf(key, "%s", text)
	if after := retryafter.Of(resp.Header, w.o.Now()); after > 0 {
		err = &notify.RetryAfterError{After: after, Err: err}
	}
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return w.tries.Refused(e.ID), err
	}
	return true, err
}

// errorf returns an error with the host and without secrets.
func (w *Sender) errorf(key []byte, format string, args ...any) error {
	text := outward.Redact(fmt.Sprintf(format, args...), append(outward.Secrets(w.url), string(key))...)
	return fmt.Errorf("webhook %s: %s", w.url.Host, ctwatch.Printable(text, 400))
}

// cmpErr returns err, or that a secret is empty.
func cmpErr(err error) error {
	if err == nil {
		return errors.New("it is empty")
	}
	return err
}

// sign returns the value of the header SignatureHeader.
func sign(key []byte, at int64, body []byte) string {
	return fmt.Sprintf("t=%d,v1=%s", at, hex.EncodeToString(computeMAC(key, strconv.FormatInt(at, 10), body)))
}

func computeMAC(key []byte, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// CheckSignature returns an error unless signature, the value of a request's
// SignatureHeader, was made with the key within tolerance of now. It is for receivers.
func CheckSignature(key []byte, signature string, body []byte, now time.Time, tolerance time.Duration) error {
	var at string
	var macs [][]byte
	for _, part := range strings.Split(signature, ",") {
		switch k, v, _ := strings.Cut(strings.TrimSpace(part), "="); k {
		case "t":
			at = v
		case "v1":
			if mac, err := hex.DecodeString(v); err == nil {
				macs = append(macs, mac)
			}
		}
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || len(macs) == 0 || len(key) == 0 {
		return fmt.Errorf("the header %s has no t and v1, or there is no key to check it with", SignatureHeader)
	}
	want := computeMAC(key, at, body)
	good := 0
	for _, mac := range macs {
		good |= subtle.ConstantTimeCompare(mac, want)
	}
	if good == 0 {
		return errors.New("the request was signed with another secret, or changed in transit")
	}
	if d := now.Sub(time.Unix(seconds, 0)).Abs(); d > tolerance {
		return fmt.Errorf("the request was signed %s from now: it may be a replay", d.Round(time.Second))
	}
	return nil
}
