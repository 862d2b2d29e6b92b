package spans

import (
	"testing"
	"time"
)

func TestLongAndBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 41 * time.Second: "41s", 61 * time.Second: "1m 1s", time.Hour: "1h", 12*24*time.Hour + 3*time.Hour + 59*time.Minute: "12d 3h",
		400 * 24 * time.Hour: "400d",
	} {
		if got := Long(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 ms", 400 * time.Microsecond: "0.4 ms", 231 * time.Millisecond: "231 ms", 1200 * time.Millisecond: "1.2 s", 2 * time.Second: "2 s",
		29800 * time.Millisecond: "29.8 s", 41 * time.Second: "41 s", 125 * time.Second: "2m 5s",
	} {
		if got := Brief(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestInWords(t *testing.T) {
	for words, want := range map[string]string{
		"ran 780ms late": "ran 780 ms late", "for 1.5s": "for 1.5 s", "cool-down 5m0s": "cool-down 5m", "1m30s": "1m 30s", "pg-5s1 at 0/5A11": "pg-5s1 at 0/5A11", "12 s": "12 s",
	} {
		if got := InWords(words); got != want {
			t.Errorf("%q is %q, want %q", words, got, want)
		}
	}
}
