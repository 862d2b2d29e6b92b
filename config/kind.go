package config

import "regexp"

// Keys at the beginning of a line tell the two kinds of files apart, also where a file is no good YAML.
var (
	keyOfArbiterFile = regexp.MustCompile(`(?m)^(node|arbiters)\s*:`)
	keyOfGroupSpec   = regexp.MustCompile(`(?m)^(group|members)\s*:`)
)

// IsArbiterFile says whether a text is an arbiter's file rather than a group spec.
func IsArbiterFile(text []byte) bool {
	return keyOfArbiterFile.Match(text) && !keyOfGroupSpec.Match(text)
}

// isGroupSpec says whether a text is a group spec rather than an arbiter's file.
func isGroupSpec(text []byte) bool {
	return keyOfGroupSpec.Match(text) && !keyOfArbiterFile.Match(text)
}

// Of a file of the other kind every key would be unknown: it has one fault.
const (
	notGroupSpec   = "this is an arbiter's file, which `arbiterd --config` reads; what is wanted here is a group spec, with the keys group and members"
	notArbiterFile = "this is a group spec, which `arbiterctl apply -f` takes; what is wanted here is an arbiter's file, with the keys node and arbiters"
)
