package routesettings

import (
	"fmt"
	"maps"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The beginnings of settings of HAProxy that are about one member.
const (
	ServerPrefix  = "server."
	AddressPrefix = "address."
)

// MemberIn is the member that a setting is about, and the prefix that says what of it, if it is about one.
func MemberIn(key string) (prefix, member string, found bool) {
	for _, prefix := range []string{ServerPrefix, AddressPrefix} {
		if member, found := strings.CutPrefix(key, prefix); found {
			return prefix, member, true
		}
	}
	return "", "", false
}

func (c *checks) haproxy() {
	c.onlyKnown("socket", "backend", "addresses", ServerPrefix, AddressPrefix)
	c.required("socket", func(value string) error {
		_, err := ParseEndpoint(value)
		return err
	})
	c.required("backend", checkName)
	c.value("addresses", func(value string) error {
		if value != "" && value != "set" && value != "keep" {
			return fmt.Errorf("can be \"set\" or \"keep\", not %q", OneLine(value))
		}
		return nil
	})
	for _, key := range slices.Sorted(maps.Keys(c.Values)) {
		switch prefix, _, _ := MemberIn(key); prefix {
		case ServerPrefix:
			c.required(key, checkName)
		case AddressPrefix:
			c.required(key, checkAddress)
		}
	}
}

func (c *checks) command() {
	c.required("command", func(program string) error {
		if !path.IsAbs(program) { // of an arbiter's machine, wherever it is checked
			return fmt.Errorf("%q must be an absolute path, because arbiters don't search for it", OneLine(program))
		}
		return nil
	})
}

// haproxyName is what HAProxy allows in the names of backends and servers. It has nothing that ends a command.
var haproxyName = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

func checkName(value string) error {
	if !haproxyName.MatchString(value) {
		return fmt.Errorf("%q is no name in HAProxy: use letters, digits and . : _ -", OneLine(value))
	}
	return nil
}

func checkAddress(value string) error {
	host, port, err := net.SplitHostPort(value)
	if _, number := strconv.ParseUint(port, 10, 16); err != nil || host == "" || number != nil {
		return fmt.Errorf("%q is no host:port", OneLine(value))
	}
	return nil
}

// Endpoint is where a stats socket listens.
type Endpoint struct {
	Network string // "unix" or "tcp"
	Address string
}

// String writes an endpoint as a spec does.
func (e Endpoint) String() string { return e.Network + "://" + e.Address }

// ParseEndpoint reads unix:///path or tcp://host:port.
func ParseEndpoint(text string) (Endpoint, error) {
	network, address, found := strings.Cut(text, "://")
	switch {
	case found && network == "unix" && path.IsAbs(address):
		return Endpoint{Network: network, Address: address}, nil
	case found && network == "tcp":
		if host, port, err := net.SplitHostPort(address); err == nil && host != "" && port != "" {
			return Endpoint{Network: network, Address: address}, nil
		}
	}
	return Endpoint{}, fmt.Errorf("%q must be unix:///path or tcp://host:port, for example tcp://lb-1.internal:9999", OneLine(text))
}
