package pins_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"ctwatch/pins"
)

// TestGone: only what a look disproves is gone.
func TestGone(t *testing.T) {
	failed := errors.New("no answer")
	leaf := func(address string, n byte, algorithm string) pins.LeafAt {
		return pins.LeafAt{Address: address, Leaf: [32]byte{n}, Algorithm: algorithm}
	}
	ec, rsa := leaf("a:443", 1, "ECDSA P-256"), leaf("a:443", 2, "RSA 2048")
	reached := func(addr string, partial error) pins.Address {
		return pins.Address{Addr: addr, Served: make([]pins.Served, 1), Partial: partial}
	}
	for name, c := range map[string]struct {
		look        pins.Look
		before, now []pins.LeafAt
		want        []pins.LeafAt
	}{
		"the same": {
			pins.Look{Addresses: []pins.Address{reached("a:443", nil)}}, []pins.LeafAt{ec, rsa}, []pins.LeafAt{rsa, ec}, nil,
		},
		"another": {
			pins.Look{Addresses: []pins.Address{reached("a:443", nil)}}, []pins.LeafAt{ec}, []pins.LeafAt{rsa}, []pins.LeafAt{ec},
		},
		"not reached": {
			pins.Look{Addresses: []pins.Address{{Addr: "a:443", Err: failed}}}, []pins.LeafAt{ec}, nil, nil,
		},
		"reached, and nothing seen": {
			pins.Look{Addresses: []pins.Address{{Addr: "a:443"}}}, []pins.LeafAt{ec}, nil, nil,
		},
		"partial, of the other kind": {
			pins.Look{Addresses: []pins.Address{reached("a:443", failed)}}, []pins.LeafAt{ec, rsa}, []pins.LeafAt{ec}, nil,
		},
		"partial, of the same kind": {
			pins.Look{Addresses: []pins.Address{reached("a:443", failed)}},
			[]pins.LeafAt{ec},
			[]pins.LeafAt{leaf("a:443", 3, "ECDSA P-384")},
			[]pins.LeafAt{ec},
		},
		"partial, of an unknown kind": {
			pins.Look{Addresses: []pins.Address{reached("a:443", failed)}},
			[]pins.LeafAt{leaf("a:443", 3, "")},
			[]pins.LeafAt{ec},
			[]pins.LeafAt{leaf("a:443", 3, "")},
		},
		"an address that is gone": {
			pins.Look{Addresses: []pins.Address{reached("b:443", nil)}},
			[]pins.LeafAt{ec},
			[]pins.LeafAt{leaf("b:443", 1, "ECDSA P-256")},
			[]pins.LeafAt{ec},
		},
		"an address that was left out": {
			pins.Look{Addresses: []pins.Address{reached("b:443", nil)}, More: 1},
			[]pins.LeafAt{ec},
			[]pins.LeafAt{leaf("b:443", 1, "ECDSA P-256")},
			nil,
		},
		"a name that was not resolved": {pins.Look{Err: failed}, []pins.LeafAt{ec}, nil, nil},
		"no address any more":          {pins.Look{}, []pins.LeafAt{ec, rsa}, nil, []pins.LeafAt{ec, rsa}},
	} {
		if got := c.look.Gone(c.before, c.now); !slices.Equal(got, c.want) {
			t.Errorf("%s: %s, want %s", name, fmt.Sprint(got), fmt.Sprint(c.want))
		}
	}
}
