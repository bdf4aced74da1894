package email

import (
	"context"
	"crypto/tls"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/notify/sendertest"
)

// bodies returns the parts of a multipart/alternative message by content type.
func bodies(t testing.TB, m *mail.Message) map[string]string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", m.Header.Get("Content-Type"), err)
	}
	out := make(map[string]string)
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = strings.ReplaceAll(string(b), "\r\n", "\n")
	}
}

func TestSendUsesTLSOnly(t *testing.T) {
	for name, s := range map[string]*smtpServer{
		"starttls":            {},
		"starttls with login": {login: "ct\x00watch-password"},
		"implicit":            {implicit: true},
		"implicit with login": {implicit: true, login: "ct\x00watch-password"},
	} {
		t.Run(name, func(t *testing.T) {
			startSMTP(t, s)
			e := notifytest.Unexpected("api.example.com")
			notifytest.MustSend(t, s.email(t), e)
			got := s.taken()
			if len(got) != 1 || !got[0].tls || got[0].to != "<oncall@example.org>" || !strings.HasPrefix(got[0].from, "<ctwatch@example.org>") {
				t.Fatalf("%+v", got)
			}
			if clear := s.inTheClear(); strings.Contains(clear, "MAIL") || strings.Contains(clear, "AUTH") {
				t.Errorf("without TLS: %q", clear)
			}
			m := s.only(t)
			for header, want := range map[string]string{
				"From":           `"ctwatch" <ctwatch@example.org>`,
				"To":             "<oncall@example.org>",
				"Subject":        "[ctwatch critical] Unexpected certificate: example.com",
				"Message-Id":     "<" + e.ID + "@example.org>",
				"References":     "<certificate-" + e.Data.Certificate.ID.String() + "@example.org>",
				"In-Reply-To":    "<certificate-" + e.Data.Certificate.ID.String() + "@example.org>",
				"Auto-Submitted": "auto-generated",
				"Date":           notifytest.Time.Format(time.RFC1123Z),
			} {
				if got := m.Header.Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
			parts := bodies(t, m)
			for _, want := range []string{
				": Unexpected certificate: example.com", "api.example.com", "CN=E7,O=Let's Encrypt,C=US",
				"issuer not allowed", "2026-11-20 to 2027-02-20", "ECDSA P-256", e.Data.Certificate.Key.Pin.String(),
				"Lab 2026h2, precertificate, entry 12", "https://crt.sh/?q=fe", "report@ca.example", "ctwatch certs reject " + e.Data.Certificate.ID.String()[:16] + " --reason TEXT",
			} {
				if !strings.Contains(parts["text/plain"], want) {
					t.Errorf("%q is not in the text:\n%s", want, parts["text/plain"])
				}
				if !strings.Contains(html.UnescapeString(parts["text/html"]), want) {
					t.Errorf("%q is not in the HTML:\n%s", want, parts["text/html"])
				}
			}
		})
	}
}

// Messages about one certificate are one thread.
func TestLaterFactsJoinThread(t *testing.T) {
	s := startSMTP(t, &smtpServer{})
	email := s.email(t)
	c := notifytest.Certificate()
	for _, e := range []ctwatch.Event{notifytest.Issued(), ctwatch.LoggedEvent(c, c.Sightings[0], notifytest.Time), notifytest.Unexpected(), notifytest.Misbehaved()} {
		notifytest.MustSend(t, email, e)
	}
	threads := make(map[string]int)
	ids := make(map[string]bool)
	for _, got := range s.taken() {
		m, err := mail.ReadMessage(strings.NewReader(got.data))
		if err != nil {
			t.Fatal(err)
		}
		threads[m.Header.Get("References")]++
		ids[m.Header.Get("Message-Id")] = true
	}
	if len(ids) != 4 || len(threads) != 2 || threads["<certificate-"+c.ID.String()+"@example.org>"] != 3 {
		t.Errorf("%v, %v", ids, threads)
	}
}

func TestSendRetriesEveryError(t *testing.T) {
	on := func(command, reply string) func(int, string) string {
		return func(_ int, c string) string {
			if c == command {
				return reply
			}
			return ""
		}
	}
	for _, tt := range []struct {
		name    string
		server  *smtpServer
		options func(*Options)
		want    string
	}{
		{name: "no STARTTLS offered", server: &smtpServer{noStartTLS: true}, want: "offers no STARTTLS"},
		{name: "STARTTLS refused", server: &smtpServer{reply: on("STARTTLS", "454 not now")}, want: "454"},
		{name: "the certificate is not trusted", options: func(o *Options) { o.TLSConfig = nil }, want: "certificate"},
		{name: "not its certificate", options: func(o *Options) { o.TLSConfig.ServerName = "mail.example.org" }, want: "certificate"},
		{name: "login refused", server: &smtpServer{login: "ct\x00watch-password"}, options: func(o *Options) { o.Password = notify.StaticSecret("wrong-password") }, want: "email.password_file"},
		{name: "login needed", server: &smtpServer{login: "ct\x00watch-password"}, options: func(o *Options) { o.Username, o.Password = "", nil }, want: "530"},
		{name: "no login offered", options: func(o *Options) { o.Username, o.Password = "ct", notify.StaticSecret("wrong-password") }, want: "AUTH"},
		{name: "sender refused", server: &smtpServer{reply: on("MAIL", "553 5.1.8 who are you?")}, want: "email.from"},
		{name: "recipient refused", server: &smtpServer{reply: on("RCPT", "550 5.1.1 nobody here")}, want: "email.to: oncall@example.org"},
		{name: "greylisted", server: &smtpServer{reply: on("RCPT", "451 4.7.1 come again")}, want: "451"},
		{name: "busy", server: &smtpServer{reply: on("", "421 busy")}, want: "421"},
		{name: "full", server: &smtpServer{reply: on(".", "452 4.3.1 no space")}, want: "452"},
		{name: "it wants no data", server: &smtpServer{reply: on("DATA", "554 no")}, want: "554"},
		{name: "nonsense", server: &smtpServer{reply: on("EHLO", "\x00\xff<b>\x1b[31m")}, want: "oncall@example.org"},
		{name: "an endless line", server: &smtpServer{reply: on("EHLO", "flood")}, want: "more than a mail server should"},
		{name: "it is gone", options: func(o *Options) { o.Host, o.Port = "127.0.0.1", 1 }, want: "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := tt.server
			if server == nil {
				server = &smtpServer{}
			}
			s := startSMTP(t, server)
			o := s.options()
			if tt.options != nil {
				tt.options(&o)
			}
			email, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			retry, err := email.Send(notifytest.Within(t, notifytest.Patience), notifytest.Unexpected())
			if err == nil || !retry || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("retry %v, error %v, want %q in it", retry, err, tt.want)
			}
			if strings.Contains(err.Error(), "-password ") || strings.ContainsAny(err.Error(), "\x00\x1b\n") || strings.Contains(err.Error(), "wrong-password") {
				t.Errorf("a secret or raw bytes are in %q", err)
			}
			if got := s.taken(); len(got) > 0 {
				t.Errorf("sent all the same: %+v", got)
			}
			if strings.Contains(s.inTheClear(), "AUTH") || strings.Contains(s.inTheClear(), "MAIL") {
				t.Errorf("without TLS: %q", s.inTheClear())
			}
		})
	}
}

func TestSlowServerTimesOut(t *testing.T) {
	for _, how := range []string{"hang", "drip"} {
		for _, where := range []string{"", "EHLO", "STARTTLS", "MAIL", "DATA", "."} {
			t.Run(how+" at "+where, func(t *testing.T) {
				t.Parallel()
				s := startSMTP(t, &smtpServer{reply: func(_ int, c string) string {
					if c == where {
						return how
					}
					return ""
				}})
				email := s.email(t)
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				retry, err := email.Send(ctx, notifytest.Unexpected())
				if err == nil || !retry {
					t.Errorf("retry %v, %v", retry, err)
				}
				email.step = 100 * time.Millisecond // without a context that ends
				if retry, err := email.Send(t.Context(), notifytest.Unexpected()); err == nil || !retry {
					t.Errorf("retry %v, %v", retry, err)
				}
			})
		}
	}
}

// A server that has taken the message has it, whatever it says afterwards.
func TestTakenMessageIsNotSentAgain(t *testing.T) {
	for _, after := range []string{"RSET", "QUIT"} {
		for _, reply := range []string{"421 gone", "500 no", "hang"} {
			t.Run(after+" "+reply, func(t *testing.T) {
				t.Parallel()
				s := startSMTP(t, &smtpServer{reply: func(_ int, c string) string {
					if c == after {
						return reply
					}
					return ""
				}})
				notifytest.MustSend(t, s.email(t), notifytest.Unexpected())
				s.only(t)
			})
		}
	}
}

// A message that is refused for its content is sent without text that others chose.
func TestRefusedContentIsSentBare(t *testing.T) {
	refuseFirst := func(n int, c string) string {
		if c == "." && n == 1 {
			return "554 5.7.1 this is spam"
		}
		return ""
	}
	t.Run("event", func(t *testing.T) {
		s := startSMTP(t, &smtpServer{reply: refuseFirst})
		e := notifytest.Unexpected("api.example.com", "buy-cheap-pills.example.net")
		notifytest.MustSend(t, s.email(t), e)
		data := s.taken()[0].data
		parts := bodies(t, s.only(t))
		if strings.Contains(data, "pills") || strings.Contains(data, "Encrypt") {
			t.Errorf("it holds what was refused: %s", data)
		}
		for _, want := range []string{"Unexpected certificate: example.com", e.Data.Certificate.ID.String(), "this is spam", "certs reject"} {
			if !strings.Contains(parts["text/plain"], want) {
				t.Errorf("%q is not in %s", want, parts["text/plain"])
			}
		}
	})
	t.Run("digest", func(t *testing.T) {
		s := startSMTP(t, &smtpServer{reply: refuseFirst})
		a, b := notifytest.Unexpected("pills.example.com"), notifytest.Issued("pills.example.com")
		if n, _, err := s.email(t).SendBatch(t.Context(), []ctwatch.Event{a, b}); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		text := bodies(t, s.only(t))["text/plain"]
		if strings.Contains(text, "pills") || !strings.Contains(text, a.ID) || !strings.Contains(text, b.ID) {
			t.Error(text)
		}
	})
	t.Run("and that too", func(t *testing.T) {
		s := startSMTP(t, &smtpServer{reply: func(_ int, c string) string {
			if c == "." {
				return "554 5.7.1 I take nothing"
			}
			return ""
		}})
		if retry, err := s.email(t).Send(t.Context(), notifytest.Unexpected()); err == nil || !retry {
			t.Errorf("retry %v, %v", retry, err)
		}
	})
}

func TestNoTLSOnlyToThisMachine(t *testing.T) {
	s := startSMTP(t, &smtpServer{noStartTLS: true})
	o := s.options()
	o.TLS = NoTLS
	email, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	notifytest.MustSend(t, email, notifytest.Issued())
	s.only(t)
}

func TestNewNamesWrongSetting(t *testing.T) {
	good := Options{Host: "mail.example.org", Port: 587, From: "a@example.org", To: "b@example.org"}
	if e, err := New(good); err != nil || e.Name() != "email:b@example.org" {
		t.Fatal(e, err)
	}
	for want, change := range map[string]func(*Options){
		"host: is missing":               func(o *Options) { o.Host = "" },
		`host: "mail.example.org/" is`:   func(o *Options) { o.Host = "mail.example.org/" },
		"port: \"70000\" is not a port":  func(o *Options) { o.Port = 70000 },
		"port: \"0\" is not a port;":     func(o *Options) { o.Port = 0 },
		`tls: "opportunistic" is not`:    func(o *Options) { o.TLS = "opportunistic" },
		"tls: none is only for a mail":   func(o *Options) { o.TLS = NoTLS },
		"has one of username and passwo": func(o *Options) { o.Username = "u" },
		`from: "a@example.org`:           func(o *Options) { o.From = "a@example.org\r\nBcc: all@example.org" },
		`to: "a@example.org, b@example`:  func(o *Options) { o.To = "a@example.org, b@example.org" },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if c := (&Sender{o: Options{Host: "h", TLSConfig: &tls.Config{MinVersion: tls.VersionTLS10}}}).tlsConfig(); c.MinVersion != tls.VersionTLS12 || c.ServerName != "h" {
		t.Errorf("%+v", c)
	}
}

// Every event arrives once and in order after a mail server was down in many ways.
func TestAllArriveInOrderAfterTrouble(t *testing.T) {
	events, want := notifytest.SixEvents()
	smtp := startSMTP(t, &smtpServer{reply: func(n int, command string) string {
		switch {
		case n == 1 && command == "":
			return "421 not now"
		case n == 2 && command == "EHLO":
			return "hang"
		case n == 3 && command == "RCPT", n == 8 && command == "MAIL":
			return "450 later"
		case n == 4 && command == ".":
			return "451 again"
		}
		return ""
	}})
	email := smtp.email(t)
	email.step = 200 * time.Millisecond
	o := notifytest.NewOutbox(events...)
	_, stop := sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{email}, Timeout: 200 * time.Millisecond})
	notifytest.Eventually(t, "all are delivered", func() bool { return o.Cursor(email.Name()).Seq == int64(len(events)) })
	if dead := o.Cursor(email.Name()).Dead; len(dead) > 0 {
		t.Errorf("dead letters %v", dead)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	var got []string
	for _, m := range smtp.taken() {
		_, id, _ := strings.Cut(m.data, "Message-ID: <")
		id, _, _ = strings.Cut(id, "@")
		got = append(got, id)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHugeAndTestEvents(t *testing.T) {
	smtp := startSMTP(t, &smtpServer{})
	events := append(notifytest.FromOutbox(t, notifytest.HugeEvents()...), ctwatch.TestEvent("alice", notifytest.Time))
	for _, e := range events {
		notifytest.MustSend(t, smtp.email(t), e)
	}
	notifytest.CheckHuge(t, smtp.taken()[0].data)
	if n := len(smtp.taken()); n != len(events) {
		t.Errorf("%d mails", n)
	}
}

func TestNoRoutineEvents(t *testing.T) {
	email := startSMTP(t, &smtpServer{}).email(t)
	notifytest.CheckPeople(t, email, false)
	all, err := notify.Filtered(email, notify.Filter{MinSeverity: ctwatch.Debug})
	if err != nil {
		t.Fatal(err)
	}
	notifytest.CheckPeople(t, all, true)
}

var _ interface {
	notify.Batcher
	notify.Patient
} = (*Sender)(nil)
