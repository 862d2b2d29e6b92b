package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What a diff names can be found in the file, and is what stands there.
func TestDifferences(t *testing.T) {
	page := onePage(t)
	for _, test := range []struct {
		name, old, replacement string
		want                   []string
	}{
		{"nothing", "", "", nil},
		{"duration and size", "max_loss: none            # or bytes: 16MB", "max_loss: 16MB\n  lease: 1.5s", []string{"policy.max_loss: none to 16MB", "policy.lease:  to 1.5s"}},
		{"setting of a device", "lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}", "password: {env: BMC_B}", []string{
			"members[1].fence[0][0].lanplus: 1 to ", "members[1].fence[0][0].password.file: /etc/arbiter/secrets/bmc-b to ", "members[1].fence[0][0].password.env:  to BMC_B",
		}},
		{"list of words", "cooldown: 5m", "cooldown: 5m\n  also_down: [read-only, disk-full]", []string{"policy.also_down:  to [read-only, disk-full]"}},
		{"text that needs quotes", "backend: orders", `backend: "yes"`, []string{`routes[0].backend: orders to "yes"`}},
	} {
		text := page
		if i := strings.LastIndex(text, test.old); test.old != "" {
			text = text[:i] + test.replacement + text[i+len(test.old):]
		}
		var got []string
		for _, d := range Differences(mustLoad(t, page), mustLoad(t, text)) {
			got = append(got, fmt.Sprintf("%s: %s to %s", d.Path, d.Before, d.After))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
