package route

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
)

// silentNames asks a name server that never answers.
func silentNames(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// A name server that never answers is told apart from a router that doesn't, by the name: the name may be wrong.
func TestNamesThatAreNotResolvedAreNamed(t *testing.T) {
	silent := silentNames(t)
	for name, ask := range map[string]func(context.Context) error{
		"lb-1.example": func(ctx context.Context) error {
			_, err := endpoint{Endpoint: routesettings.Endpoint{Network: "tcp", Address: "lb-1.example:9999"}, resolver: silent}.exchange(ctx, []string{"show info"}, false)
			return err
		},
		"pg-a.example": func(ctx context.Context) error {
			h := &haproxy{backend: "orders", resolver: silent}
			_, err := h.readdress(ctx, failover.MemberSpec{Name: "pg-a", Address: "pg-a.example:5432"}, serverState{name: "pg-a"})
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := ask(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "the name "+name+" could not be resolved within ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
