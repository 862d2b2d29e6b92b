package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// promoter is what both engines do.
type promoter interface {
	Promote(ctx context.Context, a failover.Action) failover.Outcome
}

// An action whose password or certificates are on a file system that hangs ends with its time, and says which file it waited for.
func TestAFileThatIsNeverReadHoldsUpNoAction(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	secrets := &secret.Reader{Open: func(string) (secret.File, error) {
		<-never
		return secret.File{}, nil
	}}
	for path, connect := range map[string]failover.Connect{
		"/hung/password": {SSLMode: "disable", Password: failover.Setting{File: "/hung/password"}},
		"/hung/ca":       {SSLMode: "verify-full", SSLRoot: "/hung/ca"},
		"/hung/cert":     {SSLMode: "verify-full", SSLCert: "/hung/cert", SSLKey: "/hung/key"},
	} {
		spec := &failover.Spec{Connect: connect, Members: []failover.MemberSpec{{Name: "a", Address: "127.0.0.1:1"}}}
		for name, engine := range map[string]promoter{"postgres": NewPostgres(secrets), "http": NewHTTP(secrets)} {
			o := engine.Promote(limit(t, 20*time.Millisecond), failover.Action{Member: "a", Epoch: 5, Spec: spec})
			if o.Result != failover.ResultFailed || !strings.Contains(o.Detail, path) || !strings.Contains(o.Detail, secret.ErrNotInTime.Error()) {
				t.Errorf("%s, %s: %+v", name, path, o)
			}
		}
	}
}
