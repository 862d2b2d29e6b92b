package config

import (
	"fmt"
	"slices"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Differences lists what of two specs differs, by the keys and in the values that their files have: first what was changed or left out, then what
// is new, each in the order of a file.
func Differences(before, after *arbiterv1.GroupSpec) []*arbiterv1.Difference {
	var old, new leaves
	old.add("", yamlOf(before.ProtoReflect()))
	new.add("", yamlOf(after.ProtoReflect()))
	var list []*arbiterv1.Difference
	for _, one := range old {
		if now := new.find(one.path); now != one.value {
			list = append(list, &arbiterv1.Difference{Path: one.path, Before: one.value, After: now})
		}
	}
	for _, one := range new {
		if old.find(one.path) == "" {
			list = append(list, &arbiterv1.Difference{Path: one.path, After: one.value})
		}
	}
	return list
}

// leaf is what stands on a line of its own: a word, a list of words, or what is empty.
type leaf struct{ path, value string }

type leaves []leaf

func (l leaves) find(path string) string {
	if i := slices.IndexFunc(l, func(one leaf) bool { return one.path == path }); i >= 0 {
		return l[i].value
	}
	return ""
}

func (l *leaves) add(path string, v yamlValue) {
	switch {
	case v.kind == list && !v.small():
		for i, item := range v.list {
			l.add(fmt.Sprintf("%s[%d]", path, i), item)
		}
	case v.kind == mapping && len(v.pairs) > 0:
		for _, p := range v.pairs {
			l.add(childPath(path, p.key), p.value)
		}
	case path != "":
		*l = append(*l, leaf{path, v.flow()})
	}
}
