package fenceagent

// metadata describes the agent in the XML that cluster managers read.
const metadata = `<?xml version="1.0" ?>
<resource-agent name="fence_lab" shortdesc="Fence agent for the power switch of the laboratory">
<longdesc>fence_lab cuts the power of hosts of the laboratory, which are network namespaces or groups of processes.</longdesc>
<vendor-url>https://github.com/arbiter-ha/arbiter</vendor-url>
<parameters>
	<parameter name="action" unique="0" required="1">
		<getopt mixed="-o, --action=[action]" />
		<content type="string" default="reboot" />
		<shortdesc lang="en">Fencing action</shortdesc>
	</parameter>
	<parameter name="plug" unique="0" required="1">
		<getopt mixed="-n, --plug=[name]" />
		<content type="string" />
		<shortdesc lang="en">Outlet: the name of the host</shortdesc>
	</parameter>
	<parameter name="socket" unique="0" required="0">
		<getopt mixed="--socket=[path]" />
		<content type="string" />
		<shortdesc lang="en">Unix socket of the power switch</shortdesc>
	</parameter>
	<parameter name="ip" unique="0" required="0">
		<getopt mixed="-a, --ip=[address]" />
		<content type="string" />
		<shortdesc lang="en">Address of the power switch; socket wins over it</shortdesc>
	</parameter>
	<parameter name="ipport" unique="0" required="0">
		<getopt mixed="-u, --ipport=[port]" />
		<content type="integer" default="6230" />
		<shortdesc lang="en">TCP port of the power switch</shortdesc>
	</parameter>
	<parameter name="password" unique="0" required="0">
		<getopt mixed="-p, --password=[password]" />
		<content type="string" />
		<shortdesc lang="en">Not needed: the power switch lets everybody in</shortdesc>
	</parameter>
	<parameter name="power_timeout" unique="0" required="0">
		<getopt mixed="--power-timeout=[seconds]" />
		<content type="second" default="20" />
		<shortdesc lang="en">How long to wait for the answer</shortdesc>
	</parameter>
</parameters>
<actions>
	<action name="on" automatic="0" />
	<action name="off" />
	<action name="reboot" />
	<action name="status" />
	<action name="list" />
	<action name="monitor" />
	<action name="metadata" />
	<action name="validate-all" />
</actions>
</resource-agent>
`
