package pins_test

import (
	"testing"
	"time"

	"ctwatch/pins"
)

func TestEnding(t *testing.T) {
	at := func(life, left time.Duration) pins.Served {
		s := served(api, now.Add(left), "L", "I")
		s.NotBefore = s.NotAfter.Add(-life)
		return s
	}
	const day = 24 * time.Hour
	renewal := issued(t, "renewal", api, "L", "I")
	rejected := renewal
	rejected.Rejected = true
	elsewhere := issued(t, "other", "www.example.com", "L", "I")
	for name, c := range map[string]struct {
		served pins.Served
		issued []pins.Issued
		want   bool
	}{
		"90 days, 20 left":                        {served: at(90*day, 20*day)},
		"90 days, 13 left":                        {served: at(90*day, 13*day), want: true},
		"a year, 20 left":                         {served: at(365*day, 20*day)},
		"six days, two left":                      {served: at(6*day, 2*day)},
		"six days, 20 hours left":                 {served: at(6*day, 20*time.Hour), want: true},
		"ended":                                   {served: at(90*day, -day), want: true},
		"with a successor":                        {served: at(90*day, 3*day), issued: []pins.Issued{renewal}},
		"with one that should not exist":          {served: at(90*day, 3*day), issued: []pins.Issued{rejected}, want: true},
		"with one for another host":               {served: at(90*day, 3*day), issued: []pins.Issued{elsewhere}, want: true},
		"a certificate that does not say its end": {served: pins.Served{Host: api}},
	} {
		got := pins.NewView(&pins.Facts{Now: now, Served: []pins.Served{c.served}, Issued: c.issued}).Ending()
		if (len(got) > 0) != c.want {
			t.Errorf("%s: ending %v, want %v", name, got, c.want)
		}
	}
}
