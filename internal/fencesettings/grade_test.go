package fencesettings

import "testing"

// TestS3_LevelGrade: what leaves a machine running is never taken for what switches it off.
func TestS3_LevelGrade(t *testing.T) {
	later := deviceOf("fence_azure_arm")
	later.Settings = []Setting{{Key: "network_fencing", Later: true}}
	off, isolates := deviceOf("fence_ipmilan"), deviceOf("/usr/sbin/fence_sanbox2")
	for name, test := range map[string]struct {
		level []Device
		want  string
	}{
		"switches off":               {[]Device{off, deviceOf("fence_azure_arm")}, ConfirmedOff},
		"cuts off":                   {[]Device{deviceOf("fence_brocade")}, ConfirmedIsolated},
		"one of two":                 {[]Device{off, isolates}, ConfirmedIsolated},
		"says that it only cuts off": {[]Device{deviceOf("fence_ipmilan", "proof", "isolated")}, ConfirmedIsolated},
		"says that it switches off":  {[]Device{deviceOf("fence_brocade", "proof", "off")}, ConfirmedOff},
		"network only":               {[]Device{deviceOf("fence_azure_arm", "network-fencing", "1")}, ConfirmedIsolated},
		"network only, in words":     {[]Device{deviceOf("fence_azure_arm", "network-fencing", "true")}, ConfirmedIsolated},
		"not network only":           {[]Device{deviceOf("fence_azure_arm", "network-fencing", "0")}, ConfirmedOff},
		"network only, perhaps":      {[]Device{later}, ConfirmedIsolated},
	} {
		if got := LevelGrade(test.level); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestCheckLevels(t *testing.T) {
	off, isolated := deviceOf("fence_ipmilan"), deviceOf("fence_ipmilan", "proof", "isolated")
	const end = ", so a failover from it would be held for ever; accept one of these too, or add a device that gives "
	for name, test := range map[string]struct {
		levels   [][]Device
		accepted []string
		want     string
	}{
		"accepted":              {[][]Device{{off}}, []string{ConfirmedOff}, ""},
		"one level is accepted": {[][]Device{{off}, {isolated}}, []string{ConfirmedIsolated}, ""},
		"a person's word":       {[][]Device{{off}}, []string{ConfirmedIsolated, Attested}, ""},
		"nothing from devices":  {[][]Device{{off}}, []string{"HELD_BY_AGENT"}, ""},
		"no level":              {[][]Device{{}}, []string{ConfirmedOff}, ""},
		"none is accepted": {
			[][]Device{{isolated, off}, {}, {isolated}},
			[]string{ConfirmedOff, "HELD_BY_AGENT"},
			"no level of pg-a gives a proof that policy.accept_proofs takes (fence_ipmilan + fence_ipmilan: CONFIRMED_ISOLATED; fence_ipmilan: CONFIRMED_ISOLATED)" +
				end + "CONFIRMED_OFF or HELD_BY_AGENT",
		},
	} {
		if got := CheckLevels("pg-a", test.levels, test.accepted); got != test.want {
			t.Errorf("%s: got %q\nwant %q", name, got, test.want)
		}
	}
}
