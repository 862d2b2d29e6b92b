// Package spans writes how long something took, for people: all screens say it in the same way.
package spans

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Long writes a long time in its two largest units: "12d 3h", "41s", "0s".
func Long(d time.Duration) string {
	seconds := int64(d / time.Second)
	units := []struct {
		name string
		size int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}
	for i, u := range units {
		if seconds < u.size {
			continue
		}
		words := fmt.Sprintf("%d%s", seconds/u.size, u.name)
		if i+1 < len(units) {
			if rest := seconds % u.size / units[i+1].size; rest > 0 {
				words += fmt.Sprintf(" %d%s", rest, units[i+1].name)
			}
		}
		return words
	}
	return "0s"
}

// Brief writes a short time: "3 ms", "231 ms", "1.2 s", "41 s", "2m 5s".
func Brief(d time.Duration) string {
	switch {
	case d < time.Millisecond && d > 0:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d < time.Minute:
		return strings.Replace(fmt.Sprintf("%.1f s", d.Seconds()), ".0 s", " s", 1)
	}
	return Long(d)
}

var goDuration = regexp.MustCompile(`\b(?:[0-9]+h)?(?:[0-9]+m)?[0-9]+(?:\.[0-9]+)?(?:ms|s)\b`)

// InWords writes the times in the words of arbiters as Brief does: "1.5s" is "1.5 s", "5m0s" is "5m". It is not for
// what may be put into a file or a command.
func InWords(words string) string {
	return goDuration.ReplaceAllStringFunc(words, func(written string) string {
		d, err := time.ParseDuration(written)
		if err != nil {
			return written
		}
		return Brief(d)
	})
}
