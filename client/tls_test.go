package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
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

func TestClient_MutualTLS(t *testing.T) {
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
		t.Run(test.name, func(t *testing.T) {
			config, err := client.TLSFromFiles(test.own.Authorities, test.own.Certificate, test.own.Key)
			if err != nil {
				t.Fatal(err)
			}
			c, err := client.New(client.Options{Addresses: test.cluster.Addresses(), TLS: config, Dial: test.cluster.Dial})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			_, err = c.GetStatus(ctx, &arbiterv1.GetStatusRequest{})
			if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %v", err)
			}
			if hopeless := errors.Is(err, pki.ErrOtherCluster) || errors.Is(err, pki.ErrWrongRole); hopeless && time.Since(began) > 900*time.Millisecond {
				t.Error("it went on trying though a certificate doesn't change by itself")
			}
		})
	}
}
