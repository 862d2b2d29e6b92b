package keys

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"address", "zone", "fence", "name", "priority", "timeout"}
	for word, want := range map[string]string{
		"adress": "address", "adrdess": "address", "nmae": "name", "Zone": "zone", "timeuot": "timeout", "prio": "", "x": "", "": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"ip", "ip", 0}, {"adress", "address", 1}, {"plug", "port", 3}, {"", "abc", 3}, {"abc", "", 3}, {"nmae", "name", 1}} {
		if got := Distance(test.a, test.b); got != test.want {
			t.Errorf("%q, %q: %d", test.a, test.b, got)
		}
	}
}
