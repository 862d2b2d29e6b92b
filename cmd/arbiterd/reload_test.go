package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/internal/pki"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// prepared is a daemon with certificates of its own, with nothing started, and what it logs. write writes its file anew, with a log level.
func prepared(t *testing.T, authority *pki.Authority) (d *daemon, log *bytes.Buffer, certificates pki.Files, write func(level string)) {
	t.Helper()
	folder := t.TempDir()
	certificates, err := authority.IssueTo(filepath.Join(folder, "tls"), pki.Request{Role: pki.RoleArbiter, Name: "a"}, false)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "arbiterd.yaml")
	write = func(level string) {
		text := fmt.Sprintf("node: a\ndata: %s\nraft: {listen: \"%s:7400\"}\ngrpc: {listen: \"%[2]s:7401\"}\n", folder, ownAddress()) +
			fmt.Sprintf("arbiters:\n  a: {raft: \"%s:7400\", grpc: \"%[1]s:7401\"}\nlog: {level: %s}\n", ownAddress(), level) +
			fmt.Sprintf("tls: {ca: %s, cert: %s, key: %s}\n", certificates.Authorities, certificates.Certificate, certificates.Key)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("info")
	log = &bytes.Buffer{}
	if d, err = prepare(file, log); err != nil {
		t.Fatal(err)
	}
	return d, log, certificates, write
}

func newAuthority(t *testing.T) *pki.Authority {
	t.Helper()
	authority, err := pki.NewAuthority("lab")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func certificateEnd(d *daemon) time.Time { return d.tls.Expiry(time.Now()).Certificate }

func TestReloadTakesCertificatesAndTheLogLevelOfEveryPart(t *testing.T) {
	authority := newAuthority(t)
	d, log, certificates, write := prepared(t, authority)
	part := d.log.Named("part")
	part.Debug("too early")
	before := certificateEnd(d)
	if _, err := authority.IssueTo(filepath.Dir(certificates.Key), pki.Request{Role: pki.RoleArbiter, Name: "a", ValidFor: 100 * time.Hour}, true); err != nil {
		t.Fatal(err)
	}
	write("debug")
	d.reload()
	part.Debug("in time")
	if after := certificateEnd(d); !after.Before(before) {
		t.Errorf("the certificate in use ends %v, the one before ended %v", after, before)
	}
	text := log.String()
	if strings.Contains(text, "too early") || !strings.Contains(text, "in time") || !strings.Contains(text, "certificates and log level taken: level=debug cert=") {
		t.Errorf("the log is\n%s", text)
	}
	if strings.Contains(text, "started again") {
		t.Errorf("something is said to need a restart:\n%s", text)
	}
}

// The end of a certificate is in the log once a day before it comes, at the start and at each reload too, until another is there.
func TestTheEndOfCertificatesIsToldOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority(t)
		d, log, certificates, _ := prepared(t, authority)
		told := func() int {
			synctest.Wait()
			defer log.Reset()
			return strings.Count(log.String(), "[WARN]  arbiterd: certificates end soon: concern=")
		}
		if n := told(); n != 0 {
			t.Errorf("told %d times of a new certificate", n)
		}
		ended, hangup := make(chan error), make(chan os.Signal)
		attended := make(chan error)
		go func() { attended <- d.attend(ended, hangup) }()
		time.Sleep(pki.DefaultValidity - pki.Notice + time.Hour)
		if n := told(); n != 0 {
			t.Errorf("told %d times before the notice", n)
		}
		time.Sleep(48 * time.Hour)
		if n := told(); n != 2 {
			t.Errorf("told %d times in two days", n)
		}
		hangup <- os.Interrupt
		if n := told(); n != 1 {
			t.Errorf("told %d times at a reload", n)
		}
		if _, err := prepare(d.path, log); err != nil {
			t.Fatal(err)
		}
		if n := told(); n != 1 {
			t.Errorf("told %d times at a start", n)
		}
		if _, err := authority.IssueTo(filepath.Dir(certificates.Key), pki.Request{Role: pki.RoleArbiter, Name: "a"}, true); err != nil {
			t.Fatal(err)
		}
		hangup <- os.Interrupt
		time.Sleep(48 * time.Hour)
		if n := told(); n != 0 {
			t.Errorf("told %d times with a new certificate", n)
		}
		ended <- nil
		if err := <-attended; err != nil {
			t.Error(err)
		}
	})
}

// What a SIGHUP does not take is said to be not taken: whoever changed it would otherwise think that it is in force.
func TestReloadSaysWhatNeedsARestart(t *testing.T) {
	d, log, certificates, _ := prepared(t, newAuthority(t))
	text, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(filepath.Dir(certificates.Certificate), "new.crt")
	if err := os.Link(certificates.Certificate, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.path, bytes.ReplaceAll(text, []byte(certificates.Certificate), []byte(moved)), 0o600); err != nil {
		t.Fatal(err)
	}
	d.reload()
	if said := log.String(); !strings.Contains(said, "they are taken when arbiterd is started again") || !strings.Contains(said, "cert="+certificates.Certificate) {
		t.Errorf("the log is\n%s", said)
	}
}

// A level that came with certificates that are wrong isn't taken either.
func TestReloadTakesNoLevelWithWrongCertificates(t *testing.T) {
	d, _, certificates, write := prepared(t, newAuthority(t))
	if err := os.Remove(certificates.Certificate); err != nil {
		t.Fatal(err)
	}
	write("debug")
	d.reload()
	if d.log.IsDebug() {
		t.Error("the level was taken")
	}
}

// What is wrong is said, with what stays in force, and that stays.
func TestReloadRefusesWhatIsWrongAndKeepsTheOld(t *testing.T) {
	authority := newAuthority(t)
	another := func(t *testing.T, authority *pki.Authority, name string, into pki.Files) {
		t.Helper()
		if _, err := authority.IssueTo(filepath.Dir(into.Key), pki.Request{Role: pki.RoleArbiter, Name: name}, false); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Dir(into.Key)
		for _, ending := range []string{".crt", ".key"} {
			if err := os.Rename(filepath.Join(folder, name+ending), filepath.Join(folder, "a"+ending)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(*testing.T, *daemon, pki.Files)
		says  []string
	}{
		{
			"the certificate is gone", func(t *testing.T, _ *daemon, f pki.Files) { os.Remove(f.Certificate) },
			[]string{"[ERROR]", "the certificates are wrong, the old ones stay in force", "a.crt", "no such file"},
		},
		{
			"another arbiter's", func(t *testing.T, _ *daemon, f pki.Files) { another(t, authority, "b", f) },
			[]string{"[ERROR]", "the certificates are wrong, the old ones stay in force", "arbiter/b"},
		},
		{
			"a file that can't be read", func(t *testing.T, d *daemon, _ pki.Files) { os.WriteFile(d.path, []byte("nodes: a\n"), 0o600) },
			[]string{"[ERROR]", "the file is wrong, nothing was changed", "nodes"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, log, certificates, _ := prepared(t, authority)
			identity, before := d.tls.Identity(), certificateEnd(d)
			c.spoil(t, d, certificates)
			d.reload()
			for _, words := range c.says {
				if !strings.Contains(log.String(), words) {
					t.Errorf("the log does not say %q:\n%s", words, log)
				}
			}
			if d.tls.Identity().String() != identity.String() || !certificateEnd(d).Equal(before) || strings.Contains(log.String(), "taken") {
				t.Errorf("in use is %v until %v", d.tls.Identity(), certificateEnd(d))
			}
		})
	}
}

// A file that doesn't answer changes nothing and holds up nothing for long; one at the start may answer at the next one, so that is tried again.
func TestReloadOfAFileThatHangsKeepsTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log, _, write := prepared(t, newAuthority(t))
		write("debug")
		letGo := make(chan struct{})
		d.files.Open = func(path string) (secret.File, error) {
			<-letGo
			text, err := os.ReadFile(path)
			return secret.File{Content: text}, err
		}
		d.reload()
		said := log.String()
		for _, part := range []string{"[ERROR]", "nothing was changed", d.path, "it did not answer within 5s"} {
			if !strings.Contains(said, part) {
				t.Errorf("the log doesn't say %q:\n%s", part, said)
			}
		}
		if d.log.IsDebug() {
			t.Error("a level was taken that was not read")
		}
		close(letGo)
		synctest.Wait()
		d.reload()
		if !d.log.IsDebug() {
			t.Errorf("the file was let go, and not read:\n%s", log.String())
		}
	})
}
