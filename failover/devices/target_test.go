package devices

import (
	_ "embed"
	"slices"
	"strings"
	"testing"
)

// described is what the installed agents say of themselves.
//
//go:embed testdata/agents.txt
var described string

// agentsDescribed are the settings of each agent, with their defaults.
func agentsDescribed(t *testing.T) map[string]map[string]string {
	all := map[string]map[string]string{}
	for line := range strings.Lines(described) {
		fields := strings.Fields(line)
		if fields[0] == "#" {
			continue
		}
		all[fields[0]] = map[string]string{}
		for _, field := range fields[1:] {
			name, value, _ := strings.Cut(field, "=")
			all[fields[0]][strings.ToLower(name)] = value
		}
	}
	if len(all) < 80 {
		t.Fatalf("%d agents in testdata", len(all))
	}
	return all
}

// notMentioned are settings that an agent takes from its older syntax, or that another one of its kind has.
var notMentioned = []string{"fence_apc_snmp switch", "fence_ilo systems_uri", "fence_ilo2 systems_uri", "fence_ironic cloud"}

// The table names no setting that an agent doesn't have, and knows its default port.
func TestS3_TheTableIsTrueOfTheInstalledAgents(t *testing.T) {
	for agent, has := range agentsDescribed(t) {
		name, k := kindOf(agent)
		if name == "" {
			continue
		}
		for _, setting := range slices.Concat(k.device, k.machine) {
			if _, known := has[setting]; !known && !slices.Contains(notMentioned, agent+" "+setting) {
				t.Errorf("%s has no setting %s", agent, setting)
			}
		}
		for setting, value := range has {
			if value != "" && slices.Contains(slices.Concat(k.device, k.machine), setting) && !slices.Contains(k.unsaid[setting], value) {
				t.Errorf("%s: %s=%s is its default, and counts", agent, setting, value)
			}
		}
	}
}

// targetOf reads a device as it stands in a spec: its name, then key=value.
func targetOf(device string) Target {
	fields := strings.Fields(device)
	settings := map[string]string{}
	for _, field := range fields[1:] {
		key, value, _ := strings.Cut(field, "=")
		settings[key] = value
	}
	return TargetOf(fields[0], settings)
}

func TestS3_OneTargetIsKnownHoweverItIsWritten(t *testing.T) {
	for _, test := range [][2]string{
		{"fence_ipmilan ip=bmc", "fence_idrac ip=bmc"},
		{"fence_ipmilan ip=bmc", "fence_redfish ip=bmc"},
		{"fence_ipmilan ip=bmc", "fence_ipmilan ip=BMC. ipport=623 username=x password=y lanplus=1 cipher=3 power_wait=0 method=onoff"},
		{"fence_ipmilan ip=bmc", "/usr/sbin/fence_ilo5 plug=bmc port_as_ip=1"},
		{"fence_ipmilan ip=fd00::1", "fence_imm ipaddr=[FD00:0::1]"},
		{"fence_ipmilan ip=10.0.0.1", "fence_ipmilan ip=::ffff:10.0.0.1"},
		{"fence_ilo4 ip=bmc", "fence_ilo4_ssh ip=bmc ipport=22 ssh=1"},
		{"fence_apc ip=pdu plug=4", "fence_apc_snmp ip=pdu port=4 ipport=161 community=x"},
		{"fence_apc ip=pdu plug=4 switch=1", "fence_apc ip=pdu plug=4"},
		{"fence_apc ip=pdu plug=2:4", "fence_apc ip=pdu plug=4 switch=2"},
		{"fence_vmware_soap ip=vc plug=a ssl=1", "fence_vmware_rest ip=vc plug=a ipport=443"},
		{"fence_azure_arm plug=vm resourceGroup=A subscriptionId=B", "fence_azure_arm resourcegroup=a subscriptionid=b plug=VM tenantId=t"},
		{"fence_aws plug=i-1", "fence_aws plug=i-1 region=eu"},
		{"fence_openstack uuid=x auth_url=https://K:443/v3/", "fence_openstack plug=x auth_url=https://k/v3 username=u"},
		{"fence_scsi devices=/dev/b,/dev/a plug=n1", "/usr/sbin/fence_scsi plug=n1 devices=/dev/a,/dev/b"},
		{"fence_own ssh_host=a login=x timeout=3", "/opt/fence_own ssh_host=a login=y secret_key=z proof=off expect_name=n"},
		{"fence_gce plug=a project=p zone=z method=onoff", "fence_gce nodename=a project=p zone=z"},
	} {
		if a, b := targetOf(test[0]), targetOf(test[1]); a != b || !a.MayBe(b) {
			t.Errorf("%q and %q: %+v, %+v", test[0], test[1], a, b)
		}
	}
}

func TestS3_TwoTargetsAreNotTakenForOne(t *testing.T) {
	for _, test := range []struct {
		a, b  string
		maybe bool
	}{
		{"fence_ipmilan ip=a", "fence_ipmilan ip=b", false},
		{"fence_ipmilan ip=a", "fence_ipmilan ip=a ipport=6230", true},
		{"fence_ipmilan ip=a ipport=6230", "fence_redfish ip=a ipport=8443", true},
		{"fence_ipmilan ip=a ipport=6230", "fence_redfish ip=b ipport=6230", false},
		{"fence_apc ip=pdu ipport=2323 plug=4", "fence_apc_snmp ip=pdu ipport=1161 plug=4", true},
		{"fence_apc ip=pdu ipport=2323 plug=4", "fence_apc_snmp ip=pdu ipport=1161 plug=5", false},
		{"fence_ipmilan ip=a", "fence_ipmilan ip=a target=0x82", true},
		{"fence_redfish ip=a systems_uri=/redfish/v1/Systems/1", "fence_redfish ip=a systems_uri=/redfish/v1/Systems/2", false},
		{"fence_redfish ip=a systems_uri=/redfish/v1/Systems/1", "fence_ipmilan ip=a", true},
		{"fence_drac5 ip=a plug=Server-1", "fence_drac5 ip=a plug=Server-2", false},
		{"fence_apc ip=pdu plug=4", "fence_apc ip=pdu plug=5", false},
		{"fence_apc ip=pdu plug=4", "fence_apc ip=pdu plug=4 switch=2", false},
		{"fence_apc ip=pdu plug=4", "fence_wti ip=pdu plug=4", false},
		{"fence_openstack auth_url=https://a plug=1", "fence_openstack auth_url=https://b plug=1", false},
		{"fence_lpar ip=a managed=m1 plug=p", "fence_lpar ip=a managed=m2 plug=p", false},
		{"fence_gce project=p zone=a plug=db", "fence_gce project=p zone=b plug=db", false},
		{"fence_kubevirt namespace=a plug=db", "fence_kubevirt namespace=b plug=db", false},
		{"fence_scsi devices=/dev/a plug=n1", "fence_scsi devices=/dev/a plug=n2", false},
		{"fence_mpath devices=/dev/a key=1", "fence_mpath devices=/dev/a key=2", false},
		{"fence_sbd devices=/dev/a plug=n1 proof=off", "fence_sbd devices=/dev/a plug=n2 proof=off", false},
		{"fence_dummy status_file=/a proof=off", "fence_dummy status_file=/b proof=off", false},
		{"fence_own auth_url=https://a", "fence_own auth_url=https://b", false},
		{"fence_own ssh_host=a", "fence_own ssh_host=b", false},
		{"fence_own plug=a", "fence_other plug=a", false},
	} {
		if a, b := targetOf(test.a), targetOf(test.b); a == b || a.MayBe(b) != test.maybe || b.MayBe(a) != test.maybe {
			t.Errorf("%q and %q: %+v, %+v, may be the same: %v", test.a, test.b, a, b, a.MayBe(b))
		}
	}
	fileA, fileB := TargetOf("fence_ipmilan", map[string]string{"ip": Kept("file", "/a")}), TargetOf("fence_ipmilan", map[string]string{"ip": Kept("file", "/A")})
	if fileA == fileB {
		t.Error("two files are taken for one")
	}
}

func TestS3_ProofFault(t *testing.T) {
	for method, want := range map[string][2]string{
		"fence_ipmilan": {}, "/usr/sbin/fence_brocade": {}, "fence_redfish": {}, "fence_xenapi": {},
		"fence_virsh":          {"proof", "fence_virsh doesn't prove that a machine is off: it calls off whatever virsh doesn't call running, "},
		"/usr/sbin/fence_scsi": {"proof", "fence_scsi doesn't prove that a machine is off: it calls off every key that isn't on the devices, "},
		"fence_ibmblade":       {"proof", "fence_ibmblade doesn't prove that a machine is off: it calls off whatever its device doesn't call on, "},
		"fence_vmware_rest":    {"proof", "fence_vmware_rest doesn't prove that a machine is off: it calls off a machine that is suspended; "},
		"fence_sbd":            {"device", "fence_sbd can't prove that a machine is off: "},
		"fence_aws_vpc_net":    {"proof", "fence_aws_vpc_net is none of the agents "},
		"/opt/lab":             {"proof", "lab is none of the agents "},
	} {
		if key, message := ProofFault(method); key != want[0] || !strings.HasPrefix(message, want[1]) || (message == "") != (want[1] == "") {
			t.Errorf("%s: %q, %q", method, key, message)
		}
	}
}

// Every agent is in one place of the table.
func TestAgents(t *testing.T) {
	all := slices.Concat(Agents(SwitchesOff), Agents(Isolates), Agents(ProvesNothing), Agents(Misreads))
	slices.Sort(all)
	if distinct := slices.Compact(slices.Clone(all)); len(distinct) != len(all) {
		t.Errorf("some are there twice: %q", all)
	}
	for _, agent := range all {
		if ClassOf(agent) == Unknown || !slices.Contains(Agents(ClassOf(agent)), agent) {
			t.Errorf("%s is of class %v", agent, ClassOf(agent))
		}
	}
	var listed []string
	for _, one := range misreading {
		listed = append(listed, one.agents...)
	}
	slices.Sort(listed)
	if !slices.Equal(listed, Agents(Misreads)) {
		t.Errorf("some are there twice, or prove nothing anyway: %q", listed)
	}
}
