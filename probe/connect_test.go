package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// ownCertificate makes a certificate for 127.0.0.1 that nobody else has signed, and its key, both as PEM.
func ownCertificate(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	own := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pg-a"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, own, own, private.Public(), private)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatalf("encode the key: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawKey})
}

// withTLS makes a server that has a certificate for 127.0.0.1, and returns the path of its CA.
func withTLS(t *testing.T) (s *postgrestest.Server, ca string) {
	t.Helper()
	certificate, key := ownCertificate(t)
	s = postgrestest.New(t, setting("ssl", "on"), setting("ssl_cert_file", "own.crt"), setting("ssl_key_file", "own.key"))
	s.WriteFile("own.crt", certificate)
	s.WriteFile("own.key", key)
	s.Start()
	s.WaitReady()
	return s, temporary(t, certificate)
}

// temporary writes a file and returns its path.
func temporary(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("write a file: %v", err)
	}
	return path
}

// TestPostgresRefusedCertificateIsNoDeath: a server judges a client certificate after the handshake of TLS 1.3, and often all that is heard of its
// refusal is that the connection breaks.
func TestPostgresRefusedCertificateIsNoDeath(t *testing.T) {
	certificate, key := ownCertificate(t)
	address := breakAfterHandshake(t, certificate, key)
	for _, test := range []struct {
		name, certificate, key string
		want                   failover.Reason
	}{
		{"shown", temporary(t, certificate), temporary(t, key), failover.ReasonBadCredentials},
		{"not shown", "", "", failover.ReasonReset},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := patientCheck()
			target := postgresTarget("pg-a", address, c)
			target.Spec.Connect.SSLMode = "require"
			target.Spec.Connect.SSLCert, target.Spec.Connect.SSLKey = test.certificate, test.key
			wantLook(t, newPostgres(t), target, c, test.want)
		})
	}
}

// breakAfterHandshake answers as a PostgreSQL server with TLS does, and resets the connection when it is told who logs in.
func breakAfterHandshake(t *testing.T, certificate, key []byte) (address string) {
	t.Helper()
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatalf("read the certificate: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, 8)) // the question for TLS
			_, _ = conn.Write([]byte("S"))
			encrypted := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert})
			_, _ = encrypted.Read(make([]byte, 1))
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func TestPostgresTLS(t *testing.T) {
	encrypted, ca := withTLS(t)
	plain := postgrestest.Start(t)
	_, otherCA := withTLS(t)
	for _, test := range []struct {
		name    string
		server  *postgrestest.Server
		mode    string
		ca      string
		want    failover.Reason
		channel bool
	}{
		{"disable", encrypted, "disable", "", failover.ReasonAnswered, false},
		{"default", encrypted, "", "", failover.ReasonAnswered, true},
		{"prefer", encrypted, "prefer", "", failover.ReasonAnswered, true},
		{"prefer without TLS there", plain, "prefer", "", failover.ReasonAnswered, false},
		{"allow", encrypted, "allow", "", failover.ReasonAnswered, false},
		{"require", encrypted, "require", "", failover.ReasonAnswered, true},
		{"require without TLS there", plain, "require", "", failover.ReasonBadConfiguration, false},
		{"verify-full", encrypted, "verify-full", ca, failover.ReasonAnswered, true},
		{"verify-full with another CA", encrypted, "verify-full", otherCA, failover.ReasonBadConfiguration, false},
		{"verify-full without the CA's file", encrypted, "verify-full", "missing.crt", failover.ReasonBadConfiguration, false},
		{"unknown mode", encrypted, "perhaps", "", failover.ReasonBadConfiguration, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPostgres(t)
			c := patientCheck()
			target := postgresTarget("pg-a", test.server.Address, c)
			target.Spec.Connect.SSLMode, target.Spec.Connect.SSLRoot = test.mode, test.ca
			wantLook(t, p, target, c, test.want)
			if test.want != failover.ReasonAnswered {
				return
			}
			s, err := p.connector.open(t.Context(), test.server.Address, target.Spec.Connect, p.parameters(purposeLook, c.Timeout))
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			defer s.close()
			if _, channel := s.conn.(*tls.Conn); channel != test.channel {
				t.Fatalf("encrypted: got %v, want %v", channel, test.channel)
			}
		})
	}
}

func TestPostgresEnvironmentDoesNotCount(t *testing.T) {
	server := postgrestest.Start(t)
	for _, name := range []string{"PGREQUIREAUTH", "PGCHANNELBINDING", "PGMINPROTOCOLVERSION", "PGSSLCERTMODE"} {
		t.Setenv(name, "nonsense")
	}
	c := patientCheck()
	wantLook(t, newPostgres(t), postgresTarget("pg-a", server.Address, c), c, failover.ReasonAnswered)
}

// TestPostgresOtherMethods logs in with methods that this package leaves to the library.
func TestPostgresOtherMethods(t *testing.T) {
	for _, method := range []string{"md5", "password"} {
		t.Run(method, func(t *testing.T) {
			server := postgrestest.Start(t, setting("password_encryption", "md5"))
			server.Exec("ALTER ROLE arbiter PASSWORD '" + postgrestest.Password + "'")
			server.WriteFile("pg_hba.conf", []byte("host all arbiter all "+method+"\nhost all postgres all trust\n"))
			server.Reload()
			p := newPostgres(t)
			c := patientCheck()
			target := postgresTarget("pg-a", server.Address, c)
			server.Eventually("the changed pg_hba.conf counts", func() bool {
				s, err := p.connector.open(t.Context(), server.Address, target.Spec.Connect, p.parameters(purposeLook, c.Timeout))
				if err != nil {
					return false
				}
				s.close()
				return p.connector.routes[routeKey{server.Address, target.Spec.Connect}].needsLibrary()
			})
			for range 2 {
				wantLook(t, p, target, c, failover.ReasonAnswered)
			}
			s, err := p.connector.open(t.Context(), server.Address, target.Spec.Connect, p.parameters(purposeLook, c.Timeout))
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			defer s.close()
			var tooLong *pgproto3.ExceededMaxBodyLenErr
			if _, err := s.ask("SELECT repeat('x', 2000000)"); !errors.As(err, &tooLong) {
				t.Fatalf("an answer of 2 MB: got %v, want it to be refused", err)
			}
			wrong := postgresTarget("pg-a", server.Address, c)
			wrong.Spec.Connect.Password = failover.Setting{Value: "wrong"}
			wantLook(t, p, wrong, c, failover.ReasonBadCredentials)
		})
	}
}

// Whatever the method, and whoever speaks it, a server that is frozen is told to have accepted the connection. One that turns the password away has answered,
// which says more: nobody may vouch that it is off.
func TestPostgresTellsWhetherAConnectionWasAccepted_ByEveryMethod(t *testing.T) {
	for _, method := range []string{"trust", "password", "md5", "scram-sha-256"} {
		t.Run(method, func(t *testing.T) {
			encryption := method
			if method == "trust" || method == "password" {
				encryption = "md5"
			}
			server := postgrestest.Start(t, setting("password_encryption", encryption))
			server.Exec("ALTER ROLE arbiter PASSWORD '" + postgrestest.Password + "'")
			server.WriteFile("pg_hba.conf", []byte("host all arbiter all "+method+"\nhost all postgres all trust\n"))
			server.Reload()
			p := newPostgres(t)
			c := patientCheck()
			target := postgresTarget("pg-a", server.Address, c)
			wrong := postgresTarget("pg-a", server.Address, c)
			wrong.Spec.Connect.Password = failover.Setting{Value: "wrong"}
			library := method == "md5" || method == "password"
			server.Eventually("the changed pg_hba.conf counts", func() bool {
				good, bad := p.Look(t.Context(), target, c), p.Look(t.Context(), wrong, c)
				p.connector.mu.Lock()
				defer p.connector.mu.Unlock()
				by := p.connector.routes[routeKey{server.Address, target.Spec.Connect}]
				turnedAway := bad.Evidence.Reason == failover.ReasonBadCredentials && !bad.Evidence.Accepted
				return good.Evidence.Reason == failover.ReasonAnswered && (turnedAway || method == "trust") && by.needsLibrary() == library
			})
			server.Freeze()
			defer server.Thaw()
			c.Timeout = 300 * ms
			if e := wantLook(t, p, target, c, failover.ReasonTimeout).Evidence; !e.Accepted {
				t.Errorf("it accepts and is silent: %+v", e)
			}
		})
	}
}

// What never came to a connection is not told to have been accepted, though the library is asked to log in.
func TestPostgresLibraryThatReachesNobody(t *testing.T) {
	c := patientCheck()
	c.Timeout = 300 * ms
	p, target := newPostgres(t), postgresTarget("pg-a", blackHole(t), c)
	if _, err := p.connector.route(t.Context(), routeKey{target.Address(c), target.Spec.Connect}, -1); err != nil {
		t.Fatal(err)
	}
	for _, r := range p.connector.routes {
		r.setLibrary()
	}
	if e := wantLook(t, p, target, c, failover.ReasonTimeout).Evidence; e.Accepted {
		t.Errorf("nothing is heard of it: %+v", e)
	}
}

func TestPostgresPasswordThatIsReplacedCountsAtOnce(t *testing.T) {
	server := postgrestest.Start(t)
	file := filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatalf("write the password: %v", err)
		}
	}
	write(postgrestest.Password)
	p := NewPostgres(PostgresOptions{Node: "az-a", Secrets: new(secret.Reader)})
	t.Cleanup(p.Close)
	c := patientCheck()
	target := postgresTarget("pg-a", server.Address, c)
	target.Spec.Connect.Password = failover.Setting{File: file}
	wantLook(t, p, target, c, failover.ReasonAnswered)
	server.Exec("ALTER ROLE arbiter PASSWORD 'pässwörd № 2'") // not in ASCII, and not in its normal form
	wantLook(t, p, target, c, failover.ReasonBadCredentials)
	write("pässwörd № 2")
	wantLook(t, p, target, c, failover.ReasonAnswered)
}

func TestPostgresPasswordIsReadOncePerRoute(t *testing.T) {
	var reads int
	now := time.Hour
	c := connector{now: func() time.Duration { return now }, secrets: &secret.Reader{Open: func(string) (secret.File, error) {
		reads++
		return secret.File{Content: []byte("s3cret")}, nil
	}}}
	address, connect := freeport.Address(t), failover.Connect{Password: failover.Setting{File: "/password"}}
	for _, step := range []struct {
		later time.Duration
		want  int
	}{{0, 1}, {routeAge - 1, 1}, {1, 2}, {1, 2}} {
		now += step.later
		if _, err := c.open(t.Context(), address, connect, nil); failover.EvidenceDead != failover.ClassOf(evidenceOf(err).Reason) {
			t.Fatalf("nobody listens there: got %v", err)
		}
		if reads != step.want {
			t.Errorf("%v later: read %d times, want %d", step.later, reads, step.want)
		}
	}
}
