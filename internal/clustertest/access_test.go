package clustertest

import (
	"testing"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func TestAccess_ByRoleVerbAndGroup(t *testing.T) {
	c := startProtecting(t)
	leader := c.leader()
	read := func(api arbiterv1.ArbiterServiceClient, group string) error {
		_, err := api.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{Group: group})
		return err
	}
	pause := func(api arbiterv1.ArbiterServiceClient, group string) error {
		_, err := api.Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change(""), Group: group})
		return err
	}
	apply := func(api arbiterv1.ArbiterServiceClient, group string) error {
		_, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: writtenSpec(group), DryRun: true})
		return err
	}
	watch := func(api arbiterv1.ArbiterServiceClient, group string) error {
		stream, err := api.WatchEvents(t.Context(), &arbiterv1.WatchEventsRequest{Group: group})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	resume := func(api arbiterv1.ArbiterServiceClient, group string) error {
		_, err := api.Resume(t.Context(), &arbiterv1.ResumeRequest{Change: c.change(""), Group: group})
		return err
	}
	operator, viewer := pki.Request{Role: pki.RoleOperator, Name: "op"}, pki.Request{Role: pki.RoleViewer, Name: "eve"}
	ofShop := pki.Request{Role: pki.RoleOperator, Name: "shop-op", Groups: []string{"shop"}}
	ofPay := pki.Request{Role: pki.RoleOperator, Name: "pay-op", Groups: []string{"pay"}}
	onlyReads := pki.Request{Role: pki.RoleOperator, Name: "robot", Verbs: []string{"getstatus"}}
	tests := []struct {
		name  string
		who   pki.Request
		do    func(arbiterv1.ArbiterServiceClient, string) error
		group string
		want  codes.Code
	}{
		{"operator reads", operator, read, "pay", codes.OK},
		{"operator pauses", operator, pause, "pay", codes.OK},
		{"viewer reads", viewer, read, "pay", codes.OK},
		{"viewer reads all", viewer, read, "", codes.OK},
		{"viewer watches", viewer, watch, "", codes.OK},
		{"viewer pauses", viewer, pause, "pay", codes.PermissionDenied},
		{"viewer applies, dry", viewer, apply, "pay", codes.PermissionDenied},
		{"arbiter reads", pki.Request{Role: pki.RoleArbiter, Name: "az-a"}, read, "pay", codes.OK},
		{"arbiter pauses", pki.Request{Role: pki.RoleArbiter, Name: "az-a"}, pause, "pay", codes.PermissionDenied},
		{"agent reads", pki.Request{Role: pki.RoleAgent, Name: "db1"}, read, "pay", codes.PermissionDenied},
		{"limited, own group read", ofPay, read, "pay", codes.OK},
		{"limited, own group resumed", ofPay, resume, "pay", codes.OK},
		{"limited, own group applied", ofPay, apply, "pay", codes.OK},
		{"limited, other group read", ofShop, read, "pay", codes.PermissionDenied},
		{"limited, other group paused", ofShop, pause, "pay", codes.PermissionDenied},
		{"limited, other group applied", ofShop, apply, "pay", codes.PermissionDenied},
		{"limited, other group watched", ofShop, watch, "pay", codes.PermissionDenied},
		{"limited, all groups read", ofPay, read, "", codes.PermissionDenied},
		{"limited, all groups watched", ofPay, watch, "", codes.PermissionDenied},
		{"limited verbs, given one", onlyReads, read, "pay", codes.OK},
		{"limited verbs, another", onlyReads, pause, "pay", codes.PermissionDenied},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.do(c.apiAs(leader, test.who), test.group); status.Code(err) != test.want {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestAccess_ToTheArbitersOwnService(t *testing.T) {
	c := startCluster(t)
	leader := c.leader()
	for _, role := range []pki.Role{pki.RoleOperator, pki.RoleViewer, pki.RoleAgent} {
		peers := arbiterv1.NewArbiterPeerServiceClient(c.dial(leader, c.certificate(pki.Request{Role: role, Name: "someone"})))
		if _, err := peers.GetBootstrapStatus(t.Context(), &arbiterv1.GetBootstrapStatusRequest{}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s asks how far the cluster is: %v", role, err)
		}
		stream, err := peers.StreamViews(t.Context())
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s opens a view stream: %v", role, err)
		}
	}
	// One arbiter may not speak for another.
	peers := arbiterv1.NewArbiterPeerServiceClient(c.dial(leader, c.certificate(pki.Request{Role: pki.RoleArbiter, Name: "az-x"})))
	stream, err := peers.StreamViews(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batch := &arbiterv1.StreamViewsRequest{Batch: &arbiterv1.Batch{Node: string(c.follower()), Incarnation: 1, Sequence: 1, Whole: true, Version: 1}}
	if err := stream.Send(batch); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("az-x sends the view of another: %v", err)
	}
}

// Whoever has a certificate of the cluster may ask whether an arbiter is healthy, whatever groups it is limited to: load
// balancers and probes have such certificates.
func TestAccess_HealthIsOpenToTheLimited(t *testing.T) {
	c := startCluster(t)
	limited := c.certificate(pki.Request{Role: pki.RoleOperator, Name: "shop-op", Groups: []string{"shop"}})
	answer, err := healthv1.NewHealthClient(c.dial(c.leader(), limited)).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", answer.GetStatus(), err)
	}
}

func TestAccess_AnotherClustersCertificate(t *testing.T) {
	c := startCluster(t)
	leader := c.leader()
	strangers, err := pki.NewAuthority("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []pki.Role{pki.RoleOperator, pki.RoleArbiter} {
		stranger := certificateOf(t, strangers, pki.Request{Role: role, Name: string(c.follower())})
		connection := c.dial(leader, stranger)
		if _, err := arbiterv1.NewArbiterServiceClient(connection).GetStatus(t.Context(), &arbiterv1.GetStatusRequest{}); status.Code(err) != codes.Unavailable {
			t.Errorf("a strange %s reads: %v", role, err)
		}
		if _, err := arbiterv1.NewArbiterPeerServiceClient(connection).GetBootstrapStatus(t.Context(), &arbiterv1.GetBootstrapStatusRequest{}); status.Code(err) != codes.Unavailable {
			t.Errorf("a strange %s asks as a peer: %v", role, err)
		}
	}
	if _, err := arbiterv1.NewArbiterServiceClient(c.dial(leader, nil)).GetStatus(t.Context(), &arbiterv1.GetStatusRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("plaintext: %v", err)
	}
}
