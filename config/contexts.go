package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/keys"
)

// Contexts is the file of arbiterctl: clusters of arbiters by name, and the one that is used when none is named.
type Contexts struct {
	Current  string
	Contexts []Context // sorted by name
}

// Context is one cluster of arbiters as its clients see it.
type Context struct {
	Name string
	// Addresses are the host:port of the gRPC of every arbiter.
	Addresses []string
	TLS       TLSFiles
	// InsecurePlaintext talks without TLS to arbiters that run without it.
	InsecurePlaintext bool
}

// Find returns the context of a name.
func (c *Contexts) Find(name string) (Context, bool) {
	i := slices.IndexFunc(c.Contexts, func(one Context) bool { return one.Name == name })
	if i < 0 {
		return Context{}, false
	}
	return c.Contexts[i], true
}

// Names are the names of all contexts, sorted.
func (c *Contexts) Names() []string {
	names := make([]string, len(c.Contexts))
	for i, one := range c.Contexts {
		names[i] = one.Name
	}
	return names
}

// Set adds a context or replaces the one of the same name.
func (c *Contexts) Set(context Context) {
	c.Remove(context.Name)
	c.Contexts = append(c.Contexts, context)
	slices.SortFunc(c.Contexts, func(a, b Context) int { return strings.Compare(a.Name, b.Name) })
}

// Remove forgets a context and says whether it was there.
func (c *Contexts) Remove(name string) bool {
	before := len(c.Contexts)
	c.Contexts = slices.DeleteFunc(c.Contexts, func(one Context) bool { return one.Name == name })
	return len(c.Contexts) < before
}

// ParseContexts reads a contexts file:
//
//	current: prod
//	contexts:
//	  prod:
//	    addresses: [az-a.internal:7401, az-b.internal:7401, az-c.internal:7401]
//	    tls: {ca: ca.crt, cert: dana.crt, key: dana.key}
func ParseContexts(file string, text []byte) (*Contexts, error) {
	root, doc := readDocument(file, text)
	source := &Source{File: file, lines: doc.lines}
	c := &Contexts{}
	if root != nil {
		o := doc.object(root)
		o.text("current", &c.Current)
		o.each("contexts", func(name string, one *object) {
			context := Context{Name: name}
			one.texts("addresses", &context.Addresses)
			one.inner("tls", func(tls *object) { readTLSFiles(tls, &context.TLS) })
			one.truth("insecure_plaintext", &context.InsecurePlaintext)
			c.Set(context)
		})
		o.end()
	}
	if len(doc.faults) == 0 {
		doc.faults = append(doc.faults, c.faults()...)
	}
	if len(doc.faults) > 0 {
		return nil, source.Locate(doc.faults)
	}
	return c, nil
}

func (c *Contexts) faults() []Fault {
	var faults []Fault
	if _, found := c.Find(c.Current); c.Current != "" && !found {
		faults = append(faults, Fault{Path: "current", Message: fmt.Sprintf("there is no context %q; there are %s", c.Current, joinWords(c.Names()))})
	}
	for _, one := range c.Contexts {
		if why := keys.NameFault(one.Name); why != "" {
			faults = append(faults, Fault{Path: "contexts", Message: why})
		}
		faults = append(faults, one.Faults("contexts."+one.Name)...)
	}
	return faults
}

// FlagFaults is Faults in the words of somebody who gave the context by the flags of arbiterctl.
func (c Context) FlagFaults() Faults {
	faults := c.Faults("")
	for i := range faults {
		switch key, _, _ := strings.Cut(faults[i].Path, "["); key {
		case "addresses":
			faults[i].Path = "--address"
		case "tls":
			faults[i].Path = "--ca, --cert, --key"
		case "insecure_plaintext":
			faults[i] = Fault{Path: "--ca, --cert, --key", Message: "the context is without TLS; leave them out, or change it: arbiterctl contexts set"}
		}
	}
	return faults
}

// Faults says what is wrong with a context; path is put before the keys.
func (c Context) Faults(path string) []Fault {
	var faults []Fault
	if len(c.Addresses) == 0 {
		faults = append(faults, Fault{Path: childPath(path, "addresses"), Message: "is missing; name the host:port of every arbiter"})
	}
	for i, address := range c.Addresses {
		if why := addressFault(address, grpcExample); why != "" {
			faults = append(faults, Fault{Path: fmt.Sprintf("%s[%d]", childPath(path, "addresses"), i), Message: why})
		}
	}
	switch {
	case c.InsecurePlaintext && !c.TLS.Empty():
		faults = append(faults, Fault{Path: childPath(path, "insecure_plaintext"), Message: "can't be true beside tls; leave one of them out"})
	case !c.InsecurePlaintext && (c.TLS.CA == "" || c.TLS.Cert == "" || c.TLS.Key == ""):
		faults = append(faults, Fault{Path: childPath(path, "tls"), Message: "all three of ca, cert and key are needed (`arbiterctl pki issue` makes them)"})
	}
	return faults
}

// FormatContexts writes a contexts file that ParseContexts reads back.
func FormatContexts(c *Contexts) []byte {
	root := yamlValue{kind: mapping}
	if c.Current != "" {
		root.pairs = append(root.pairs, yamlPair{"current", word(quoted(c.Current))})
	}
	all := yamlValue{kind: mapping}
	for _, one := range c.Contexts {
		addresses := yamlValue{kind: list}
		for _, address := range one.Addresses {
			addresses.list = append(addresses.list, word(quoted(address)))
		}
		value := yamlValue{kind: mapping, pairs: []yamlPair{{"addresses", addresses}}}
		if one.InsecurePlaintext {
			value.pairs = append(value.pairs, yamlPair{"insecure_plaintext", word("true")})
		} else {
			value.pairs = append(value.pairs, yamlPair{"tls", yamlValue{kind: mapping, pairs: []yamlPair{
				{"ca", word(quoted(one.TLS.CA))}, {"cert", word(quoted(one.TLS.Cert))}, {"key", word(quoted(one.TLS.Key))},
			}}})
		}
		all.pairs = append(all.pairs, yamlPair{quotedKey(one.Name), value})
	}
	if len(all.pairs) > 0 {
		root.pairs = append(root.pairs, yamlPair{"contexts", all})
	}
	var b strings.Builder
	writeBlock(&b, root, "")
	return []byte(b.String())
}
