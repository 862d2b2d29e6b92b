package config

import "slices"

// object reads a mapping key by key; end reports the keys that nobody asked for.
type object struct {
	*document
	node  *node
	known []string
}

func (d *document) object(n *node) *object {
	if n.kind != mapping && !n.broken {
		d.fault(n, "want a mapping (key: value), not %s", n.says())
	}
	return &object{document: d, node: n}
}

// get returns the value of a key, or nil if the key isn't there or has no value (a fault).
func (o *object) get(key string) *node {
	o.known = append(o.known, key)
	for _, e := range o.node.entries {
		if e.key != key {
			continue
		}
		if e.value.broken {
			return nil
		}
		if e.value.kind == nothing {
			o.fault(e.value, "has no value; leave the key out for the default")
			return nil
		}
		return e.value
	}
	return nil
}

// text reads a word.
func (o *object) text(key string, into *string) {
	if n := o.get(key); n != nil {
		if n.kind != scalar {
			o.fault(n, "want one word, not %s", n.says())
			return
		}
		*into = n.text
	}
}

// truth reads true or false.
func (o *object) truth(key string, into *bool) {
	if n := o.get(key); n != nil {
		if n.kind != scalar || n.quoted || n.text != "true" && n.text != "false" {
			o.fault(n, "want true or false, not %s", n.says())
			return
		}
		*into = n.text == "true"
	}
}

// texts reads a list of words.
func (o *object) texts(key string, into *[]string) {
	n := o.get(key)
	if n == nil {
		return
	}
	if n.kind != list {
		o.fault(n, "want a list (- item, or [item, item]), not %s", n.says())
		return
	}
	for _, item := range n.items {
		if item.broken {
			continue
		}
		if item.kind != scalar {
			o.fault(item, "want one word, not %s", item.says())
			continue
		}
		*into = append(*into, item.text)
	}
}

// inner reads a mapping under a key; read isn't called if it isn't there.
func (o *object) inner(key string, read func(*object)) {
	if n := o.get(key); n != nil {
		child := o.object(n)
		read(child)
		child.end()
	}
}

// each reads a mapping whose keys are names, in the order of the file.
func (o *object) each(key string, read func(name string, child *object)) {
	n := o.get(key)
	if n == nil {
		return
	}
	if n.kind != mapping {
		o.fault(n, "want a mapping (name: ...), not %s", n.says())
		return
	}
	for _, e := range n.entries {
		child := o.object(e.value)
		read(e.key, child)
		child.end()
	}
}

// end reports unknown keys.
func (o *object) end() {
	for _, e := range o.node.entries {
		if !slices.Contains(o.known, e.key) {
			o.faults = append(o.faults, Fault{Line: e.line, Path: o.node.path, Message: unknownKey(e.key, o.known)})
		}
	}
}
