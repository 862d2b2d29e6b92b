package config

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]uint64{
		"none": 0, "0": 0, "0B": 0, "16MB": 16e6, "16 MB": 16e6, "1.5GB": 15e8, "1.5 KiB": 1536, "1MiB": 1 << 20, "71MB": 71e6,
		"0.001kB": 1, "0.5B": 1, "2TB": 2e12,
	} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"16":                       "it needs a unit, for example 16MB",
		"16mb":                     `"mb" is no unit`,
		"-1MB":                     "want none, or a number with a unit",
		"lots":                     "want none, or a number with a unit",
		"99999999999999999999999B": "too large",
		"99999999999TB":            "too large",
	} {
		if _, err := ParseBytes(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for size, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1 kB", 1001: "1.1 kB", 71_345_678: "72 MB", 71e6: "71 MB", 15e8: "1.5 GB", 9_999_999: "10 MB",
		math.MaxUint64: "18446745 TB",
	} {
		if got := FormatBytes(size); got != want {
			t.Errorf("%d is %q, want %q", size, got, want)
		}
	}
}

// What an operator reads on the screen and types back covers what it was said of; what a spec says is exact.
func TestBytes_TypedBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(0, 1e18).Draw(t, "size")
		typed, err := ParseBytes(FormatBytes(size))
		if err != nil || typed < size {
			t.Fatalf("%d is shown as %s, which is %d, %v", size, FormatBytes(size), typed, err)
		}
		exact, err := ParseBytes(exactBytes(size))
		if err != nil || exact != size {
			t.Fatalf("%d is written as %s, which is %d, %v", size, exactBytes(size), exact, err)
		}
	})
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]string{"30s": "30s", "90s": "1m30s", "5m": "5m", "1h": "1h", "60m": "1h", "250ms": "250ms", "0": "0s"} {
		d, err := parseDuration(text)
		if err != nil || formatDuration(d) != want {
			t.Errorf("%q is %s, %v; want %s", text, formatDuration(d), err, want)
		}
	}
	if _, err := parseDuration("5"); err == nil || err.Error() != "5 needs a unit, for example 5s or 5ms" {
		t.Errorf("5: %v", err)
	}
	if formatDuration(10*time.Minute) != "10m" || formatDuration(20*time.Second) != "20s" {
		t.Error("round durations lose digits")
	}
}
