package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
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
			"members[pg-b].fence[fence_ipmilan][fence_ipmilan].lanplus: 1 to ",
			"members[pg-b].fence[fence_ipmilan][fence_ipmilan].password.file: /etc/arbiter/secrets/bmc-b to ",
			"members[pg-b].fence[fence_ipmilan][fence_ipmilan].password.env:  to BMC_B",
		}},
		{"list of words", "cooldown: 5m", "cooldown: 5m\n  also_down: [read-only, disk-full]", []string{"policy.also_down:  to [read-only, disk-full]"}},
		{"text that needs quotes", "backend: orders", `backend: "yes"`, []string{`routes[0].backend: orders to "yes"`}},
	} {
		text := page
		if i := strings.LastIndex(text, test.old); test.old != "" {
			text = text[:i] + test.replacement + text[i+len(test.old):]
		}
		if got := differences(mustLoad(t, page), mustLoad(t, text)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// What is taken out of the middle of a list, or put there, changes nothing else; another order is one difference.
func TestDifferences_ByName(t *testing.T) {
	const a, b, c = "{name: a, zone: z, address: \"a:1\", fence: F}", "{name: b, zone: z, address: \"b:1\", fence: F}", "{name: c, zone: z, address: \"c:1\", fence: F}"
	spec := func(fence string, members ...string) string {
		text := "group: g\nmembers: [" + strings.Join(members, ", ") + "]\n"
		return strings.ReplaceAll(text, "F}", fence+"}")
	}
	const ipmi, outlet4, outlet5 = "[{device: fence_ipmilan, ip: x}]", "[{device: fence_apc, proof: off, ip: p, plug: 4}]", "[{device: fence_apc, proof: off, ip: p, plug: 5}]"
	for _, test := range []struct {
		name, before, after string
		want                []string
	}{
		{
			"a member in the middle is gone", spec("["+ipmi+"]", a, b, c), spec("["+ipmi+"]", a, c),
			[]string{
				"members[b].name: b to ", "members[b].zone: z to ", "members[b].address: b:1 to ",
				"members[b].fence[fence_ipmilan][fence_ipmilan].device: fence_ipmilan to ", "members[b].fence[fence_ipmilan][fence_ipmilan].ip: x to ",
			},
		},
		{"another order of members", spec("["+ipmi+"]", a, b, c), spec("["+ipmi+"]", c, a, b), []string{"members: [a, b, c] to [c, a, b]"}},
		{
			"the first level is gone", spec("["+ipmi+", "+outlet4+"]", a), spec("["+outlet4+"]", a),
			[]string{"members[a].fence[fence_ipmilan][fence_ipmilan].device: fence_ipmilan to ", "members[a].fence[fence_ipmilan][fence_ipmilan].ip: x to "},
		},
		{
			"another order of levels", spec("["+ipmi+", "+outlet4+"]", a), spec("["+outlet4+", "+ipmi+"]", a),
			[]string{"members[a].fence: [fence_ipmilan, fence_apc] to [fence_apc, fence_ipmilan]"},
		},
		{
			"a second device of one kind", spec("["+outlet4+"]", a), spec("["+strings.TrimSuffix(outlet4, "]")+", "+strings.TrimPrefix(outlet5, "[")+"]", a),
			[]string{
				"members[a].fence[fence_apc][fence_apc 2].device:  to fence_apc", "members[a].fence[fence_apc][fence_apc 2].ip:  to p",
				"members[a].fence[fence_apc][fence_apc 2].plug:  to 5", "members[a].fence[fence_apc][fence_apc 2].proof:  to \"off\"",
			},
		},
	} {
		before, _, err := ParseGroup("before.yaml", []byte(test.before))
		if err != nil {
			t.Fatal(err)
		}
		after, _, err := ParseGroup("after.yaml", []byte(test.after))
		if err != nil {
			t.Fatal(err)
		}
		if got := differences(before, after); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func differences(before, after *arbiterv1.GroupSpec) []string {
	var list []string
	for _, d := range Differences(before, after) {
		list = append(list, fmt.Sprintf("%s: %s to %s", d.Path, d.Before, d.After))
	}
	return list
}
