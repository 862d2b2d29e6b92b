package devices

import (
	"fmt"
	"maps"
	"path"
	"slices"
)

// Class is what the off of an agent, read back by its status, proves.
type Class int

const (
	// Unknown: nobody has read what the agent does.
	Unknown Class = iota
	// SwitchesOff: the machine is off, by the word of what supplies it.
	SwitchesOff
	// Isolates: the machine runs on without its storage or its network.
	Isolates
	// ProvesNothing: the agent's word is not about the machine.
	ProvesNothing
	// Misreads: the agent switches off or isolates, but its status also says off when that isn't so.
	Misreads
)

// ClassOf is that of an agent, which is given by its name or its path.
func ClassOf(method string) Class {
	if _, found := unproving[path.Base(method)]; found {
		return ProvesNothing
	}
	if whyMisreading(path.Base(method)) != "" {
		return Misreads
	}
	_, k := kindOf(method)
	return k.class
}

// Agents are those of a class, in alphabetical order.
func Agents(of Class) []string {
	names := slices.Collect(maps.Keys(unproving))
	for _, k := range kinds {
		names = append(names, k.agents...)
	}
	for _, one := range misreading {
		names = append(names, one.agents...)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return ClassOf(name) != of })
}

// What the setting proof of a device may say that its off amounts to.
const (
	ProofOff      = "off"      // the machine is switched off
	ProofIsolated = "isolated" // it runs on, cut off from its storage or its clients
)

// ProofValueFault says what is wrong with the value of the setting proof, or nothing.
func ProofValueFault(value string) string {
	if value == ProofOff || value == ProofIsolated {
		return ""
	}
	return fmt.Sprintf(`"proof" must be %q or %q`, ProofOff, ProofIsolated)
}

// ProofFault says why an agent can't be used in a device that doesn't say by its setting proof what its off amounts to, and which key of the
// device that is about. Both are empty if it can.
func ProofFault(method string) (key, message string) {
	name := path.Base(method)
	switch ClassOf(method) {
	case ProvesNothing:
		return "device", fmt.Sprintf("%s can't prove that a machine is off: %s; use a device that switches the machine off. If more stands behind it here, "+
			"say what its off amounts to, and answer for it: proof: off, or proof: isolated", name, unproving[name])
	case Misreads:
		return "proof", fmt.Sprintf("%s doesn't prove that a machine is off: %s; use another device, or, if that can't happen here, "+
			"say what its off amounts to, and answer for it: proof: off (the machine is switched off), or proof: isolated (it runs on, "+
			"cut off from its storage or its clients)", name, whyMisreading(name))
	case Unknown:
		return "proof", fmt.Sprintf("%s is none of the agents whose off Arbiter knows; say what it amounts to, and answer for it: "+
			"proof: off (the machine is switched off), or proof: isolated (it runs on, cut off from its storage or its clients)", name)
	}
	return "", ""
}
