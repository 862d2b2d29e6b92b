package clustertest

import (
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Before the certificates of an arbiter end, whoever asks about arbiters or checks a group is told. Only one that was asked can tell.
func TestCertificates_AnEndIsToldBeforeItComes(t *testing.T) {
	const ending, soon = failover.NodeID("az-b"), 20 * time.Minute
	c := newCluster(t, true)
	c.validFor = map[failover.NodeID]time.Duration{ending: soon} // the last third of a life that began an hour ago
	c.startAll()
	c.applyAndAdopt("pay")
	leader := c.leader()
	api := c.api(leader)

	list, err := api.ListArbiters(t.Context(), &arbiterv1.ListArbitersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	asked, err := api.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{AskArbiters: true})
	if err != nil {
		t.Fatal(err)
	}
	for what, arbiters := range map[string][]*arbiterv1.ArbiterStatus{"arbiters": list.GetArbiters(), "status that asks": asked.GetArbiters()} {
		for _, a := range arbiters {
			certificates, valid := a.GetCertificates(), pki.DefaultValidity
			if a.GetNode() == string(ending) {
				valid = soon
			}
			if left := time.Until(certificates.GetUntil().AsTime()); left > valid || left < valid-time.Hour {
				t.Errorf("%s: that of %s is valid for %v more, want %v", what, a.GetNode(), left, valid)
			}
			if left := time.Until(certificates.GetAuthorityUntil().AsTime()); left > pki.AuthorityValidity || left < pki.AuthorityValidity-time.Hour {
				t.Errorf("%s: the authority of %s is valid for %v more", what, a.GetNode(), left)
			}
			if told := strings.Contains(certificates.GetConcern(), "issue a new one"); told != (a.GetNode() == string(ending)) {
				t.Errorf("%s: of %s it says %q", what, a.GetNode(), certificates.GetConcern())
			}
		}
	}
	quick, err := api.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range quick.GetArbiters() {
		if known := a.GetCertificates() != nil; known != (a.GetNode() == string(leader)) {
			t.Errorf("a status that asks nobody says of %s: %v", a.GetNode(), a.GetCertificates())
		}
	}
	for _, check := range c.check(leader, linearizable, patience).GetArbiters() {
		got := strings.Join(found(check.GetFindings()), "\n")
		if told := strings.HasPrefix(got, "ADVICE certificate : its certificate "); told != (check.GetNode() == string(ending)) {
			t.Errorf("%s found %q", check.GetNode(), got)
		}
	}
}
