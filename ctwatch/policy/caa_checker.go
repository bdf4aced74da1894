package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"ctwatch/pins"
)

// A Checker looks up CAA records as a CA does (RFC 8659 §3), and caches them. The zero
// Checker is ready for use. It is safe for concurrent use.
type Checker struct {
	// Servers are the resolvers to ask, as "address" or "address:port". Optional: those of
	// /etc/resolv.conf. They must be recursive, and reached over a network that is trusted:
	// their answers are believed.
	Servers []string
	// Timeout is how long to wait for one answer. Optional: 5 s.
	Timeout time.Duration
	// Now returns the time. Optional: time.Now.
	Now func() time.Time

	cache cache
}

// Bounds on questions and answers.
const (
	defaultTimeout = 5 * time.Second
	maxServers     = 4
	rounds         = 2    // attempts with each server
	udpSize        = 1232 // bytes that pass without fragmentation
	maxAliases     = 8
	maxRecords     = 256 // of one answer
)

// Lookup finds the CAA records that apply to a domain: its own, or else those of the
// nearest domain above it that has any. A leading "*." is ignored: a wildcard is looked up
// by the domain below it.
//
// After an error it is unknown whether there are records; errors are not cached. Records,
// and their absence, are cached for their TTL. The result is shared: its lists must not be
// changed.
func (c *Checker) Lookup(ctx context.Context, domain string) (CAAResult, error) {
	name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(domain, "*."), "."))
	if !pins.ValidHost(name) {
		return CAAResult{}, fmt.Errorf("looking up CAA records: %.100q is not a domain", domain)
	}
	none := CAAResult{DNSSEC: true, TTL: maxTTL}
	for at, more := name, true; more; _, at, more = strings.Cut(at, ".") {
		r, err := c.at(ctx, at)
		if err != nil {
			return CAAResult{}, fmt.Errorf("looking up CAA records of %s at %s: %w", name, at, err)
		}
		if r = none.below(r, at); r.Found {
			return r, nil
		}
		none.DNSSEC, none.TTL = r.DNSSEC, r.TTL
	}
	return none, nil
}

// Cached returns what Lookup would return without asking a server; ok is false if it would
// have to ask.
func (c *Checker) Cached(domain string) (r CAAResult, ok bool) {
	name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(domain, "*."), "."))
	none := CAAResult{DNSSEC: true, TTL: maxTTL}
	for at, more := name, true; more; _, at, more = strings.Cut(at, ".") {
		if r, ok = c.cache.get(at, c.now()); !ok {
			return CAAResult{}, false
		}
		if r = none.below(r, at); r.Found {
			return r, true
		}
		none.DNSSEC, none.TTL = r.DNSSEC, r.TTL
	}
	return none, true
}

// cachedJSON returns the records of domains, encoded, if all of them are cached; ""
// otherwise.
func (c *Checker) cachedJSON(domains []string) string {
	found := make(map[string]CAAResult, len(domains))
	for _, d := range domains {
		r, ok := c.Cached(d)
		if !ok {
			return ""
		}
		found[d] = r
	}
	if len(found) == 0 {
		return ""
	}
	return EncodeCAA(found)
}

// below returns what was found at a domain after nothing was found on the way up to it: it
// is authenticated only if each step was.
func (r CAAResult) below(found CAAResult, domain string) CAAResult {
	found.DNSSEC = found.DNSSEC && r.DNSSEC
	found.TTL = min(found.TTL, r.TTL)
	if found.Found {
		found.Domain = domain
	}
	return found
}

func (c *Checker) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// at returns the records of one domain, from the cache if possible.
func (c *Checker) at(ctx context.Context, domain string) (CAAResult, error) {
	if r, ok := c.cache.get(domain, c.now()); ok {
		return r, nil
	}
	servers, err := c.servers()
	if err != nil {
		return CAAResult{}, err
	}
	var errs []error
	for range rounds {
		errs = errs[:0]
		for _, server := range servers {
			r, err := c.resolve(ctx, server, domain)
			if err == nil {
				r.TTL = min(max(r.TTL, minTTL), maxTTL)
				c.cache.put(domain, r, c.now())
				return r, nil
			}
			if ctx.Err() != nil {
				return CAAResult{}, ctx.Err()
			}
			errs = append(errs, fmt.Errorf("DNS server %s: %w", server, err))
		}
	}
	return CAAResult{}, errors.Join(errs...)
}

// servers returns the servers to ask, with ports.
func (c *Checker) servers() ([]string, error) {
	list, port := c.Servers, "53"
	if len(list) == 0 {
		conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, fmt.Errorf("finding a DNS server: %w", err)
		}
		list, port = conf.Servers, conf.Port
	}
	if len(list) == 0 {
		return nil, errors.New("/etc/resolv.conf has no DNS server; set dns.servers")
	}
	var out []string
	for _, s := range list[:min(maxServers, len(list))] {
		if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
			s = net.JoinHostPort(ip.String(), port)
		}
		out = append(out, s)
	}
	return out, nil
}

// resolve asks one server for the CAA records of a name. It follows aliases that the server
// did not follow.
func (c *Checker) resolve(ctx context.Context, server, domain string) (CAAResult, error) {
	out := CAAResult{DNSSEC: true, TTL: maxTTL}
	name := dns.Fqdn(domain)
	seen := map[string]bool{name: true}
	for {
		reply, err := c.ask(ctx, server, name)
		if err != nil {
			return CAAResult{}, err
		}
		out.DNSSEC = out.DNSSEC && reply.AuthenticatedData
		end, err := followAliases(reply.Answer, name, seen, &out)
		if err != nil {
			return CAAResult{}, err
		}
		if readRecords(reply.Answer, end, &out); out.Found {
			return out, nil
		}
		// A recursive server has followed the aliases itself.
		if reply.RecursionAvailable || end == name || reply.Rcode == dns.RcodeNameError {
			out.TTL = min(out.TTL, negativeTTL(reply))
			return out, nil
		}
		name = end
	}
}

// ask sends one question to one server, again over TCP if the reply is truncated.
func (c *Checker) ask(ctx context.Context, server, name string) (*dns.Msg, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	question := new(dns.Msg).SetQuestion(name, dns.TypeCAA)
	question.SetEdns0(udpSize, false)
	question.AuthenticatedData = true // asks for the AD bit (RFC 6840 §5.7)
	var reply *dns.Msg
	for _, network := range []string{"udp", "tcp"} {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		client := &dns.Client{Net: network, Timeout: timeout, UDPSize: udpSize}
		r, _, err := client.ExchangeContext(ctx, question, server)
		cancel()
		if err != nil {
			return nil, err
		}
		if reply = r; !reply.Truncated {
			break
		}
	}
	return reply, checkReply(reply, question.Question[0])
}

// checkReply returns an error unless a reply answers the question, be it with no records.
func checkReply(reply *dns.Msg, q dns.Question) error {
	switch {
	case !reply.Response || reply.Opcode != dns.OpcodeQuery:
		return errors.New("it did not send a reply")
	case len(reply.Question) != 1 || reply.Question[0].Qtype != q.Qtype || reply.Question[0].Qclass != q.Qclass || !strings.EqualFold(reply.Question[0].Name, q.Name):
		return errors.New("it answered a different question")
	case reply.Truncated:
		return errors.New("its reply is truncated, even over TCP")
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return fmt.Errorf("it answered %s", dns.RcodeToString[reply.Rcode])
	case len(reply.Answer) > maxRecords:
		return fmt.Errorf("its answer has %d records, more than %d", len(reply.Answer), maxRecords)
	case len(reply.Answer) == 0 && !reply.RecursionAvailable && !reply.Authoritative:
		return errors.New("it is neither authoritative for the name nor recursive")
	}
	return nil
}

// followAliases follows the CNAMEs of an answer from a name, and returns where they end.
func followAliases(answer []dns.RR, name string, seen map[string]bool, out *CAAResult) (end string, err error) {
	targets := make(map[string]string)
	for _, rr := range answer {
		alias, ok := rr.(*dns.CNAME)
		if !ok || alias.Hdr.Class != dns.ClassINET {
			continue
		}
		owner, target := strings.ToLower(alias.Hdr.Name), strings.ToLower(alias.Target)
		if other, ok := targets[owner]; ok && other != target {
			return "", fmt.Errorf("%.100q has two CNAMEs", owner)
		}
		targets[owner] = target
		out.TTL = min(out.TTL, seconds(alias.Hdr.Ttl))
	}
	for {
		target, ok := targets[name]
		switch {
		case !ok:
			return name, nil
		case seen[target]:
			return "", fmt.Errorf("its CNAMEs form a loop at %.100q", target)
		case len(seen) > maxAliases:
			return "", fmt.Errorf("it has a chain of more than %d CNAMEs", maxAliases)
		}
		name = target
		seen[name] = true
	}
}

// readRecords adds the CAA records of a name, and ignores those of others.
func readRecords(answer []dns.RR, name string, out *CAAResult) {
	for _, rr := range answer {
		record, ok := rr.(*dns.CAA)
		if !ok || record.Hdr.Class != dns.ClassINET || !strings.EqualFold(record.Hdr.Name, name) {
			continue
		}
		out.add(record.Flag, record.Tag, record.Value)
		out.TTL = min(out.TTL, seconds(record.Hdr.Ttl))
	}
}

// negativeTTL returns how long the absence of records may be cached (RFC 2308 §5).
func negativeTTL(reply *dns.Msg) time.Duration {
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return seconds(min(soa.Hdr.Ttl, soa.Minttl))
		}
	}
	return minTTL
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }

// Bounds of the cache, whatever the TTL.
const (
	minTTL    = time.Minute
	maxTTL    = 24 * time.Hour
	maxCached = 10_000
)

// A cache holds the records of single domains, so that domains above many names are looked
// up once.
type cache struct {
	mu      sync.Mutex
	entries map[string]cached
}

type cached struct {
	result  CAAResult
	expires time.Time
}

func (c *cache) get(domain string, now time.Time) (CAAResult, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[domain]
	if !ok || !now.Before(e.expires) {
		return CAAResult{}, false
	}
	e.result.TTL = e.expires.Sub(now)
	return e.result, true
}

func (c *cache) put(domain string, r CAAResult, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = make(map[string]cached)
	}
	if len(c.entries) >= maxCached {
		c.shrink(now)
	}
	c.entries[domain] = cached{r, now.Add(r.TTL)}
}

// shrink removes what has expired, and then more until the cache is half empty.
func (c *cache) shrink(now time.Time) {
	for domain, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, domain)
		}
	}
	for domain := range c.entries {
		if len(c.entries) <= maxCached/2 {
			break
		}
		delete(c.entries, domain)
	}
}
