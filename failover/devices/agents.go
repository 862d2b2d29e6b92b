package devices

import (
	"path"
	"slices"
)

// kind is what the table knows of agents that are told in the same way which machine is meant.
type kind struct {
	class Class
	// family is a name for agents that act on the same machines at the same address; empty if every agent stands alone.
	family string
	// device are the settings that name what is asked: a controller, a strip, an API. All names are the present ones, see presentNames.
	device []string
	// machine are those that name one machine behind it: an outlet, a virtual machine.
	machine []string
	// unsaid are values that mean the same as none.
	unsaid map[string][]string
	// addressInPlug: the plug holds the address where there is none (port_as_ip).
	addressInPlug bool
	// caseless: no name is told from another one by upper and lower case.
	caseless bool
	agents   []string
}

var (
	address  = []string{"ip", "ipport"}
	plug     = []string{"plug"}
	telnet   = map[string][]string{"ipport": {"22", "23"}} // 22 with ssh
	web      = map[string][]string{"ipport": {"80", "443"}}
	snmp     = map[string][]string{"ipport": {"161"}}
	outletOf = []string{"switch", "plug"}
)

const controller = "controller"

// kinds are the agents of the ClusterLabs collection. Whoever adds one has read what its off does, where its status comes from, and what it
// makes of answers that are neither on nor off: see misreading.
var kinds = []kind{
	// Management controllers: the address is that of one machine's own, whatever protocol it is asked by.
	{
		class: SwitchesOff, family: controller, device: address, machine: []string{"target"}, unsaid: map[string][]string{"ipport": {"623"}}, addressInPlug: true,
		agents: []string{"fence_idrac", "fence_ilo3", "fence_ilo4", "fence_ilo5", "fence_imm", "fence_ipmilan", "fence_ipmilanplus"},
	},
	{
		class: SwitchesOff, family: controller, device: address, machine: []string{"systems_uri"}, unsaid: web, addressInPlug: true,
		agents: []string{"fence_ilo", "fence_ilo2", "fence_redfish"},
	},
	{
		class: SwitchesOff, family: controller, device: address, unsaid: telnet, addressInPlug: true,
		agents: []string{"fence_alom", "fence_drac", "fence_ilo3_ssh", "fence_ilo4_ssh", "fence_ilo5_ssh", "fence_ilo_mp", "fence_ilo_ssh", "fence_rsa"},
	},
	{class: SwitchesOff, family: controller, device: address, unsaid: map[string][]string{"ipport": {"16994"}}, addressInPlug: true, agents: []string{"fence_amt"}},
	{class: SwitchesOff, family: controller, device: address, unsaid: map[string][]string{"ipport": {"3172"}}, addressInPlug: true, agents: []string{"fence_rsb"}},
	{class: SwitchesOff, family: controller, device: address, machine: plug, unsaid: telnet, agents: []string{"fence_drac5"}}, // also a chassis with modules

	// Power strips, and what controls them.
	{
		class: SwitchesOff, family: "apc", device: address, machine: outletOf,
		unsaid: map[string][]string{"ipport": {"22", "23", "161"}, "switch": {"1"}}, agents: []string{"fence_apc", "fence_apc_snmp"},
	},
	{class: SwitchesOff, device: address, machine: outletOf, unsaid: telnet, agents: []string{"fence_cdu"}},
	{class: SwitchesOff, device: address, machine: outletOf, unsaid: map[string][]string{"ipport": {"161"}, "switch": {"1"}}, agents: []string{"fence_lindypdu"}},
	{
		class: SwitchesOff, device: address, machine: plug, unsaid: telnet,
		agents: []string{"fence_cyberpower_ssh", "fence_raritan", "fence_raritan_px3", "fence_wti"},
	},
	{
		class: SwitchesOff, device: address, machine: plug, unsaid: snmp,
		agents: []string{"fence_eaton_snmp", "fence_emerson", "fence_ipdu", "fence_tripplite_snmp"},
	},
	{class: SwitchesOff, device: address, machine: plug, unsaid: web, agents: []string{"fence_eps"}},
	{class: SwitchesOff, device: address, machine: plug, unsaid: map[string][]string{"ipport": {"1234"}}, agents: []string{"fence_netio"}},
	{class: SwitchesOff, device: address, machine: plug, unsaid: map[string][]string{"ipport": {"10101"}}, agents: []string{"fence_powerman"}},

	// Blade centres and partitioned machines.
	{
		class: SwitchesOff, device: address, machine: plug, unsaid: telnet,
		agents: []string{"fence_bladecenter", "fence_hds_cb", "fence_hpblade", "fence_ilo_moonshot", "fence_ldom"},
	},
	{class: SwitchesOff, device: address, machine: plug, unsaid: snmp, agents: []string{"fence_ibmblade", "fence_intelmodular"}},
	{class: SwitchesOff, device: address, machine: []string{"suborg", "plug"}, unsaid: web, agents: []string{"fence_cisco_ucs"}},
	{class: SwitchesOff, device: address, machine: plug, unsaid: map[string][]string{"ipport": {"6794"}}, agents: []string{"fence_ibmz"}},
	{class: SwitchesOff, device: address, machine: []string{"managed", "plug"}, unsaid: telnet, agents: []string{"fence_lpar"}},

	// Hypervisors.
	{class: SwitchesOff, device: address, machine: plug, unsaid: web, agents: []string{"fence_docker", "fence_rhevm", "fence_vmware_vcloud"}},
	{class: SwitchesOff, family: "vmware", device: address, machine: plug, unsaid: web, agents: []string{"fence_vmware_rest", "fence_vmware_soap"}},
	{class: SwitchesOff, device: address, machine: []string{"vmware_datacenter", "plug"}, unsaid: telnet, agents: []string{"fence_vmware"}},
	{class: SwitchesOff, device: address, machine: plug, unsaid: telnet, agents: []string{"fence_vbox", "fence_virsh"}},
	{class: SwitchesOff, device: address, machine: plug, unsaid: map[string][]string{"ipport": {"8006"}}, agents: []string{"fence_pve"}},
	{class: SwitchesOff, device: address, machine: plug, unsaid: map[string][]string{"ipport": {"44444"}}, agents: []string{"fence_zvmip"}},
	{class: SwitchesOff, device: []string{"session_url"}, machine: plug, agents: []string{"fence_xenapi"}},
	{class: SwitchesOff, device: []string{"kubeconfig", "namespace"}, machine: plug, agents: []string{"fence_kubevirt"}},

	// Clouds.
	{class: SwitchesOff, machine: plug, agents: []string{"fence_aws", "fence_ecloud", "fence_ibm_vpc"}}, // the names of instances are unique
	{class: SwitchesOff, device: []string{"region"}, machine: plug, agents: []string{"fence_aliyun"}},
	{class: SwitchesOff, device: []string{"subscriptionid", "resourcegroup"}, machine: plug, caseless: true, agents: []string{"fence_azure_arm"}},
	{class: SwitchesOff, device: []string{"project", "zone"}, machine: plug, agents: []string{"fence_gce"}},
	{class: SwitchesOff, device: []string{"crn", "instance"}, machine: plug, agents: []string{"fence_ibm_powervs"}},
	{class: SwitchesOff, device: []string{"auth_url", "cloud"}, machine: plug, agents: []string{"fence_ironic", "fence_openstack"}},

	// These cut a machine off from its storage or its network, and leave it running.
	{class: Isolates, device: address, machine: plug, unsaid: telnet, agents: []string{"fence_brocade", "fence_sanbox2"}},
	{class: Isolates, device: address, machine: plug, unsaid: snmp, agents: []string{"fence_cisco_mds", "fence_ifmib"}},
	{class: Isolates, device: []string{"devices"}, machine: []string{"key", "plug"}, agents: []string{"fence_mpath", "fence_scsi"}},
}

// unproving are agents whose word is not about the machine, and what it is about: they follow the API, and nothing that they say proves that
// a machine is off.
var unproving = map[string]string{
	"fence_ack_manual":      "it is a person's word; that is given with arbiterctl attest, once, by name",
	"fence_compute":         "its status is what OpenStack notes of the host, and its off only changes that note",
	"fence_crosslink":       "its status is whether an address answers pings, and it switches nothing off",
	"fence_dummy":           "it is for tests, and its off and its status are a word in a file",
	"fence_evacuate":        "its status is what OpenStack notes of the host, and its off only changes that note",
	"fence_heuristics_ping": "it switches nothing off",
	"fence_kdump":           "it waits for a machine that has crashed by itself, and switches nothing off",
	"fence_ovh":             "its off starts the machine again, with another system",
	"fence_rcd_serial":      "it presses the reset button, so the machine starts again, and it can't read what became of it",
	"fence_sbd":             "its status is the message that its off has left on a disk, whether or not the machine has read it",
}

// misreading are agents that do switch a machine off, or cut it off, but whose status also says off when that isn't so, and when. It was read
// in their code (fence-agents 4.12.1): an agent that says off only for the very word of its device isn't here.
var misreading = []struct {
	why    string
	agents []string
}{
	{
		"it calls off whatever its device doesn't call on, also what doesn't exist",
		[]string{"fence_apc_snmp", "fence_emerson", "fence_ibmblade", "fence_intelmodular", "fence_ipdu", "fence_tripplite_snmp"},
	},
	{"it calls off whatever its switch doesn't call up, also a port that doesn't exist", []string{"fence_cisco_mds", "fence_ifmib"}},
	{
		"it calls off whatever its controller doesn't call enabled, also an answer of which it has read only the beginning",
		[]string{"fence_ilo3_ssh", "fence_ilo4_ssh", "fence_ilo5_ssh", "fence_ilo_mp", "fence_ilo_ssh"},
	},
	{"it calls off whatever isn't in S0, also a machine that sleeps", []string{"fence_amt"}},
	{"it takes a word of an outlet's name that begins with OFF for its state", []string{"fence_apc"}},
	{"it takes outlets 10 to 19 for outlet 1, 20 to 29 for outlet 2", []string{"fence_cyberpower_ssh"}},
	{"it calls off whatever its manager doesn't call on, also a blade that is missing or isn't the expected one", []string{"fence_cisco_ucs"}},
	{"it takes the first word on or off in an answer for the state, whatever it is about", []string{"fence_drac"}},
	{"of several outlets in one plug it asks only for the first", []string{"fence_eaton_snmp"}},
	{"in a VPC it calls off whatever its cloud doesn't call online", []string{"fence_ecloud"}},
	{"it calls off whatever isn't operating or active, also a partition that is degraded, paused or has exceptions", []string{"fence_ibmz"}},
	{"it calls off a machine of which Kubernetes has no instance just now, also while it starts again by itself", []string{"fence_kubevirt"}},
	{"it calls off whatever it doesn't know to be on, also a partition that is suspended or migrates", []string{"fence_lpar"}},
	{"it calls off every key that isn't on the devices, also one that is misspelt, and where nothing is reserved", []string{"fence_mpath", "fence_scsi"}},
	{"it calls off a machine that is hibernated", []string{"fence_pve"}},
	{"it reads the last word of a group's state, so it also calls off a group of outlets of which some are on", []string{"fence_raritan_px3"}},
	{"it calls off a machine of which its manager gives no state", []string{"fence_rhevm"}},
	{"it calls off a machine that is starting, or whose host can't be reached", []string{"fence_skalar"}},
	{"it calls off whatever isn't in the list of running machines, also one that is saved, and when there is no list", []string{"fence_vbox"}},
	{"it calls off whatever virsh doesn't call running, also a machine that is suspended or shutting down, and when there is no virsh", []string{"fence_virsh"}},
	{"it calls off whatever isn't powered on, also a machine that is suspended", []string{"fence_vmware", "fence_vmware_soap"}},
	{"it calls off a machine that is suspended", []string{"fence_vmware_rest", "fence_vmware_vcloud"}},
	{"it calls off a group of outlets of which it reads none as on", []string{"fence_wti"}},
	{"it calls off a guest that doesn't exist", []string{"fence_zvmip"}},
}

// whyMisreading says when an agent calls a machine off that isn't; empty if it doesn't.
func whyMisreading(agent string) string {
	for _, one := range misreading {
		if slices.Contains(one.agents, agent) {
			return one.why
		}
	}
	return ""
}

// kindOf finds an agent by its name or its path. The name is "" if the table doesn't have it.
func kindOf(method string) (name string, k kind) {
	base := path.Base(method)
	for _, one := range kinds {
		if slices.Contains(one.agents, base) {
			return base, one
		}
	}
	return "", kind{}
}
