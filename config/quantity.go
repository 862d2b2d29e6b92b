package config

import (
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// byteUnits are the units of sizes; the largest come first because that is the order in which one is chosen.
var byteUnits = []struct {
	name string
	size uint64
}{
	{"TB", 1e12},
	{"TiB", 1 << 40},
	{"GB", 1e9},
	{"GiB", 1 << 30},
	{"MB", 1e6},
	{"MiB", 1 << 20},
	{"kB", 1e3},
	{"KB", 1e3},
	{"KiB", 1 << 10},
	{"B", 1},
}

var bytesPattern = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]{1,3}))?\s*([A-Za-z]*)$`)

// ParseBytes reads a number of bytes: "none", "0", "16MB", "1.5 GiB". kB, MB, GB and TB are powers of 1000, KiB, MiB, GiB
// and TiB of 1024. The result is rounded up to a whole byte.
func ParseBytes(text string) (uint64, error) {
	if text == "none" {
		return 0, nil
	}
	parts := bytesPattern.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("read %q as a size: want none, or a number with a unit, for example 16MB", text)
	}
	unit, err := byteUnit(parts[3], parts[1])
	if err != nil {
		return 0, err
	}
	whole, err := strconv.ParseUint(parts[1], 10, 64)
	high, size := bits.Mul64(whole, unit)
	if err != nil || high > 0 {
		return 0, fmt.Errorf("read %q as a size: it is too large", text)
	}
	if parts[2] == "" {
		return size, nil
	}
	thousandths, err := strconv.ParseUint((parts[2] + "00")[:3], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %q as a size: %w", text, err)
	}
	fraction := (thousandths*(unit/1000) + (thousandths*(unit%1000)+999)/1000)
	if size > math.MaxUint64-fraction {
		return 0, fmt.Errorf("read %q as a size: it is too large", text)
	}
	return size + fraction, nil
}

func byteUnit(name, number string) (uint64, error) {
	if name == "" && number == "0" {
		return 1, nil
	}
	for _, u := range byteUnits {
		if u.name == name {
			return u.size, nil
		}
	}
	if name == "" {
		return 0, fmt.Errorf("read %s as a size: it needs a unit, for example %sMB or %sB", number, number, number)
	}
	return 0, fmt.Errorf("read %s%s as a size: %q is no unit; use B, kB, MB, GB, TB, KiB, MiB, GiB or TiB", number, name, name)
}

// exactBytes writes a size that ParseBytes reads back unchanged.
func exactBytes(size uint64) string {
	if size == 0 {
		return "none"
	}
	for _, u := range byteUnits {
		if size%u.size == 0 {
			return fmt.Sprintf("%d%s", size/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dB", size)
}

// FormatBytes writes a size for people, with two or three digits: "0 B", "71 MB", "1.5 GB". It rounds up, so that what
// was read from a screen and typed back as the most that may be lost covers what it was said of.
func FormatBytes(size uint64) string {
	unit, name := uint64(1), "B"
	for _, u := range []struct {
		name string
		size uint64
	}{{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}} {
		if size >= u.size {
			unit, name = u.size, u.name
		}
	}
	if unit == 1 {
		return fmt.Sprintf("%d B", size)
	}
	if size >= 10*unit {
		return fmt.Sprintf("%d %s", (size-1)/unit+1, name)
	}
	tenths := (size-1)/(unit/10) + 1
	if tenths%10 == 0 {
		return fmt.Sprintf("%d %s", tenths/10, name)
	}
	return fmt.Sprintf("%d.%d %s", tenths/10, tenths%10, name)
}

// parseDuration reads "250ms", "30s", "5m", "1h30m" or "0"; a number without a unit is refused.
func parseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil && text != "0" {
		return 0, fmt.Errorf("%s needs a unit, for example %ss or %sms", text, text, text)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("want a duration, for example 250ms, 30s or 5m, not %q", text)
	}
	return d, nil
}

// formatDuration writes a duration as people do: "5m", not "5m0s".
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// joinWords writes "a, b and c".
func joinWords(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
