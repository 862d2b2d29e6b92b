package pki

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const day = 24 * time.Hour

// issued is the certificate of an arbiter for so long.
func issued(t *testing.T, authority *Authority, validFor time.Duration) *Reloader {
	t.Helper()
	files, err := authority.IssueTo(t.TempDir(), Request{Role: RoleArbiter, Name: "az-a", ValidFor: validFor}, false)
	if err != nil {
		t.Fatal(err)
	}
	reloader, err := NewReloader(files)
	if err != nil {
		t.Fatal(err)
	}
	return reloader
}

func TestExpiry_WhenSomebodyIsTold(t *testing.T) {
	authority := newAuthority(t, "prod")
	now := time.Now()
	for name, test := range map[string]struct {
		valid time.Duration
		after time.Duration // from now
		says  string
		over  bool
	}{
		"long before":                  {DefaultValidity, 0, "", false},
		"just before the notice":       {DefaultValidity, DefaultValidity - Notice - time.Hour, "", false},
		"within the notice":            {DefaultValidity, DefaultValidity - Notice + time.Hour, "in 29 days; issue a new one", false},
		"within hours":                 {DefaultValidity, DefaultValidity - 30*time.Hour, "in 30 hours; issue a new one", false},
		"ended":                        {DefaultValidity, DefaultValidity + time.Hour, "ended at ", true},
		"a short life, two thirds":     {3 * day, 2*day - 2*time.Hour, "", false},
		"a short life, the last one":   {3 * day, 2*day + 2*time.Hour, "in 22 hours", false},
		"the clock is before it":       {DefaultValidity, -day, "", false},
		"a month's life isn't a worry": {Notice, 0, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			reloader := issued(t, authority, test.valid)
			e := reloader.Expiry(now.Add(test.after))
			if (e.Concern == "") != (test.says == "") || !strings.Contains(e.Concern, test.says) || e.Over != test.over {
				t.Errorf("it says %q, over %v", e.Concern, e.Over)
			}
			if e.Concern != "" && (!strings.Contains(e.Concern, reloader.Files().Certificate) || strings.Contains(e.Concern, "authority")) {
				t.Errorf("it says %q", e.Concern)
			}
		})
	}
}

// A certificate of an authority that ends soon ends with it: a new one would be no better, and that is what is said.
func TestExpiry_OfTheAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority(t, "prod")
		time.Sleep(AuthorityValidity - 25*day)
		cut, shorter := issued(t, authority, 0), issued(t, authority, 3*day)
		if e := cut.Expiry(time.Now()); !strings.HasPrefix(e.Concern, "the authority in "+cut.Files().Authorities) || strings.Contains(e.Concern, "issue") ||
			time.Until(e.Authority) > 25*day || e.Over {
			t.Errorf("%+v", e)
		}
		time.Sleep(3*day - time.Hour)
		if e := shorter.Expiry(time.Now()); !strings.HasPrefix(e.Concern, "the authority in ") || !strings.Contains(e.Concern, "; its certificate ") {
			t.Errorf("both end, and it says %q", e.Concern)
		}
	})
}

// In the middle of a change of authority only the one counts that the certificate rests on.
func TestExpiry_OfTwoAuthorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := newAuthority(t, "prod")
		time.Sleep(AuthorityValidity - 20*day)
		after := newAuthority(t, "prod")
		files, err := after.IssueTo(t.TempDir(), Request{Role: RoleArbiter, Name: "az-a"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files.Authorities, append(before.CertificatePEM(), after.CertificatePEM()...), 0o600); err != nil {
			t.Fatal(err)
		}
		reloader, err := NewReloader(files)
		if err != nil {
			t.Fatal(err)
		}
		if e := reloader.Expiry(time.Now()); e.Concern != "" || time.Until(e.Authority) < AuthorityValidity-day {
			t.Errorf("%+v", e)
		}
		if _, err := before.IssueTo(filepath.Dir(files.Key), Request{Role: RoleArbiter, Name: "az-a"}, true); err != nil {
			t.Fatal(err)
		}
		if err := reloader.Reload(); err != nil {
			t.Fatal(err)
		}
		if e := reloader.Expiry(time.Now()); !strings.HasPrefix(e.Concern, "the authority in ") {
			t.Errorf("it rests on the old one, and it says %q", e.Concern)
		}
	})
}

// Where the authority's certificate was made anew for its key, both stand behind what it issued, and the later end counts.
func TestExpiry_OfAnAuthorityMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority(t, "prod")
		time.Sleep(AuthorityValidity - 20*day)
		files, err := authority.IssueTo(t.TempDir(), Request{Role: RoleArbiter, Name: "az-a", ValidFor: 15 * day}, false)
		if err != nil {
			t.Fatal(err)
		}
		again := *authority.certificate
		renewed, err := sign(&again, &again, authority.key.Public(), authority.key, AuthorityValidity)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files.Authorities, append(authority.CertificatePEM(), encodeCertificate(renewed.Raw)...), 0o600); err != nil {
			t.Fatal(err)
		}
		reloader, err := NewReloader(files)
		if err != nil {
			t.Fatal(err)
		}
		if e := reloader.Expiry(time.Now()); e.Concern != "" || !e.Authority.Equal(renewed.NotAfter) {
			t.Errorf("%+v, the new one ends at %v", e, renewed.NotAfter)
		}
	})
}
