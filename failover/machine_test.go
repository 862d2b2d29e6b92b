package failover

import "testing"

func TestS15_MachinesAreKnownByTheSettingsThatNameThem(t *testing.T) {
	device := func(method string, pairs ...string) FenceDevice {
		d := FenceDevice{Method: method}
		for i := 0; i < len(pairs); i += 2 {
			d.Settings = append(d.Settings, Setting{Key: pairs[i], Value: pairs[i+1]})
		}
		return d
	}
	kept := func(d FenceDevice, key, file string) FenceDevice {
		d.Settings = append([]Setting{{Key: key, File: file}}, d.Settings...)
		return d
	}
	bmc := device("fence_ipmilan", "ip", "10.0.0.1")
	for name, test := range map[string]struct {
		a, b FenceDevice
		same bool
	}{
		"same":                              {bmc, bmc, true},
		"path, old name, order, spaces":     {device("/usr/sbin/fence_apc", "ip", "10.0.0.1", "plug", "4"), device("fence_apc", "port", " 4", "ipaddr", "10.0.0.1 "), true},
		"another user":                      {device("fence_ipmilan", "ip", "10.0.0.1", "username", "ops"), device("fence_ipmilan", "username", "dba", "ip", "10.0.0.1"), true},
		"another password file":             {kept(bmc, "password", "/etc/a"), kept(bmc, "password", "/etc/b"), true},
		"another way to log in":             {kept(bmc, "password", "/etc/a"), device("fence_ipmilan", "ip", "10.0.0.1", "passwd", "x", "lanplus", "1", "cipher", "3"), true},
		"same program by another name":      {device("fence_idrac", "ip", "10.0.0.1", "ipport", "623"), bmc, true},
		"one controller by two protocols":   {device("fence_redfish", "ip", "10.0.0.1"), bmc, true},
		"one of several, not said which":    {device("fence_redfish", "ip", "10.0.0.1", "systems_uri", "/redfish/v1/Systems/2"), bmc, true},
		"two of several":                    {device("fence_apc", "ip", "10.0.0.1", "plug", "1"), device("fence_apc", "ip", "10.0.0.1", "plug", "1", "switch", "2"), false},
		"IPv6 in two spellings":             {device("fence_ipmilan", "ip", "fd00:0:0::1"), device("fence_ipmilan", "ip", "fd00::1"), true},
		"IPv4 in IPv6":                      {device("fence_ipmilan", "ip", "::ffff:10.0.0.1"), bmc, true},
		"what is expected":                  {device("fence_apc", "plug", "1", "expect_name", "db1"), device("fence_apc", "plug", "1", "proof", "off"), true},
		"another address":                   {bmc, device("fence_ipmilan", "ip", "10.0.0.2"), false},
		"another plug":                      {device("fence_apc", "ip", "10.0.0.1", "plug", "1"), device("fence_apc", "ip", "10.0.0.1", "plug", "2"), false},
		"another port of the address":       {device("fence_ipmilan", "ip", "10.0.0.1", "ipport", "6230"), bmc, true},
		"two protocols, ports of their own": {device("fence_ipmilan", "ip", "10.0.0.1", "ipport", "6230"), device("fence_redfish", "ip", "10.0.0.1", "ipport", "8443"), true},
		"one port of two addresses":         {device("fence_ipmilan", "ip", "10.0.0.1", "ipport", "6230"), device("fence_redfish", "ip", "10.0.0.2", "ipport", "6230"), false},
		"another method":                    {device("fence_apc", "ip", "10.0.0.1"), bmc, false},
		"address kept elsewhere":            {kept(device("fence_ipmilan"), "ip", "/etc/a"), kept(device("fence_ipmilan"), "ip", "/etc/a"), true},
		"other addresses kept elsewhere":    {kept(device("fence_ipmilan"), "ip", "/etc/a"), kept(device("fence_ipmilan"), "ip", "/etc/b"), false},
		"own agent, own names, same":        {device("fence_own", "ip", "10.0.0.1", "outlet", "a", "timeout", "3"), device("fence_own", "ip", "10.0.0.1", "outlet", "a", "community", "x"), true},
		"own agent, another login":          {device("fence_own", "login", "ops", "outlet", "a"), device("fence_own", "outlet", "a", "login", "dba"), true},
		"own agent, own names, another one": {device("fence_own", "ip", "10.0.0.1", "outlet", "a"), device("fence_own", "ip", "10.0.0.1", "outlet", "b"), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := MemberSpec{Fence: []FenceLevel{{Devices: []FenceDevice{test.a}}}}
			b := MemberSpec{Fence: []FenceLevel{{Devices: []FenceDevice{device("fence_apc", "plug", "b2")}}, {Devices: []FenceDevice{device("fence_apc", "plug", "b1"), test.b}}}}
			if sharesMachine(a, b) != test.same || sharesMachine(b, a) != test.same {
				t.Errorf("%q and %q: shared is not %v", machinesOf(a), machinesOf(b), test.same)
			}
		})
	}
	if sharesMachine(MemberSpec{}, MemberSpec{}) {
		t.Error("members without a fence share nothing that is fenced")
	}
}
