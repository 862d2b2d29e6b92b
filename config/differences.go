package config

import (
	"fmt"
	"slices"
	"strings"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Differences lists what of two specs differs, by the keys and in the values that their files have: first what was changed or left out, then what
// stands in another order, then what is new, each in the order of a file. What has a name is compared with what has the same name, wherever it
// stands: members[pg-b].zone. So has a fence device, that of its agent, and a level, that of its first device.
func Differences(before, after *arbiterv1.GroupSpec) []*arbiterv1.Difference {
	then, now := contentOf(before), contentOf(after)
	var list []*arbiterv1.Difference
	for _, one := range then.leaves {
		if value := now.find(one.path); value != one.value {
			list = append(list, &arbiterv1.Difference{Path: one.path, Before: one.value, After: value})
		}
	}
	for _, one := range then.lists {
		i := slices.IndexFunc(now.lists, func(other named) bool { return other.path == one.path })
		if i >= 0 && !slices.Equal(one.shared(now.lists[i]), now.lists[i].shared(one)) {
			list = append(list, &arbiterv1.Difference{Path: one.path, Before: one.String(), After: now.lists[i].String()})
		}
	}
	for _, one := range now.leaves {
		if then.find(one.path) == "" {
			list = append(list, &arbiterv1.Difference{Path: one.path, After: one.value})
		}
	}
	return list
}

// content is what stands in a file.
type content struct {
	leaves []leaf
	lists  []named
}

// leaf is what stands on a line of its own: a word, a list of words, or what is empty.
type leaf struct{ path, value string }

// named is a list, by the names of its items.
type named struct {
	path  string
	names []string
}

// String writes the names as a list of words is written.
func (n named) String() string { return "[" + strings.Join(n.names, ", ") + "]" }

// shared are the names that another list has too.
func (n named) shared(other named) []string {
	return slices.DeleteFunc(slices.Clone(n.names), func(name string) bool { return !slices.Contains(other.names, name) })
}

func contentOf(spec *arbiterv1.GroupSpec) *content {
	c := &content{}
	c.add("", yamlOf(spec.ProtoReflect()))
	return c
}

func (c *content) find(path string) string {
	if i := slices.IndexFunc(c.leaves, func(one leaf) bool { return one.path == path }); i >= 0 {
		return c.leaves[i].value
	}
	return ""
}

func (c *content) add(path string, v yamlValue) {
	switch {
	case v.kind == list && !v.small():
		n := named{path, namesOf(v.list)}
		c.lists = append(c.lists, n)
		for i, item := range v.list {
			c.add(fmt.Sprintf("%s[%s]", path, n.names[i]), item)
		}
	case v.kind == mapping && len(v.pairs) > 0:
		for _, p := range v.pairs {
			c.add(childPath(path, p.key), p.value)
		}
	case path != "":
		c.leaves = append(c.leaves, leaf{path, v.flow()})
	}
}

// namesOf names the items of a list: those of one name are counted, "fence_apc" and "fence_apc 2"; those without are known by their place.
func namesOf(items []yamlValue) []string {
	names, count := make([]string, len(items)), map[string]int{}
	for i, item := range items {
		name := nameOf(item)
		if name == "" {
			names[i] = fmt.Sprint(i)
			continue
		}
		if count[name]++; count[name] > 1 {
			name = fmt.Sprintf("%s %d", name, count[name])
		}
		names[i] = name
	}
	return names
}

func nameOf(item yamlValue) string {
	if item.kind == list && len(item.list) > 0 {
		return nameOf(item.list[0])
	}
	for _, key := range []string{"name", "device"} {
		if i := slices.IndexFunc(item.pairs, func(p yamlPair) bool { return p.key == key && p.value.kind == scalar }); i >= 0 {
			return item.pairs[i].value.word
		}
	}
	return ""
}
