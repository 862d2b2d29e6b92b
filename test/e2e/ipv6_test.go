package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
)

// Everybody calls everybody by IPv6 addresses alone: arbiters, members, standbys their primary, fence and router.
func TestIPv6_PrimaryCrash(t *testing.T) {
	full(t)
	if os.Geteuid() != 0 {
		t.Skip("needs network namespaces, and so root")
	}
	s := enter(t, plan{own: true, options: lab.Options{IPv6: true}})
	file, err := os.ReadFile(s.Arbiters[0].Config())
	s.must(err)
	for _, name := range []string{lab.ArbiterName(1), lab.ArbiterName(2)} {
		if h := s.Site.Host(name); !h.Addr().Is6() || !strings.Contains(string(file), h.Addr().String()) {
			t.Fatalf("%s is not called by an IPv6 address: %s", name, file)
		}
	}
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.mustBeOff(s.primary)
	server, err := s.Proxy.Command(s.ctx, "show servers state "+lab.Backend)
	s.must(err)
	if !strings.Contains(server, to.Host().Addr().String()) {
		t.Errorf("HAProxy's servers: %s", server)
	}
}
