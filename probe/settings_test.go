package probe

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// A password that comes late leaves the member no time: that it doesn't answer in what is left says nothing of it.
func TestASlowFileSystemIsNoSilentMember(t *testing.T) {
	c := fastCheck()
	slow := &secret.Reader{Open: func(string) (secret.File, error) {
		time.Sleep(c.Timeout * 9 / 10)
		return secret.File{Content: []byte("secret")}, nil
	}}
	silent := listen(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
	target := postgresTarget("pg-a", silent, c)
	target.Spec.Connect = serviceapi.Plain()
	target.Spec.Connect.User, target.Spec.Connect.Password = "arbiter", failover.Setting{File: "/any"}
	postgres := NewPostgres(PostgresOptions{Node: "az-a", Secrets: slow})
	t.Cleanup(postgres.Close)
	for name, checker := range map[string]Checker{"postgres": postgres, "service": NewService("az-a", slow)} {
		if look := lookAt(checker, target, c); look.Evidence.Reason != failover.ReasonArbiterTrouble {
			t.Errorf("%s: %+v", name, look.Evidence)
		}
	}
}
