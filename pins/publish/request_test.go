package publish

import (
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	for path, want := range map[string]target{
		"/pins/jwks.json":        {jwks: true},
		"/pins/shop.jws":         {app: "shop", file: "jws"},
		"/pins/a.b.jws":          {app: "a.b", file: "jws"},
		"/pins/a%2Fb.jws":        {app: "a/b", file: "jws"},
		"/pins/a%2Fb/wultra":     {app: "a/b", file: "wultra"},
		"/pins/a.b/wultra":       {app: "a.b", file: "wultra"},
		"/pins/jwks.json/wultra": {app: "jwks.json", file: "wultra"},
		"/pins/%2E%2E/wultra":    {app: "..", file: "wultra"},
		"/pins/x%2Ejws":          {app: "x", file: "jws"},
		"/pins/x.":               {app: "x"},
	} {
		if got, ok := parsePath(path); !ok || got != want {
			t.Errorf("%s: %+v, %v", path, got, ok)
		}
	}
	for _, path := range []string{
		"", "/", "/pins", "/pins/", "/pins//wultra", "/pins/x", "/pins/.jws", "/pins/x/y", "/pins/x/wultra/", "/pins/x/wultra/y", "/pins/x/%77ultra",
		"/pins/%zz.jws", "/pins/%ff.jws", "/pins/" + strings.Repeat("x", maxApp+1) + ".jws", "/other/x.jws", "/pins/x/",
	} {
		if got, ok := parsePath(path); ok {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/pins/a.jws", "/pins/a%2Fb/wultra", "/pins/jwks.json", "/pins/%", "/pins/..%2f.xml"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parsePath(s)
		if !ok || got.jwks {
			return
		}
		if got.app == "" || len(got.app) > maxApp {
			t.Errorf("%q: %+v", s, got)
		}
	})
}

func FuzzAccept(f *testing.F) {
	for _, s := range []string{"application/jose+json", "application/*;q=0.5, */*", `a/b;q="1"`, ",;=/", "*/*;q=NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if prefers(s, TypeGeneral, TypeCompact) && prefers(s, TypeCompact, TypeGeneral) {
			t.Errorf("%q prefers both", s)
		}
		if q, _ := quality(s, TypeGeneral); q < 0 || q > 1 || q != q {
			t.Errorf("%q: quality %v", s, q)
		}
	})
}
