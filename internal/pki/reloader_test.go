package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/internal/secret"
)

// issue makes an identity on disk and loads it.
func issue(t *testing.T, authority *Authority, role Role, name string) (*Reloader, Files) {
	t.Helper()
	files, err := authority.IssueTo(filepath.Join(t.TempDir(), name), Request{Role: role, Name: name}, false)
	if err != nil {
		t.Fatal(err)
	}
	reloader, err := NewReloader(files)
	if err != nil {
		t.Fatal(err)
	}
	return reloader, files
}

func newAuthority(t *testing.T, cluster string) *Authority {
	t.Helper()
	authority, err := NewAuthority(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// handshake connects two configurations and exchanges a byte, since a TLS 1.3 client learns only by reading that the server has
// refused it.
func handshake(t *testing.T, listen string, server, client *tls.Config) (seen Identity, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		raw, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, server)
		err = conn.Handshake()
		if err == nil {
			seen, err = PeerIdentity(conn.ConnectionState())
			_, _ = conn.Write([]byte{1})
		}
		done <- err
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(conn, make([]byte, 1))
	}
	raw.Close()
	serverErr = <-done
	return seen, serverErr, clientErr
}

func TestHandshake_WhoMayTalkToWhom(t *testing.T) {
	prod, staging, forged := newAuthority(t, "prod"), newAuthority(t, "staging"), newAuthority(t, "prod")
	arbiter, _ := issue(t, prod, RoleArbiter, "az-a")
	second, _ := issue(t, prod, RoleArbiter, "az-b")
	operator, _ := issue(t, prod, RoleOperator, "dana")
	agent, _ := issue(t, prod, RoleAgent, "pg-a")
	stranger, _ := issue(t, staging, RoleArbiter, "az-a")
	impostor, _ := issue(t, forged, RoleArbiter, "az-a")

	arbiters := Peer{Roles: []Role{RoleArbiter}}
	callers := Peer{Roles: []Role{RoleArbiter, RoleOperator, RoleViewer}}
	azB := Peer{Roles: []Role{RoleArbiter}, Name: "az-b"}
	tests := map[string]struct {
		server, client         *Reloader
		serverWants, clientSay Peer
		serverErr, clientErr   error
		says                   string
	}{
		"arbiter to arbiter":                 {server: second, client: arbiter, serverWants: arbiters, clientSay: azB},
		"operator to arbiter":                {server: second, client: operator, serverWants: callers, clientSay: arbiters},
		"operator on the arbiters' own port": {server: second, client: operator, serverWants: arbiters, clientSay: arbiters, serverErr: ErrWrongRole, says: `operator "dana"`},
		"the wrong arbiter answers":          {server: arbiter, client: second, serverWants: arbiters, clientSay: azB, clientErr: ErrWrongRole, says: `"az-b" is needed`},
		"an agent poses as an arbiter":       {server: agent, client: operator, serverWants: callers, clientSay: arbiters, clientErr: ErrWrongRole, says: `agent "pg-a"`},
		"caller of another cluster":          {server: arbiter, client: stranger, serverWants: arbiters, clientSay: Peer{Roles: Roles()}, clientErr: ErrOtherCluster, says: `cluster "prod", and this is cluster "staging"`},
		"arbiter of another cluster":         {server: stranger, client: operator, serverWants: callers, clientSay: arbiters, clientErr: ErrOtherCluster, says: `cluster "staging", and this is cluster "prod"`},
		"another authority of the same name": {server: impostor, client: operator, serverWants: callers, clientSay: arbiters, clientErr: ErrUntrusted, says: "ca.crt"},
		"a person's certificate can't serve": {server: operator, client: arbiter, serverWants: arbiters, clientSay: Peer{Roles: Roles()}, clientErr: ErrUntrusted, says: "incompatible key usage"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			seen, serverErr, clientErr := handshake(t, "127.0.0.1:0", test.server.Server(test.serverWants), test.client.Client(test.clientSay))
			if test.serverErr == nil && test.clientErr == nil {
				if serverErr != nil || clientErr != nil {
					t.Fatalf("server: %v, client: %v; want a connection", serverErr, clientErr)
				}
				if seen.String() != test.client.Identity().String() {
					t.Errorf("the server sees %v, want %v", seen, test.client.Identity())
				}
				return
			}
			if serverErr == nil && test.serverErr != nil || clientErr == nil {
				t.Fatalf("server: %v, client: %v; want a refusal on both sides", serverErr, clientErr)
			}
			told, want := clientErr, test.clientErr
			if test.serverErr != nil {
				told, want = serverErr, test.serverErr
			}
			if !errors.Is(told, want) || !strings.Contains(told.Error(), test.says) {
				t.Errorf("refused with %v; want %v that says %q", told, want, test.says)
			}
		})
	}
}

// The client checks first, so a server sees a caller of another cluster only if the caller checks nothing.
func TestHandshake_ServerNamesTheOtherCluster(t *testing.T) {
	server, _ := issue(t, newAuthority(t, "prod"), RoleArbiter, "az-a")
	stranger, _ := issue(t, newAuthority(t, "staging"), RoleOperator, "dana")
	careless := stranger.Client(Peer{})
	careless.VerifyConnection = nil
	_, serverErr, clientErr := handshake(t, "127.0.0.1:0", server.Server(Peer{Roles: Roles()}), careless)
	if !errors.Is(serverErr, ErrOtherCluster) || clientErr == nil {
		t.Errorf("server: %v, client: %v; want ErrOtherCluster", serverErr, clientErr)
	}
}

func TestHandshake_RefusesCallersWithoutCertificateAndOldTLS(t *testing.T) {
	authority := newAuthority(t, "prod")
	server, _ := issue(t, authority, RoleArbiter, "az-a")
	client, _ := issue(t, authority, RoleOperator, "dana")
	bare := &tls.Config{InsecureSkipVerify: true}
	if _, serverErr, clientErr := handshake(t, "127.0.0.1:0", server.Server(Peer{Roles: Roles()}), bare); serverErr == nil || clientErr == nil {
		t.Errorf("without a certificate: server %v, client %v; want a refusal", serverErr, clientErr)
	}
	old := client.Client(Peer{Roles: Roles()})
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, serverErr, clientErr := handshake(t, "127.0.0.1:0", server.Server(Peer{Roles: Roles()}), old); serverErr == nil || clientErr == nil {
		t.Errorf("TLS 1.2: server %v, client %v; want a refusal", serverErr, clientErr)
	}
}

func TestHandshake_IPv6(t *testing.T) {
	authority := newAuthority(t, "prod")
	server, _ := issue(t, authority, RoleArbiter, "az-a")
	client, _ := issue(t, authority, RoleArbiter, "az-b")
	arbiters := Peer{Roles: []Role{RoleArbiter}}
	if _, serverErr, clientErr := handshake(t, "[::1]:0", server.Server(arbiters), client.Client(arbiters)); serverErr != nil || clientErr != nil {
		t.Errorf("server: %v, client: %v", serverErr, clientErr)
	}
}

func TestHandshake_ExpiryIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority(t, "prod")
		server, _ := issue(t, authority, RoleArbiter, "az-a")
		short, err := authority.IssueTo(t.TempDir(), Request{Role: RoleOperator, Name: "dana", ValidFor: time.Hour}, false)
		if err != nil {
			t.Fatal(err)
		}
		client, err := NewReloader(short)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Hour)
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go func() {
			conn := tls.Client(near, client.Client(Peer{Roles: Roles()}))
			_, _ = conn.Read(make([]byte, 1))
			near.Close()
		}()
		err = tls.Server(far, server.Server(Peer{Roles: Roles()})).Handshake()
		if !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), `operator "dana"`) {
			t.Errorf("handshake = %v, want ErrExpired that names the holder", err)
		}
		if _, err := NewReloader(short); !errors.Is(err, ErrExpired) {
			t.Errorf("NewReloader = %v, want ErrExpired", err)
		}
	})
}

// Scenario 53: certificates are rotated on a running cluster, the authority included.
func TestReload_RotatesCertificateAndAuthority(t *testing.T) {
	before, after := newAuthority(t, "prod"), newAuthority(t, "prod")
	server, serverFiles := issue(t, before, RoleArbiter, "az-a")
	client, clientFiles := issue(t, before, RoleArbiter, "az-b")
	arbiters := Peer{Roles: []Role{RoleArbiter}}
	serverConfig, clientConfig := server.Server(arbiters), client.Client(arbiters)
	connects := func(when string) {
		t.Helper()
		if _, serverErr, clientErr := handshake(t, "127.0.0.1:0", serverConfig, clientConfig); serverErr != nil || clientErr != nil {
			t.Fatalf("%s: server %v, client %v", when, serverErr, clientErr)
		}
	}
	replace := func(path string, data []byte) {
		t.Helper()
		if err := WriteFile(path, data, 0o600, true); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(reloader *Reloader) {
		t.Helper()
		if err := reloader.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	connects("at first")
	both := append(before.CertificatePEM(), after.CertificatePEM()...)
	replace(serverFiles.Authorities, both)
	replace(clientFiles.Authorities, both)
	reload(server)
	reload(client)
	connects("with both authorities")
	if _, err := after.IssueTo(filepath.Dir(serverFiles.Key), Request{Role: RoleArbiter, Name: "az-a"}, true); err != nil {
		t.Fatal(err)
	}
	reload(server)
	connects("with one new certificate")
	if _, err := after.IssueTo(filepath.Dir(clientFiles.Key), Request{Role: RoleArbiter, Name: "az-b"}, true); err != nil {
		t.Fatal(err)
	}
	replace(serverFiles.Authorities, after.CertificatePEM())
	replace(clientFiles.Authorities, after.CertificatePEM())
	reload(server)
	if _, serverErr, _ := handshake(t, "127.0.0.1:0", serverConfig, clientConfig); !errors.Is(serverErr, ErrUntrusted) {
		t.Errorf("a certificate of the removed authority: %v, want ErrUntrusted", serverErr)
	}
	reload(client)
	connects("with the new authority alone")
}

func TestReload_BadFilesKeepTheOld(t *testing.T) {
	authority := newAuthority(t, "prod")
	tests := map[string]struct {
		harm func(t *testing.T, files Files)
		want error
		says string
	}{
		"certificate gone":    {func(_ *testing.T, f Files) { os.Remove(f.Certificate) }, ErrBadFiles, "no such file"},
		"certificate garbage": {func(_ *testing.T, f Files) { os.WriteFile(f.Certificate, []byte("x"), 0o600) }, ErrBadFiles, "no certificate in PEM"},
		"key garbage":         {func(_ *testing.T, f Files) { os.WriteFile(f.Key, []byte("x"), 0o600) }, ErrBadFiles, "no private key"},
		"key open to all":     {func(_ *testing.T, f Files) { os.Chmod(f.Key, 0o644) }, ErrBadFiles, "chmod 600"},
		"key of another": {func(t *testing.T, f Files) {
			_, other := issue(t, authority, RoleArbiter, "az-b")
			os.Rename(other.Key, f.Key)
		}, ErrBadFiles, "is not the key of"},
		"another arbiter's pair": {func(t *testing.T, f Files) {
			_, other := issue(t, authority, RoleArbiter, "az-b")
			os.Rename(other.Key, f.Key)
			os.Rename(other.Certificate, f.Certificate)
		}, ErrWrongRole, "az-b"},
		"another authority": {func(t *testing.T, f Files) {
			_, other := issue(t, newAuthority(t, "prod"), RoleArbiter, "az-a")
			os.Rename(other.Authorities, f.Authorities)
		}, ErrUntrusted, "ca.crt"},
		"no identity": {func(t *testing.T, f Files) {
			folder := t.TempDir()
			if _, err := Init(folder, "prod", false); err != nil {
				t.Fatal(err)
			}
			os.Rename(filepath.Join(folder, "ca.key"), f.Key)
			os.Rename(filepath.Join(folder, "ca.crt"), f.Certificate)
		}, ErrBadIdentity, "is needed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reloader, files := issue(t, authority, RoleArbiter, "az-a")
			peer, _ := issue(t, authority, RoleArbiter, "az-c")
			test.harm(t, files)
			err := reloader.Reload()
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "old ones stay in use") {
				t.Errorf("Reload = %v; want %v that says %q", err, test.want, test.says)
			}
			arbiters := Peer{Roles: []Role{RoleArbiter}}
			if _, serverErr, clientErr := handshake(t, "127.0.0.1:0", reloader.Server(arbiters), peer.Client(arbiters)); serverErr != nil || clientErr != nil {
				t.Errorf("after a failed reload: server %v, client %v; want the old files to serve", serverErr, clientErr)
			}
		})
	}
}

// A file system that hangs holds up a reload for so long and no longer, and the old certificate stays in use. A later reload takes what is there then.
func TestReload_OfAFileSystemThatHangs(t *testing.T) {
	for _, hung := range []func(Files) string{
		func(f Files) string { return f.Authorities }, func(f Files) string { return f.Certificate }, func(f Files) string { return f.Key },
	} {
		synctest.Test(t, func(t *testing.T) {
			authority := newAuthority(t, "lab")
			reloader, files := issue(t, authority, RoleArbiter, "az-a")
			first, path, letGo := reloader.Expiry(time.Now()), hung(files), make(chan struct{})
			plain := &secret.Reader{}
			reloader.disk = &secret.Reader{Open: func(asked string) (secret.File, error) {
				if asked == path {
					<-letGo
				}
				return plain.Read(context.Background(), asked)
			}}
			time.Sleep(48 * time.Hour)
			if _, err := authority.IssueTo(filepath.Dir(files.Key), Request{Role: RoleArbiter, Name: "az-a"}, true); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			err := reloader.Reload()
			if !errors.Is(err, secret.ErrNotInTime) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "it did not answer within 5s") {
				t.Errorf("%s hangs: %v", path, err)
			}
			if took := time.Since(start); took != readLimit {
				t.Errorf("it took %s", took)
			}
			if reloader.Expiry(time.Now()) != first {
				t.Errorf("%s hangs: the certificate is another", path)
			}
			close(letGo)
			if err := reloader.Reload(); err != nil || reloader.Expiry(time.Now()) == first {
				t.Errorf("%s was let go: %v", path, err)
			}
		})
	}
}
