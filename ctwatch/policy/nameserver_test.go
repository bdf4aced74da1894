package policy_test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ctwatch/ctwatch/policy"

	"github.com/miekg/dns"
)

// A nameserver is a DNS server on loopback, over UDP and TCP.
type nameserver struct {
	addr string

	mu    sync.Mutex
	asked []string // names, in the order of the questions, with the network
}

// serve starts a server that answers by zone: records in text by name, in lower
// case. A name that is not there does not exist, as far as the server is concerned.
// change may alter a reply, or suppress it by returning nil.
func serve(t *testing.T, zone map[string][]string, change func(network string, reply *dns.Msg) *dns.Msg) *nameserver {
	t.Helper()
	s := &nameserver{}
	handler := func(network string) dns.HandlerFunc {
		return func(w dns.ResponseWriter, q *dns.Msg) {
			name := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))
			s.mu.Lock()
			s.asked = append(s.asked, network+" "+name)
			s.mu.Unlock()
			reply := new(dns.Msg).SetReply(q)
			reply.RecursionAvailable = true
			for at, hops := name, 0; hops < 20; hops++ {
				lines, ok := zone[at]
				if !ok {
					reply.Rcode = dns.RcodeNameError
				}
				next := ""
				for _, line := range lines {
					rr, err := dns.NewRR(at + ". 300 IN " + line)
					if err != nil {
						t.Errorf("zone: %v", err)
						return
					}
					reply.Answer = append(reply.Answer, rr)
					if alias, ok := rr.(*dns.CNAME); ok {
						next = strings.TrimSuffix(alias.Target, ".")
					}
				}
				if at = next; at == "" {
					break
				}
			}
			if len(reply.Answer) == 0 {
				soa, _ := dns.NewRR(name + ". 600 IN SOA ns. hostmaster. 1 2 3 4 120")
				reply.Ns = append(reply.Ns, soa)
			}
			if change != nil {
				if reply = change(network, reply); reply == nil {
					return
				}
			}
			if network == "udp" {
				reply.Truncate(1232)
			}
			_ = w.WriteMsg(reply)
		}
	}
	var pc net.PacketConn
	l, err := net.Listen("tcp", "127.0.0.1:0")
	for range 20 { // the port may be taken for UDP
		if err != nil {
			t.Fatal(err)
		}
		s.addr = l.Addr().String()
		if pc, err = net.ListenPacket("udp", s.addr); err == nil {
			break
		}
		l.Close()
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if pc == nil {
		t.Fatal("no port is free for both UDP and TCP")
	}
	for network, server := range map[string]*dns.Server{"udp": {PacketConn: pc}, "tcp": {Listener: l}} {
		server.Handler = handler(network)
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return s
}

func (s *nameserver) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// checker asks servers, and waits a moment only.
func checker(servers ...*nameserver) *policy.Checker {
	c := &policy.Checker{Timeout: 200 * time.Millisecond, Now: func() time.Time { return now }}
	for _, s := range servers {
		c.Servers = append(c.Servers, s.addr)
	}
	return c
}
