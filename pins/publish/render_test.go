package publish

import (
	"fmt"
	"testing"
)

func TestCachedPagesAreBounded(t *testing.T) {
	r := rendered{pages: make(map[[2]string]*kept)}
	body := make([]byte, 1<<20)
	made := 0
	page := func(app string, of byte) {
		t.Helper()
		if _, err := r.page(app, "x", [32]byte{of}, func() (*page, error) { made++; return &page{body: body}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		page(fmt.Sprint(i), 0)
		page(fmt.Sprint(i), 0)
		page("the same", byte(i))
	}
	size := 0
	for _, k := range r.pages {
		size += pageSize(k.page)
	}
	if r.size != size || size > maxRendered || size < maxRendered/2 || made != 200 {
		t.Errorf("%d bytes in %d pages, %d counted, made %d times", size, len(r.pages), r.size, made)
	}
	body = make([]byte, maxRendered)
	page("too large", 0)
	if r.size != size {
		t.Error("a page that is too large was kept, or others went for it")
	}
}
