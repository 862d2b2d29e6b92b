package arbiter

import (
	"context"
	"fmt"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// apiServer is the gRPC port: the API, the arbiters' own service, health and reflection, behind one authorizer.
type apiServer struct {
	grpc   *grpc.Server
	health *health.Server
	node   *Node
	// serving is closed when the node has started: until then only the bootstrap calls and health are answered.
	serving chan struct{}
}

func newAPIServer(n *Node) (*apiServer, error) {
	rules, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("read the field rules of the API: %w", err)
	}
	s := &apiServer{node: n, health: health.NewServer(), serving: make(chan struct{})}
	guard := authorizer{insecure: n.options.TLS == nil, verbs: verbs()}
	check := validator{rules: rules}
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(guard.unary, s.awaitServing, check.unary),
		grpc.ChainStreamInterceptor(guard.stream, s.awaitServingStream, check.stream),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepAliveTime, Timeout: keepAliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepAliveTime, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(arbiterv1.MaxMessageBytes),
	}
	if n.options.TLS != nil {
		secure := credentials.NewTLS(n.options.TLS.Server(pki.Peer{Roles: pki.Roles()}))
		options = append(options, grpc.Creds(notedCredentials{TransportCredentials: secure, accepted: n.tellRefused}))
	}
	s.grpc = grpc.NewServer(options...)
	arbiterv1.RegisterArbiterServiceServer(s.grpc, &service{node: n})
	arbiterv1.RegisterArbiterPeerServiceServer(s.grpc, &peerService{node: n})
	healthv1.RegisterHealthServer(s.grpc, s.health)
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	reflection.Register(s.grpc)
	return s, nil
}

// stopLimit is how long calls in progress may take to end when the node drains.
const stopLimit = time.Second

func (s *apiServer) run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.grpc.Serve(s.node.options.GRPC) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve gRPC on %s: %w", s.node.options.GRPC.Addr(), err)
	case <-ctx.Done():
	}
	s.stop()
	<-ended
	return context.Cause(ctx)
}

// stop lets calls in progress end, for a while; watchers never end by themselves.
func (s *apiServer) stop() {
	s.health.Shutdown()
	gone := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(stopLimit):
		s.grpc.Stop()
		<-gone
	}
}

// ready opens the API.
func (s *apiServer) ready(*Node) {
	close(s.serving)
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	s.health.SetServingStatus(arbiterv1.ArbiterService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
}

func (s *apiServer) awaitServing(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := s.mayServe(info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (s *apiServer) awaitServingStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := s.mayServe(info.FullMethod); err != nil {
		return err
	}
	return next(server, stream)
}
