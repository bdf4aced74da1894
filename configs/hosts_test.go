package configs_test

import (
	"fmt"
	"strings"
	"testing"

	"ctwatch/configs"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
)

// Every place that takes a host name gives one answer: the same canonical name, or an error.
func TestOneReaderOfHostNames(t *testing.T) {
	fromConfig := func(format string, name func(*configs.Config) (string, error)) func(string) (string, error) {
		return func(s string) (string, error) {
			c, err := configs.LoadBytes("f", fmt.Appendf(nil, format, s), env("/", nil))
			if err != nil {
				return "", err
			}
			return name(c)
		}
	}
	pattern := func(s string) (string, error) { p, err := pins.ParsePattern(s); return p.String(), err }
	endpoint := func(s string) (string, error) { e, err := pins.ParseEndpoint(s); return e.Host, err }
	rule := func(s string) (string, error) { r, err := watchlist.NewRule(s, true); return r.Domain, err }
	entrances := map[string]func(string) (string, error){
		"pins.ParseHost":                     pins.ParseHost,
		"pins.ParsePattern":                  pattern,
		"--watch, certs list --domain":       rule,
		"probe HOST":                         endpoint,
		"probe HOST:PORT":                    func(s string) (string, error) { return endpoint(s + ":8443") },
		"watch":                              fromConfig("watch: [%q]", func(c *configs.Config) (string, error) { return rule(c.Watch[0].Domain) }),
		"endpoints":                          fromConfig(`watch: [{domain: a.example, endpoints: ["%s:443"]}]`, func(c *configs.Config) (string, error) { return c.Watch[0].Endpoints[0].Host, nil }),
		"never":                              fromConfig("watch: [{domain: a.example, never: [%q]}]", func(c *configs.Config) (string, error) { return c.Watch[0].Never[0].Name, nil }),
		"hosts of an app":                    fromConfig("apps: [{name: a, hosts: [%q]}]", func(c *configs.Config) (string, error) { return c.Apps[0].Hosts[0].Name, nil }),
		"one name in a file of watch_files":  func(s string) (string, error) { return fromFile(s) },
		"names below in a file of its lines": func(s string) (string, error) { return fromFile("." + s) },
	}
	for in, want := range map[string]string{
		"example.com":                   "example.com",
		"example.com.":                  "example.com",
		"EXAMPLE.com":                   "example.com",
		"bücher.example":                "xn--bcher-kva.example",
		"BÜCHER.example.":               "xn--bcher-kva.example",
		"xn--bcher-kva.example":         "xn--bcher-kva.example",
		"XN--BCHER-KVA.example":         "xn--bcher-kva.example",
		"例え。テスト":                        "xn--r8jz45g.xn--zckzah",
		"straße.example":                "xn--strae-oqa.example",
		"faß.example":                   "xn--fa-hia.example",
		"_dmarc.example.com":            "_dmarc.example.com",
		"a--b.example.com":              "a--b.example.com",
		"ab--ü.example":                 "",
		"localhost":                     "localhost",
		"1and1.com":                     "1and1.com",
		"4.4.8.8.in-addr.arpa":          "4.4.8.8.in-addr.arpa",
		strings.Repeat("a", 63):         strings.Repeat("a", 63),
		strings.Repeat("a", 64) + ".x":  "",
		strings.Repeat("a.", 127) + "a": "",
		"example.com..":                 "",
		"example..com":                  "",
		"*.*.example.com":               "",
		"a.*.example.com":               "",
		"-a.example.com":                "",
		"a-.example.com":                "",
		"example.12":                    "",
		"192.0.2":                       "",
		"host.ip":                       "",
		"xn--99999999999.com":           "",
		"https://example.com":           "",
		"example.com/path":              "",
		"example.com:443":               "",
		"me@example.com":                "",
		"exa mple.com":                  "",
		"a\u202eb.example.com":          "",
		"@":                             "",
	} {
		for name, read := range entrances {
			if got, err := read(in); (err == nil) != (want != "") || want != "" && got != want {
				if name == "probe HOST" && in == "example.com:443" {
					continue // a host with a port
				}
				t.Errorf("%s: %q is %q, %v, want %q", name, in, got, err, want)
			}
		}
	}
}

func fromFile(line string) (string, error) {
	list, mistakes := watchlist.Update(nil, watchlist.Part{Name: "f", Text: []byte(line)})
	if list == nil {
		return "", mistakes[0]
	}
	for _, r := range list.Rules() {
		return r.Domain, nil
	}
	return "", nil
}
