package arbiter

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// A method that is served and not listed would be refused to everybody; one that is listed and not served is a mistake too.
func TestVerbs_ListExactlyWhatIsServed(t *testing.T) {
	n, err := New(Options{Node: "az-a", Peers: threeArbiters, Insecure: true, Timing: lan(), Clock: clock.System(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.server.grpc.Stop()
	listed, served := verbs(), map[string]bool{}
	for service, info := range n.server.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			name := "/" + service + "/" + m.Name
			served[name] = true
			if _, ok := listed[name]; !ok {
				t.Errorf("%s is served, and no verb says who may call it", name)
			}
		}
	}
	for name := range listed {
		if !served[name] {
			t.Errorf("%s has a verb and is not served", name)
		}
	}
	if len(served) < 20 {
		t.Errorf("only %d methods are served", len(served))
	}
}

func TestPermits(t *testing.T) {
	tests := map[pki.Role]map[access]bool{
		pki.RoleViewer:   {accessRead: true, accessChange: false, accessPeer: false, accessOpen: true},
		pki.RoleOperator: {accessRead: true, accessChange: true, accessPeer: false, accessOpen: true},
		pki.RoleArbiter:  {accessRead: true, accessChange: false, accessPeer: true, accessOpen: true},
		pki.RoleAgent:    {accessRead: false, accessChange: false, accessPeer: false, accessOpen: true},
	}
	for _, role := range pki.Roles() {
		for needed, want := range tests[role] {
			if got := permits(role, needed); got != want {
				t.Errorf("permits(%s, %d) = %t", role, needed, got)
			}
		}
		if len(tests[role]) == 0 {
			t.Errorf("nothing is known of %s", role)
		}
		if permits(role, accessOpen+1) {
			t.Errorf("%s may do what no rule knows", role)
		}
	}
}

func TestAuthorizer_RefusesUnknownMethods(t *testing.T) {
	for _, insecure := range []bool{true, false} {
		a := authorizer{insecure: insecure, verbs: verbs()}
		if _, err := a.allow(t.Context(), "/arbiter.v1.ArbiterService/Forgotten"); err == nil {
			t.Errorf("insecure %t: a method without a verb is allowed", insecure)
		}
	}
	// With certificates wanted, a call without any is nobody's.
	if _, err := (authorizer{verbs: verbs()}).allow(t.Context(), "/grpc.health.v1.Health/Check"); err == nil {
		t.Error("a call without a certificate is allowed")
	}
}

// Who is refused learns what of the certificate is in the way: another role doesn't help against a limit.
func TestRefusalsNameWhatIsInTheWay(t *testing.T) {
	limited := pki.Identity{Role: pki.RoleOperator, Name: "dana", Verbs: []string{"getstatus", "explain"}, Groups: []string{"orders", "pay"}}
	in := context.WithValue(t.Context(), identityKey{}, limited)
	pause := verb{"pause", accessChange}
	for want, err := range map[string]error{
		"viewer eve may not pause; that needs the role operator":                                                                                 allowVerb(pki.Identity{Role: pki.RoleViewer, Name: "eve"}, pause),
		"operator dana may not pause; the certificate is limited to these verbs: getstatus, explain":                                             allowVerb(limited, pause),
		"operator dana may not touch billing; the certificate is limited to these groups, to be named one at a time: orders, pay":                allowGroup(in, &arbiterv1.ExplainRequest{Group: "billing"}),
		"operator dana may not ask about all groups at once; the certificate is limited to these groups, to be named one at a time: orders, pay": allowGroup(in, &arbiterv1.GetStatusRequest{}),
	} {
		if got := status.Convert(err); got.Code() != codes.PermissionDenied || got.Message() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := errors.Join(allowVerb(limited, verb{"explain", accessRead}), allowGroup(in, &arbiterv1.ExplainRequest{Group: "pay"})); err != nil {
		t.Error(err)
	}
}
