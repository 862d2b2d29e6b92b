package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/pki"
)

// Whoever uses a certificate that ends soon is told so with every answer, beside it.
func TestClient_WarnsOfTheOwnCertificate(t *testing.T) {
	authority, err := pki.NewAuthority("prod")
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.IssueTo(t.TempDir(), pki.Request{Role: pki.RoleOperator, Name: "dana"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for in, says := range map[time.Duration]string{
		0:                                     "",
		pki.DefaultValidity - 29*24*time.Hour: "arbiterctl: your certificate " + files.Certificate + " ends at ",
	} {
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, environment: func(string) string { return "" }, now: func() time.Time { return time.Now().Add(in) }}
		a.flags = globalFlags{addresses: []string{"127.0.0.1:1"}, ca: files.Authorities, cert: files.Certificate, key: files.Key, timeout: time.Second}
		if _, err := a.client(); err != nil {
			t.Fatal(err)
		}
		a.close()
		if got := stderr.String(); says == "" && got != "" || !strings.HasPrefix(got, says) || stdout.Len() > 0 {
			t.Errorf("in %s it says %q", in, got)
		}
	}
}
