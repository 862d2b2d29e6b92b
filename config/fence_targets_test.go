package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestS3_TwoMembersOfOneFenceTargetAreRefused(t *testing.T) {
	const refused, warned, fine = "is the same target as a fence of pg-a: switching pg-b off would switch pg-a off too", "on the same machine", ""
	for _, test := range []struct {
		name   string
		fenceA string
		fenceB string
		hostB  string // pg-a is at 10.0.0.1
		want   string
	}{
		{"one outlet", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "10.0.0.2", refused},
		{"outlets of one strip", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 5}]", "10.0.0.2", fine},
		{"outlets of one number on two strips", "[{device: fence_apc, proof: off, ip: pdu, switch: 1, plug: 4}]", "[{device: fence_apc, proof: off, ip: pdu, switch: 2, plug: 4}]", "10.0.0.2", fine},
		{"one outlet, another login", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 4, username: x, password: {env: X}}]", "10.0.0.2", refused},
		{"one outlet, other pauses", "[{device: fence_apc, proof: off, ip: pdu, plug: 4, power_wait: 3}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 4, login_timeout: 9}]", "10.0.0.2", refused},
		{"one outlet by its older name", "[{device: fence_apc, proof: off, ipaddr: pdu, port: 4}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "10.0.0.2", refused},
		{"one outlet, with a name for each", "[{device: fence_apc, proof: off, ip: pdu, plug: 4, expect_name: a}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 4, expect_name: b}]", "10.0.0.2", refused},
		{"one outlet in another level", "[{device: fence_ipmilan, ip: bmc-a}], [{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "10.0.0.2", refused},
		{"an outlet in a file", "[{device: fence_apc, proof: off, ip: pdu, plug: {file: /a}}]", "[{device: fence_apc, proof: off, ip: pdu, plug: {file: /a}}]", "10.0.0.2", refused},
		{"outlets in two files", "[{device: fence_apc, proof: off, ip: pdu, plug: {file: /a}}]", "[{device: fence_apc, proof: off, ip: pdu, plug: {file: /b}}]", "10.0.0.2", fine},
		{"one controller by two agents", "[{device: fence_ipmilan, ip: bmc}]", "[{device: fence_idrac, ip: BMC, ipport: 623}]", "10.0.0.2", refused},
		{"one controller by its path", "[{device: fence_ipmilan, ip: \"fd00::1\"}]", "[{device: /usr/sbin/fence_ipmilan, ip: \"[fd00:0::1]\"}]", "10.0.0.2", refused},
		{"two services with one kind of address", "[{device: fence_own, proof: off, auth_url: x}]", "[{device: fence_own, proof: off, auth_url: y}]", "10.0.0.2", fine},
		{"two hosts behind ssh", "[{device: fence_own, proof: off, ssh_host: x}]", "[{device: fence_own, proof: off, ssh_host: y}]", "10.0.0.2", fine},
		{"one service of an unknown kind", "[{device: fence_own, proof: off, auth_url: x}]", "[{device: fence_own, proof: isolated, auth_url: x, login: z}]", "10.0.0.2", refused},
		{"two keys of one disk", "[{device: fence_scsi, proof: off, devices: /dev/sdb, plug: a}]", "[{device: fence_scsi, proof: off, devices: /dev/sdb, plug: b}]", "10.0.0.2", fine},
		{"one key of one disk", "[{device: fence_mpath, proof: off, devices: \"/dev/a,/dev/b\", key: 1}]", "[{device: fence_mpath, proof: off, devices: \"/dev/b,/dev/a\", key: 1}]", "10.0.0.2", refused},
		{"two agents", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "[{device: fence_wti, proof: off, ip: pdu, plug: 4}]", "10.0.0.2", fine},
		{
			"two power supplies each", "[{device: fence_apc, proof: off, ip: pdu-1, plug: 4}, {device: fence_apc, proof: off, ip: pdu-2, plug: 4}]",
			"[{device: fence_apc, proof: off, ip: pdu-1, plug: 5}, {device: fence_apc, proof: off, ip: pdu-2, plug: 5}]", "10.0.0.2", fine,
		},
		{"one outlet twice for one member", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}], [{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 5}]", "10.0.0.2", fine},
		{"two servers of one machine", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "[{device: fence_apc, proof: off, ip: pdu, plug: 4}]", "10.0.0.1", warned},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := fmt.Sprintf("group: g\nmembers:\n  - {name: pg-a, zone: a, address: \"10.0.0.1:5432\", fence: [%s]}\n"+
				"  - {name: pg-b, zone: b, address: \"%s:5433\", fence: [%s]}\npolicy: {timeouts: {isolate: 2m}}\n", test.fenceA, test.hostB, test.fenceB)
			_, warnings, err := LoadGroup("g.yaml", []byte(text))
			got := warnings.Error()
			if test.want == refused || err != nil {
				got = fmt.Sprint(err)
			}
			if !strings.Contains(got, test.want) || test.want == fine && strings.Contains(got, "same target") || (err != nil) != (test.want == refused) {
				t.Errorf("it says %q", got)
			}
			if test.want != fine && !strings.Contains(got, "members[1].fence[0][0]: ") {
				t.Errorf("where: %q", got)
			}
		})
	}
}
