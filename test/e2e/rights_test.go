package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// method is one of the API, and which roles may call it.
type method struct {
	path string // as gRPC has it
	may  []pki.Role
}

// namesItsSender is refused also to an arbiter, if it says that it is another one: an empty request does.
const namesItsSender = "/arbiter.v1.ArbiterPeerService/StreamViews"

// methods walks the API's own description, so that a verb which is added is asked about too: what takes a change is for operators, what
// arbiters tell each other is for them, and the rest is for whoever may look.
func methods() []method {
	var list []method
	services := arbiterv1.File_arbiter_v1_api_proto.Services()
	for i := range services.Len() {
		service := services.Get(i)
		for j := range service.Methods().Len() {
			m := service.Methods().Get(j)
			one := method{path: "/" + string(service.FullName()) + "/" + string(m.Name()), may: []pki.Role{pki.RoleViewer, pki.RoleOperator, pki.RoleArbiter}}
			switch {
			case service.Name() == "ArbiterPeerService":
				one.may = []pki.Role{pki.RoleArbiter}
			case changes(m):
				one.may = []pki.Role{pki.RoleOperator}
			}
			list = append(list, one)
		}
	}
	return list
}

// changes says whether a method is for those who may change something. CheckSpec changes nothing, but sends this cluster's secrets where
// its caller says.
func changes(m protoreflect.MethodDescriptor) bool {
	return m.Input().Fields().ByName("change") != nil || m.Name() == "CheckSpec"
}

// A client is refused on every verb that its certificate's role, or the limits in it, don't have, by every arbiter; what it has it may
// call. Nobody else's certificate is any good.
func TestScenario53_WithoutTheRight(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	const read = "GetStatus"
	for _, c := range []struct {
		request pki.Request
		may     func(method) bool
	}{
		{pki.Request{Role: pki.RoleViewer, Name: "looks"}, func(m method) bool { return slices.Contains(m.may, pki.RoleViewer) }},
		{pki.Request{Role: pki.RoleOperator, Name: "acts"}, func(m method) bool { return slices.Contains(m.may, pki.RoleOperator) }},
		{pki.Request{Role: pki.RoleArbiter, Name: "az-x"}, func(m method) bool { return slices.Contains(m.may, pki.RoleArbiter) }},
		{pki.Request{Role: pki.RoleAgent, Name: "guards"}, func(method) bool { return false }},
		{pki.Request{Role: pki.RoleOperator, Name: "verb", Verbs: []string{strings.ToLower(read)}}, func(m method) bool { return strings.HasSuffix(m.path, "/"+read) }},
		// An empty request is about all groups.
		{pki.Request{Role: pki.RoleOperator, Name: "group", Groups: []string{"another"}}, func(method) bool { return false }},
	} {
		t.Run(string(c.request.Role)+" "+c.request.Name, func(t *testing.T) {
			config := s.certificate(t, c.request)
			for _, a := range s.Arbiters {
				connection := s.dial(t, a, config)
				for _, m := range methods() {
					if m.path == namesItsSender && c.may(m) {
						continue
					}
					code := call(s.ctx, connection, m.path)
					right := code != codes.PermissionDenied && code != codes.Unimplemented && code != codes.Unavailable
					if !c.may(m) {
						right = code == codes.PermissionDenied
					}
					if !right {
						t.Errorf("%s on %s: %v", m.path, a.Name(), code)
					}
				}
			}
		})
	}
	s.servedServices()
	s.strangers()
	s.nothingDone()
}

// servedServices asserts that an arbiter serves nothing that methods does not know, but health and reflection.
func (s *stage) servedServices() {
	s.t.Helper()
	connection := s.dial(s.t, s.Arbiters[0], s.certificate(s.t, pki.Request{Role: pki.RoleViewer, Name: "asks"}))
	stream, err := reflection.NewServerReflectionClient(connection).ServerReflectionInfo(s.ctx)
	s.must(err)
	s.must(stream.Send(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}}))
	answer, err := stream.Recv()
	s.must(err)
	var served []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		served = append(served, service.GetName())
	}
	slices.Sort(served)
	want := []string{
		"arbiter.v1.ArbiterPeerService", "arbiter.v1.ArbiterService", "grpc.health.v1.Health",
		"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
	}
	if !slices.Equal(served, want) {
		s.t.Errorf("services %q, want %q", served, want)
	}
}

// strangers asserts that somebody without a certificate, and an operator of another authority, get no answer at all.
func (s *stage) strangers() {
	s.t.Helper()
	authority, err := pki.NewAuthority(lab.Cluster)
	s.must(err)
	forged, err := authority.Issue(pki.Request{Role: pki.RoleOperator, Name: "operator"})
	s.must(err)
	pair, err := tls.X509KeyPair(forged.Certificate, forged.Key)
	s.must(err)
	for who, config := range map[string]*tls.Config{
		"nobody":   {InsecureSkipVerify: true},
		"a forger": {InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}},
	} {
		if code := call(s.ctx, s.dial(s.t, s.Arbiters[0], config), methods()[0].path); code != codes.Unavailable {
			s.t.Errorf("%s gets %v", who, code)
		}
	}
}

// certificate issues one of the cluster.
func (s *stage) certificate(t *testing.T, request pki.Request) *tls.Config {
	t.Helper()
	authority, err := pki.LoadAuthority(filepath.Join(s.Site.Dir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.IssueTo(t.TempDir(), request, false)
	if err != nil {
		t.Fatal(err)
	}
	config, err := client.TLSFromFiles(files.Authorities, files.Certificate, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// dial is a connection from the client's host to one arbiter. It ends with the test.
func (s *stage) dial(t *testing.T, a *lab.Arbiter, config *tls.Config) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+a.Address(), grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return s.Site.Host(lab.ClientHost).Dial(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// callPatience is more than any answer takes.
const callPatience = 10 * time.Second

// call calls a method with an empty request and returns what becomes of it. Any method can be called as a stream.
func call(ctx context.Context, connection *grpc.ClientConn, path string) codes.Code {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, path)
	if err == nil {
		_ = errors.Join(stream.SendMsg(&emptypb.Empty{}), stream.CloseSend()) // why they fail is what is received
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	if errors.Is(err, io.EOF) {
		return codes.OK
	}
	return status.Code(err)
}
