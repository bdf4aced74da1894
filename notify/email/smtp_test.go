package email

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"ctwatch/notify"
	"ctwatch/notify/notifytest"
)

// An smtpServer is a mail server in this process, as honest as its fields say.
type smtpServer struct {
	addr  *net.TCPAddr
	roots *x509.CertPool

	implicit   bool   // TLS from the first byte
	noStartTLS bool   // STARTTLS is not offered
	login      string // "user\x00password" that it wants; "" for none
	// reply, if set, answers a command instead of the server; "" leaves it to the
	// server, "hang" keeps silent, "drip" says one byte after another forever. The
	// end of a message is the command "."; n counts the sessions.
	reply func(n int, command string) string

	cert    tls.Certificate
	mu      sync.Mutex
	n       int
	mails   []smtpMail
	clear   []string // commands that came without TLS
	closing chan struct{}
	wait    sync.WaitGroup
}

type smtpMail struct {
	from, to string
	data     string
	tls      bool
}

func startSMTP(t *testing.T, s *smtpServer) *smtpServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(leaf)
	s.closing = make(chan struct{})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().(*net.TCPAddr)
	s.wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.n++
			n := s.n
			s.mu.Unlock()
			s.wait.Go(func() { s.serve(conn, n) })
		}
	})
	t.Cleanup(func() { close(s.closing); l.Close(); s.wait.Wait() })
	return s
}

func (s *smtpServer) serve(raw net.Conn, n int) {
	defer raw.Close()
	done := make(chan struct{})
	defer close(done)
	s.wait.Go(func() {
		select {
		case <-s.closing:
			raw.Close()
		case <-done:
		}
	})
	conn, secure := raw, false
	if s.implicit {
		conn, secure = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{s.cert}}), true
	}
	c := textproto.NewConn(conn)
	// say answers a command, and reports false when the session is over.
	say := func(command, usual string) (normal, goOn bool) {
		if s.reply != nil {
			switch r := s.reply(n, command); r {
			case "":
			case "hang":
				<-s.closing
				return false, false
			case "drip":
				for {
					select {
					case <-s.closing:
						return false, false
					case <-time.After(5 * time.Millisecond):
						if _, err := conn.Write([]byte("2")); err != nil {
							return false, false
						}
					}
				}
			case "flood":
				for {
					if _, err := conn.Write([]byte(strings.Repeat("250-x", 1000))); err != nil {
						return false, false
					}
				}
			default:
				return false, c.PrintfLine("%s", r) == nil && !strings.HasPrefix(r, "421")
			}
		}
		return true, c.PrintfLine("%s", usual) == nil
	}
	if _, ok := say("", "220 test ESMTP"); !ok {
		return
	}
	var m smtpMail
	authorized := s.login == ""
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		if !secure {
			s.mu.Lock()
			s.clear = append(s.clear, line)
			s.mu.Unlock()
		}
		verb := strings.ToUpper(strings.Fields(line + " ?")[0])
		goOn := true
		switch verb {
		case "EHLO":
			lines := []string{"250-test"}
			if !secure && !s.noStartTLS {
				lines = append(lines, "250-STARTTLS")
			}
			if s.login != "" && secure {
				lines = append(lines, "250-AUTH PLAIN LOGIN")
			}
			_, goOn = say(verb, strings.Join(append(lines, "250 8BITMIME"), "\r\n"))
		case "STARTTLS":
			var normal bool
			if normal, goOn = say(verb, "220 go on"); normal {
				conn = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{s.cert}})
				c, secure = textproto.NewConn(conn), true
			}
		case "AUTH":
			got, _ := base64.StdEncoding.DecodeString(line[strings.LastIndexByte(line, ' ')+1:])
			if authorized = string(got) == "\x00"+s.login; authorized {
				_, goOn = say(verb, "235 welcome")
			} else {
				_, goOn = say(verb, "535 5.7.8 not with "+string(got[strings.LastIndexByte(string(got), 0)+1:]))
			}
		case "MAIL":
			if !authorized {
				_, goOn = say(verb, "530 5.7.0 log in first")
				break
			}
			m = smtpMail{from: line[strings.IndexByte(line, '<'):], tls: secure}
			_, goOn = say(verb, "250 ok")
		case "RCPT":
			m.to = line[strings.IndexByte(line, '<'):]
			_, goOn = say(verb, "250 ok")
		case "DATA":
			var normal bool
			if normal, goOn = say(verb, "354 go on"); !normal {
				break
			}
			data, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			m.data = string(data)
			if normal, goOn = say(".", "250 2.0.0 taken"); normal || s.reply(n, ".") == "250 but" {
				s.mu.Lock()
				s.mails = append(s.mails, m)
				s.mu.Unlock()
			}
		case "QUIT":
			say(verb, "221 bye")
			return
		default: // RSET, NOOP
			_, goOn = say(verb, "250 ok")
		}
		if !goOn {
			return
		}
	}
}

func (s *smtpServer) taken() []smtpMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]smtpMail(nil), s.mails...)
}

func (s *smtpServer) inTheClear() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.clear, "\n")
}

func (s *smtpServer) options() Options {
	o := Options{
		Host: s.addr.IP.String(), Port: s.addr.Port, TLSConfig: &tls.Config{RootCAs: s.roots},
		From: "ctwatch <ctwatch@example.org>", To: "oncall@example.org",
		Now: func() time.Time { return notifytest.Time },
	}
	if s.implicit {
		o.TLS = ImplicitTLS
	}
	if s.login != "" {
		user, password, _ := strings.Cut(s.login, "\x00")
		o.Username, o.Password = user, notify.StaticSecret(password+"\n")
	}
	return o
}

func (s *smtpServer) email(t *testing.T) *Sender {
	t.Helper()
	e, err := New(s.options())
	if err != nil {
		t.Fatal(err)
	}
	e.step = 2 * time.Second
	return e
}

// parse reads the one message that the server has.
func (s *smtpServer) only(t *testing.T) *mail.Message {
	t.Helper()
	all := s.taken()
	if len(all) != 1 {
		t.Fatalf("the server has %d messages, want 1", len(all))
	}
	m, err := mail.ReadMessage(strings.NewReader(all[0].data))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
