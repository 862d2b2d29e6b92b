package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// authority issues certificates for one test.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// issue returns certificate and key for a name, as PEM.
func (a *authority) issue(commonName string, dnsNames ...string) (cert, key []byte) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: commonName}, DNSNames: dnsNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func writeTemp(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSSLModes(t *testing.T) {
	ca, otherCA := newAuthority(t), newAuthority(t)
	server := postgrestest.New(t, postgrestest.Setting{Key: "ssl", Value: "on"}, postgrestest.Setting{Key: "ssl_ca_file", Value: "root.crt"})
	serverCert, serverKey := ca.issue("server", "localhost")
	server.WriteFile("server.crt", serverCert)
	server.WriteFile("server.key", serverKey)
	server.WriteFile("root.crt", ca.pem)
	server.WriteFile("pg_hba.conf", []byte("hostssl all arbiter all scram-sha-256\nhostssl all certified all cert\nhost all postgres all trust\n"))
	server.Start()
	server.WaitReady()
	server.Exec("CREATE ROLE certified LOGIN")
	_, port, err := net.SplitHostPort(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	byName, byNumber := "localhost:"+port, "127.0.0.1:"+port

	root, otherRoot := writeTemp(t, ca.pem), writeTemp(t, otherCA.pem)
	cert, key := ca.issue("certified")
	foreignCert, foreignKey := otherCA.issue("certified")
	for _, c := range []struct {
		name    string
		address string
		change  func(*failover.Connect)
		want    failover.Reason
	}{
		{"disable", byName, func(c *failover.Connect) { c.SSLMode = "disable" }, failover.ReasonBadCredentials},
		{"allow falls forward", byName, func(c *failover.Connect) { c.SSLMode = "allow" }, failover.ReasonAnswered},
		{"prefer", byName, func(c *failover.Connect) { c.SSLMode = "prefer" }, failover.ReasonAnswered},
		{"require without a CA", byName, func(c *failover.Connect) { c.SSLMode = "require" }, failover.ReasonAnswered},
		{"require with another CA", byName, func(c *failover.Connect) { c.SSLMode, c.SSLRoot = "require", otherRoot }, failover.ReasonBadConfiguration},
		{"verify-ca by number", byNumber, func(c *failover.Connect) { c.SSLMode, c.SSLRoot = "verify-ca", root }, failover.ReasonAnswered},
		{"verify-ca with another CA", byName, func(c *failover.Connect) { c.SSLMode, c.SSLRoot = "verify-ca", otherRoot }, failover.ReasonBadConfiguration},
		{"verify-full", byName, func(c *failover.Connect) { c.SSLMode, c.SSLRoot = "verify-full", root }, failover.ReasonAnswered},
		{"verify-full by number", byNumber, func(c *failover.Connect) { c.SSLMode, c.SSLRoot = "verify-full", root }, failover.ReasonBadConfiguration},
		{"verify-full with the system's CAs", byName, func(c *failover.Connect) { c.SSLMode = "verify-full" }, failover.ReasonBadConfiguration},
		{"certificate", byName, func(c *failover.Connect) {
			c.User, c.Password.Value, c.SSLMode, c.SSLRoot = "certified", "", "verify-full", root
			c.SSLCert, c.SSLKey = writeTemp(t, cert), writeTemp(t, key)
		}, failover.ReasonAnswered},
		{"certificate of another CA", byName, func(c *failover.Connect) {
			c.User, c.Password.Value, c.SSLMode, c.SSLRoot = "certified", "", "verify-full", root
			c.SSLCert, c.SSLKey = writeTemp(t, foreignCert), writeTemp(t, foreignKey)
		}, failover.ReasonBadCredentials},
		{"no certificate", byName, func(c *failover.Connect) {
			c.User, c.Password.Value, c.SSLMode, c.SSLRoot = "certified", "", "verify-full", root
		}, failover.ReasonBadCredentials},
	} {
		connect := postgrestest.Connect()
		c.change(&connect)
		conn, err := postgres.NewConnector(connect, new(secret.Reader)).Dial(within(t, plenty), c.address, postgres.Options{})
		if got := postgres.Classify(err).Reason; got != c.want {
			t.Errorf("%s: %v is classified as %s; want %s", c.name, err, got, c.want)
		}
		if conn != nil {
			conn.Close()
		}
	}
}
