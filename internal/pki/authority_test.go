package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestIssue_CarriesIdentityHostsAndUse(t *testing.T) {
	authority, err := NewAuthority("prod")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(Request{Role: RoleArbiter, Name: "az-a", Hosts: []string{"az-a.internal", "192.0.2.7", "[2001:db8::7]", "2001:db8::8"}})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(pair.Certificate)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if identity, err := CertificateIdentity(certificate); err != nil || identity.String() != "arbiter://prod/arbiter/az-a" {
		t.Errorf("identity is %v, %v", identity, err)
	}
	for _, host := range []string{"az-a.internal", "192.0.2.7", "2001:db8::7", "2001:db8::8"} {
		if err := certificate.VerifyHostname(host); err != nil {
			t.Errorf("certificate isn't valid for %s: %v", host, err)
		}
	}
	if len(certificate.ExtKeyUsage) != 2 {
		t.Errorf("an arbiter both serves and calls, its certificate allows %v", certificate.ExtKeyUsage)
	}
	if left := time.Until(certificate.NotAfter); left < DefaultValidity-time.Minute || left > DefaultValidity {
		t.Errorf("valid for %v, want %v", left, DefaultValidity)
	}
}

func TestIssue_RefusesBadRequests(t *testing.T) {
	authority, err := NewAuthority("prod")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]Request{
		"no role":        {Name: "az-a"},
		"unknown role":   {Role: "king", Name: "az-a"},
		"no name":        {Role: RoleArbiter},
		"path in name":   {Role: RoleArbiter, Name: "../az-a"},
		"host with port": {Role: RoleArbiter, Name: "az-a", Hosts: []string{"az-a:7400"}},
		"empty host":     {Role: RoleArbiter, Name: "az-a", Hosts: []string{""}},
		"empty limit":    {Role: RoleOperator, Name: "dana", Groups: []string{""}},
	}
	for name, request := range tests {
		if _, err := authority.Issue(request); !errors.Is(err, ErrBadIdentity) {
			t.Errorf("%s: Issue = %v, want ErrBadIdentity", name, err)
		}
	}
}

func TestInitAndIssueTo_Files(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "authority")
	if _, err := Init(folder, "prod", false); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(folder, "prod", false); !errors.Is(err, ErrExists) {
		t.Fatalf("second Init = %v, want ErrExists", err)
	}
	authority, err := LoadAuthority(folder)
	if err != nil || authority.Cluster != "prod" {
		t.Fatalf("LoadAuthority = %+v, %v", authority, err)
	}
	target := filepath.Join(t.TempDir(), "az-a")
	request := Request{Role: RoleArbiter, Name: "az-a"}
	files, err := authority.IssueTo(target, request, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewReloader(files); err != nil {
		t.Errorf("what was issued can't be used: %v", err)
	}
	key, _ := os.ReadFile(files.Key)
	if _, err := authority.IssueTo(target, request, false); !errors.Is(err, ErrExists) {
		t.Errorf("second IssueTo = %v, want ErrExists", err)
	}
	if again, _ := os.ReadFile(files.Key); string(again) != string(key) {
		t.Error("a refused IssueTo changed the key")
	}
	if _, err := authority.IssueTo(target, request, true); err != nil {
		t.Errorf("IssueTo with force: %v", err)
	}
	if again, _ := os.ReadFile(files.Key); string(again) == string(key) {
		t.Error("IssueTo with force left the old key")
	}
	for _, path := range []string{files.Key, filepath.Join(folder, "ca.key")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s: %v, %v; want 0600", path, info.Mode(), err)
		}
	}
	if entries, _ := os.ReadDir(target); len(entries) != 3 {
		t.Errorf("%s holds %v, want three files and nothing temporary", target, entries)
	}
}

func TestIssueTo_NeverReplacesAFileOfAuthorities(t *testing.T) {
	first, _ := NewAuthority("prod")
	second, _ := NewAuthority("prod")
	folder := t.TempDir()
	if _, err := first.IssueTo(folder, Request{Role: RoleArbiter, Name: "az-a"}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := second.IssueTo(folder, Request{Role: RoleArbiter, Name: "az-a"}, true); !errors.Is(err, ErrExists) {
		t.Fatalf("IssueTo of another authority = %v, want ErrExists", err)
	}
	both := append(first.CertificatePEM(), second.CertificatePEM()...)
	if err := WriteFile(filepath.Join(folder, "ca.crt"), both, 0o644, true); err != nil {
		t.Fatal(err)
	}
	files, err := second.IssueTo(folder, Request{Role: RoleArbiter, Name: "az-a"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if kept, _ := os.ReadFile(files.Authorities); string(kept) != string(both) {
		t.Error("the file with both authorities was changed")
	}
}

func TestWriteFile_ReplacesOnlyWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mark")
	steps := []struct {
		data    string
		replace bool
		want    error
		holds   string
	}{
		{"one", false, nil, "one"},
		{"two", false, ErrExists, "one"},
		{"three", true, nil, "three"},
	}
	for _, step := range steps {
		if err := WriteFile(path, []byte(step.data), 0o600, step.replace); !errors.Is(err, step.want) {
			t.Errorf("WriteFile(%q, replace %v) = %v, want %v", step.data, step.replace, err, step.want)
		}
		if got, _ := os.ReadFile(path); string(got) != step.holds {
			t.Errorf("after writing %q the file holds %q, want %q", step.data, got, step.holds)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("temporary files are left: %v", entries)
	}
	if err := WriteFile(filepath.Join(path, "under-a-file"), nil, 0o600, true); err == nil {
		t.Error("WriteFile below a file succeeded")
	}
}
