//go:build linux

package fence

import (
	"fmt"
	"path"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/failover/devices"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/keys"
)

// absent is about an agent that isn't on this machine. Another arbiter may have it, so it is no fault of the spec.
func (f *Fencer) absent(device failover.FenceDevice) Problem {
	return Problem{
		Key: "device", Warning: true,
		Message: fmt.Sprintf("%s is not installed on the arbiter that leads: there is no executable %s",
			fencesettings.OneLine(path.Base(device.Method), 60), strings.Join(fenceagent.Candidates(device.Method, f.directories), ", ")),
		Fix: bringing(device.Method) + "; it must be on all arbiters (docs/fencing.md)",
	}
}

// bringing says what usually brings an agent to a machine, or what was probably meant.
func bringing(method string) string {
	name := path.Base(method)
	switch {
	case name == "fence_virt" || name == "fence_xvm":
		return "install the package fence-virt"
	case devices.ClassOf(name) != devices.Unknown:
		return "install the package fence-agents (Debian, SUSE) or fence-agents-all (Red Hat)"
	}
	const unknown = "no package that Arbiter knows brings it: install it, or give its absolute path"
	if meant := meantAgent(name); meant != "" {
		return fmt.Sprintf("did you mean %s? If not, %s", meant, unknown)
	}
	return unknown
}

// meantAgent is the agent that a name was most likely typed for, or nothing. Names of agents are short and alike: fence_mine is not fence_imm.
func meantAgent(name string) string {
	var known []string
	for _, class := range []devices.Class{devices.SwitchesOff, devices.Isolates, devices.Misreads} {
		known = append(known, devices.Agents(class)...)
	}
	meant := keys.Nearest(name, known)
	if keys.Distance(name, meant) > 1+len(strings.TrimPrefix(name, "fence_"))/5 {
		return ""
	}
	return meant
}
