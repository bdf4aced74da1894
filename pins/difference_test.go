package pins_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ctwatch/pins"
)

// listed are rules that name their hosts.
type listed struct {
	testRules
	names []pins.Pattern
}

func (l listed) Patterns() []pins.Pattern { return l.names }

// A difference is listed once for each host of the app or of either release: pins that go
// and come, other places in the chain, and another end, whether or not it has passed.
func TestDifferences(t *testing.T) {
	anywhere := func(names ...string) []pins.Requirement { return []pins.Requirement{{Pins: pinsOf(names...)}} }
	atLeaf := []pins.Requirement{{At: pins.AtLeaf, Pins: pinsOf("A", "B")}}
	both := []pins.Requirement{{At: pins.AtLeaf, Pins: pinsOf("A")}, {At: pins.AtIssuers, Pins: pinsOf("B")}}
	release := func(host string, rs []pins.Requirement, ends time.Time) pins.Rules {
		return listed{testRules{map[string][]pins.Requirement{host: rs}, ends}, patterns(t, host)}
	}
	never := time.Time{}
	host := func(name string) pins.Pattern { return patterns(t, name)[0] }
	for name, tt := range map[string]struct {
		old, rules pins.Rules
		hosts      []string
		want       []pins.Difference
	}{
		"the same":           {release(api, anywhere("A", "B"), never), release(api, anywhere("A", "B"), never), []string{api}, nil},
		"another order":      {release(api, anywhere("A", "B"), never), release(api, anywhere("B", "A"), never), nil, nil},
		"another key":        {release(api, anywhere("A", "B"), never), release(api, anywhere("B", "C"), never), []string{api, api}, []pins.Difference{{Host: host(api), Lost: pinsOf("A"), Gained: pinsOf("C")}}},
		"other certificates": {release(api, anywhere("A", "B"), never), release(api, atLeaf, never), nil, []pins.Difference{{Host: host(api), Moved: true}}},
		"both have to match": {release(api, anywhere("A", "B"), never), release(api, both, never), nil, []pins.Difference{{Host: host(api), Moved: true}}},
		"an end":             {release(api, anywhere("A"), never), release(api, anywhere("A"), days(9)), nil, []pins.Difference{{Host: host(api), End: days(9)}}},
		"an end long ago":    {release(api, anywhere("A"), days(-99)), release(api, anywhere("A"), days(-9)), nil, []pins.Difference{{Host: host(api), WasEnd: days(-99), End: days(-9)}}},
		"another host": {
			release(api, anywhere("A"), never), release("www.example.com", anywhere("A"), never), nil,
			[]pins.Difference{{Host: host(api), Lost: pinsOf("A")}, {Host: host("www.example.com"), Gained: pinsOf("A")}},
		},
		"below a name": {
			release("*.example.com", anywhere("A"), never), release("*.example.com", anywhere("B"), never), nil,
			[]pins.Difference{{Host: host("*.example.com"), Lost: pinsOf("A"), Gained: pinsOf("B")}},
		},
		"of an app's host that neither names": {
			release("*.example.com", anywhere("A"), never), release("*.example.com", anywhere("A"), days(9)),
			[]string{api},
			[]pins.Difference{{Host: host(api), End: days(9)}, {Host: host("*.example.com"), End: days(9)}},
		},
	} {
		got := pins.Differences(tt.old, tt.rules, patterns(t, tt.hosts...))
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, d := range got {
			if d.Ends() == d.WasEnd.Equal(d.End) {
				t.Errorf("%s: Ends() is %v", name, d.Ends())
			}
		}
	}
}
