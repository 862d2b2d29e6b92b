package arbiter

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// access is what a verb needs.
type access int

const (
	accessRead   access = iota // any role of this cluster but agents
	accessChange               // operators
	accessPeer                 // arbiters
	accessOpen                 // everybody with a certificate of this cluster
)

// verbs lists every method of every service that is served: one that is not here is refused, so that a new method can't be
// forgotten. The key is the method's full name, the verb is what a certificate's limit names.
func verbs() map[string]verb {
	own := "/" + arbiterv1.ArbiterService_ServiceDesc.ServiceName + "/"
	peers := "/" + arbiterv1.ArbiterPeerService_ServiceDesc.ServiceName + "/"
	table := map[string]verb{
		"/grpc.health.v1.Health/Check":                                   {"health", accessOpen},
		"/grpc.health.v1.Health/Watch":                                   {"health", accessOpen},
		"/grpc.health.v1.Health/List":                                    {"health", accessOpen},
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {"reflection", accessOpen},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {"reflection", accessOpen},
	}
	reads := []string{"GetStatus", "Explain", "GetEpochs", "ListOperations", "GetOperation", "ListAttestations", "WatchEvents", "ListArbiters", "GetGroup", "DiffGroup", "CheckGroup"}
	changes := []string{"Failover", "Abort", "Reinstate", "Release", "Attest", "Pause", "Resume", "Adopt", "ApplyGroup", "DeleteGroup", "TransferLeadership"}
	// CheckSpec changes nothing, but sends this cluster's secrets, and runs programs, where its caller says.
	changes = append(changes, "CheckSpec")
	for _, name := range reads {
		table[own+name] = verb{strings.ToLower(name), accessRead}
	}
	for _, name := range changes {
		table[own+name] = verb{strings.ToLower(name), accessChange}
	}
	for _, name := range []string{"StreamViews", "GetBootstrapStatus", "DescribeArbiter", "Inspect"} {
		table[peers+name] = verb{strings.ToLower(name), accessPeer}
	}
	return table
}

type verb struct {
	name   string
	access access
}

// authorizer decides who may call what: identity, verb and group, from the caller's certificate. It is the only place that does.
type authorizer struct {
	insecure bool // no TLS: everybody may do everything; status says so
	verbs    map[string]verb
}

type identityKey struct{}

// identityOf returns who calls.
func identityOf(ctx context.Context) pki.Identity {
	identity, _ := ctx.Value(identityKey{}).(pki.Identity)
	return identity
}

// actorOf names the caller in records.
func actorOf(ctx context.Context) string {
	if name := identityOf(ctx).Name; name != "" {
		return name
	}
	return "unauthenticated"
}

// allow checks the call itself; a group limit is checked once the request is read (allowGroup).
func (a authorizer) allow(ctx context.Context, method string) (context.Context, error) {
	v, known := a.verbs[method]
	if !known {
		return nil, status.Errorf(codes.Unimplemented, "%s is not served here", method)
	}
	if a.insecure {
		return context.WithValue(ctx, identityKey{}, pki.Identity{Role: pki.RoleOperator}), nil
	}
	identity, err := peerIdentity(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	if err := allowVerb(identity, v); err != nil {
		return nil, err
	}
	return context.WithValue(ctx, identityKey{}, identity), nil
}

// allowVerb says whether a certificate allows a verb and, if not, what of it is in the way: its role, or its limit to some verbs.
func allowVerb(identity pki.Identity, v verb) error {
	if !permits(identity.Role, v.access) {
		roles := slices.DeleteFunc(pki.Roles(), func(role pki.Role) bool { return !permits(role, v.access) })
		return status.Errorf(codes.PermissionDenied, "%s %s may not %s; that needs the role %s", identity.Role, identity.Name, v.name, joinRoles(roles))
	}
	if len(identity.Verbs) > 0 && !slices.Contains(identity.Verbs, v.name) {
		return status.Errorf(codes.PermissionDenied, "%s %s may not %s; the certificate is limited to these verbs: %s",
			identity.Role, identity.Name, v.name, strings.Join(identity.Verbs, ", "))
	}
	return nil
}

func joinRoles(roles []pki.Role) string {
	words := make([]string, len(roles))
	for i, role := range roles {
		words[i] = string(role)
	}
	return strings.Join(words, " or ")
}

func permits(role pki.Role, needed access) bool {
	switch needed {
	case accessOpen:
		return true
	case accessRead:
		return role == pki.RoleViewer || role == pki.RoleOperator || role == pki.RoleArbiter
	case accessChange:
		return role == pki.RoleOperator
	case accessPeer:
		return role == pki.RoleArbiter
	}
	return false
}

// aboutGroups says whether a method tells or changes anything about groups: health and reflection don't.
func (a authorizer) aboutGroups(method string) bool { return a.verbs[method].access != accessOpen }

// allowGroup keeps a certificate that is limited to some groups away from the others, and from calls about all of them.
func allowGroup(ctx context.Context, request any) error {
	identity := identityOf(ctx)
	if len(identity.Groups) == 0 {
		return nil
	}
	group := ""
	switch r := request.(type) {
	case interface{ GetGroup() string }:
		group = r.GetGroup()
	case interface{ GetSpec() *arbiterv1.GroupSpec }:
		group = r.GetSpec().GetGroup()
	}
	if slices.Contains(identity.Groups, group) {
		return nil
	}
	about := "ask about all groups at once"
	if group != "" {
		about = "touch " + group
	}
	return status.Errorf(codes.PermissionDenied, "%s %s may not %s; the certificate is limited to these groups, to be named one at a time: %s",
		identity.Role, identity.Name, about, strings.Join(identity.Groups, ", "))
}

func peerIdentity(ctx context.Context) (pki.Identity, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return pki.Identity{}, pki.ErrUntrusted
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return pki.Identity{}, pki.ErrUntrusted
	}
	return pki.PeerIdentity(info.State)
}

func (a authorizer) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := a.allow(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if a.aboutGroups(info.FullMethod) {
		if err := allowGroup(ctx, request); err != nil {
			return nil, err
		}
	}
	return next(ctx, request)
}

func (a authorizer) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := a.allow(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return next(server, &identifiedStream{ServerStream: stream, ctx: ctx, aboutGroups: a.aboutGroups(info.FullMethod)})
}

// identifiedStream carries the caller's identity, and checks the group of what it receives.
type identifiedStream struct {
	grpc.ServerStream
	ctx         context.Context
	aboutGroups bool
}

func (s *identifiedStream) Context() context.Context { return s.ctx }

func (s *identifiedStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	if !s.aboutGroups {
		return nil
	}
	return allowGroup(s.ctx, message)
}
