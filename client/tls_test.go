package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/client/clienttest"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// issue makes an authority in a folder and certificates of it; it returns the files by name.
func issue(t *testing.T, cluster string, roles map[string]pki.Role) map[string]pki.Files {
	t.Helper()
	folder := t.TempDir()
	authority, err := pki.Init(filepath.Join(folder, "authority"), cluster, false)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]pki.Files{}
	for name, role := range roles {
		if files[name], err = authority.IssueTo(folder, pki.Request{Name: name, Role: role}, false); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestClient_MutualTLS(t *testing.T) { synctest.Test(t, testMutualTLS) }

func testMutualTLS(t *testing.T) {
	prod := issue(t, "prod", map[string]pki.Role{"az-a": pki.RoleArbiter, "dana": pki.RoleOperator, "guard": pki.RoleAgent, "false": pki.RoleOperator})
	other := issue(t, "other", map[string]pki.Role{"eve": pki.RoleOperator})
	serve := func(certificate pki.Files) *clienttest.Cluster {
		reloader, err := pki.NewReloader(certificate)
		if err != nil {
			t.Fatal(err)
		}
		return clienttest.New(t, clienttest.Options{
			Nodes: []string{"az-a"}, Answer: answers,
			Credentials: func(string) credentials.TransportCredentials {
				return credentials.NewTLS(reloader.Server(pki.Peer{Roles: []pki.Role{pki.RoleOperator}}))
			},
		})
	}
	arbiters, impostor := serve(prod["az-a"]), serve(prod["guard"])
	tests := []struct {
		name    string
		cluster *clienttest.Cluster
		own     pki.Files
		want    error
		says    string
	}{
		{"operator", arbiters, prod["dana"], nil, ""},
		{"operator of another cluster", arbiters, other["eve"], pki.ErrOtherCluster, `"prod"`},
		{"an agent that poses as an arbiter", impostor, prod["dana"], pki.ErrWrongRole, `agent "guard"`},
		{"a caller whom the arbiter refuses", arbiters, prod["guard"], client.ErrUnavailable, "az-a:7401: "},
	}
	for _, test := range tests {
		config, err := client.TLSFromFiles(test.own.Authorities, test.own.Certificate, test.own.Key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.New(client.Options{Addresses: test.cluster.Addresses(), TLS: config, Dial: test.cluster.Dial})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		began := time.Now()
		_, err = c.GetStatus(ctx, &arbiterv1.GetStatusRequest{})
		took := time.Since(began)
		cancel()
		c.Close()
		if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error is %v", test.name, err)
		}
		if hopeless := errors.Is(err, pki.ErrOtherCluster) || errors.Is(err, pki.ErrWrongRole); hopeless && took > 900*time.Millisecond {
			t.Errorf("%s: it went on trying though a certificate doesn't change by itself", test.name)
		}
	}
}

// The plain mix-ups of a first day are said as that: nobody can tell them from "connection reset".
func TestClient_SaysWhatWasMixedUp(t *testing.T) {
	files := issue(t, "prod", map[string]pki.Role{"az-a": pki.RoleArbiter, "dana": pki.RoleOperator})
	own, err := client.TLSFromFiles(files["dana"].Authorities, files["dana"].Certificate, files["dana"].Key)
	if err != nil {
		t.Fatal(err)
	}
	reloader, err := pki.NewReloader(files["az-a"])
	if err != nil {
		t.Fatal(err)
	}
	server := func() *tls.Config { return reloader.Server(pki.Peer{Roles: []pki.Role{pki.RoleOperator}}) }
	secured := clienttest.New(t, clienttest.Options{Nodes: []string{"az-a"}, TCP: true, Answer: answers, Credentials: func(string) credentials.TransportCredentials {
		return credentials.NewTLS(server())
	}}).Addresses()
	plain := clienttest.New(t, clienttest.Options{Nodes: []string{"az-a"}, TCP: true, Answer: answers}).Addresses()
	raft := server()
	raft.NextProtos = []string{"raft"}
	tests := []struct {
		name      string
		addresses []string
		own       *tls.Config
		want      error
	}{
		{"plaintext, and the arbiters want TLS", secured, nil, client.ErrTLSThere},
		{"TLS, and the arbiters talk plaintext", plain, own, client.ErrPlaintextThere},
		{"TLS at the Raft port", listenRaft(t, raft), own, client.ErrOtherPort},
		{"TLS at the Raft port without", listenRaft(t, nil), own, client.ErrOtherPort},
		{"plaintext at the Raft port", listenRaft(t, raft), nil, client.ErrTLSThere},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := client.New(client.Options{Addresses: test.addresses, TLS: test.own, InsecurePlaintext: test.own == nil})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := inTime(t, c, func(err error) bool { return errors.Is(err, test.want) }); !errors.Is(err, client.ErrUnavailable) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// listenRaft is where a Raft port listens, which ends a connection that doesn't begin as Raft does.
func listenRaft(t *testing.T, secure *tls.Config) []string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1<<16)) // whatever it is, it is not Raft
			conn.Close()
		}
	}()
	return []string{address}
}
