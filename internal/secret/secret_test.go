package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

func write(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestResolve(t *testing.T) {
	t.Setenv("SECRET_TEST_SET", "from env")
	t.Setenv("SECRET_TEST_EMPTY", "")
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		setting failover.Setting
		want    string
		err     error
	}{
		"literal":               {setting: failover.Setting{Value: "plain"}, want: "plain"},
		"empty literal":         {setting: failover.Setting{}, want: ""},
		"file":                  {setting: failover.Setting{File: write(t, "s3cret", 0o600)}, want: "s3cret"},
		"one newline is cut":    {setting: failover.Setting{File: write(t, "s3cret\n\n", 0o600)}, want: "s3cret\n"},
		"windows line end":      {setting: failover.Setting{File: write(t, "s3cret\r\n", 0o600)}, want: "s3cret"},
		"spaces are kept":       {setting: failover.Setting{File: write(t, " s3 \n", 0o600)}, want: " s3 "},
		"file without content":  {setting: failover.Setting{File: write(t, "\n", 0o600)}, err: ErrEmpty},
		"no such file":          {setting: failover.Setting{File: "/nowhere/x"}, err: fs.ErrNotExist},
		"a folder":              {setting: failover.Setting{File: t.TempDir()}, err: ErrNotAFile},
		"a pipe does not block": {setting: failover.Setting{File: pipe}, err: ErrNotAFile},
		"large":                 {setting: failover.Setting{File: write(t, strings.Repeat("x", largest+1), 0o600)}, err: ErrTooLarge},
		"environment":           {setting: failover.Setting{Env: "SECRET_TEST_SET"}, want: "from env"},
		"not set":               {setting: failover.Setting{Env: "SECRET_TEST_NOT_SET"}, err: ErrNotSet},
		"set to nothing":        {setting: failover.Setting{Env: "SECRET_TEST_EMPTY"}, err: ErrEmpty},
		"two sources":           {setting: failover.Setting{Value: "hidden", Env: "SECRET_TEST_SET"}, err: ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			test.setting.Key = "password"
			got, err := new(Reader).Resolve(t.Context(), test.setting)
			if got != test.want || !errors.Is(err, test.err) {
				t.Fatalf("got %q, %v; want %q, %v", got, err, test.want, test.err)
			}
			if err != nil && !strings.Contains(err.Error(), `"password"`) {
				t.Errorf("error does not name the setting: %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "hidden") {
				t.Errorf("error has the secret: %v", err)
			}
		})
	}
}

func TestWarningOnlyForWorldReadableFiles(t *testing.T) {
	open := failover.Setting{Key: "password", File: write(t, "s3cret", 0o644)}
	if got := new(Reader).Warning(t.Context(), open); !strings.Contains(got, open.File) || strings.Contains(got, "s3cret") {
		t.Errorf("got %q", got)
	}
	for _, s := range []failover.Setting{{Value: "x"}, {File: write(t, "s", 0o640)}, {File: "/nowhere"}, {Env: "HOME"}} {
		if got := new(Reader).Warning(t.Context(), s); got != "" {
			t.Errorf("%+v: got %q", s, got)
		}
	}
}

func TestIsSecret(t *testing.T) {
	for _, s := range []failover.Setting{
		{Key: "ip", File: "/x"},
		{Key: "ip", Env: "X"},
		{Key: "passwd", Value: "x"},
		{Key: "Password", Value: "x"},
		{Key: "snmp_priv_passwd", Value: "x"},
		{Key: "secret_key", Value: "x"},
		{Key: "pass", Value: "x"},
	} {
		if !IsSecret(s) {
			t.Errorf("%+v is a secret", s)
		}
	}
	for _, s := range []failover.Setting{{Key: "ip", Value: "x"}, {Key: "passwd_script", Value: "/x"}, {Key: "plug", Value: "1"}} {
		if IsSecret(s) {
			t.Errorf("%+v is not a secret", s)
		}
	}
}

// Scenario 55: secrets never appear in logs, status, snapshots or errors.
func TestScenario55_RedactorFindsEveryForm(t *testing.T) {
	const tricky = `p&ss 'w"rd\<5>`
	r := NewRedactor(tricky, "abc", "abcdef", "", "line one\nline two")
	encoded := base64.StdEncoding.EncodeToString([]byte(tricky))
	for _, text := range []string{
		tricky, "-P '" + strings.ReplaceAll(tricky, `'`, `'"'"'`) + "'", fmt.Sprintf("%q", tricky), encoded,
		"p%26ss+%27w%22rd%5C%3C5%3E", "p&amp;ss &#39;w&#34;rd\\&lt;5&gt;", `p\u0026ss 'w\"rd\\\u003c5\u003e`,
	} {
		got := r.Redact("before " + text + " after")
		if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, Mark) ||
			strings.Contains(got, "rd") && strings.Contains(got, "ss") {
			t.Errorf("%s became %s", text, got)
		}
	}
	if got := r.Redact("x abcdef abc y"); got != "x "+Mark+" "+Mark+" y" {
		t.Errorf("overlapping secrets: %q", got)
	}
	if got := r.Redact("a\nline two\nb"); got != "a\n"+Mark+"\nb" {
		t.Errorf("one line of a secret: %q", got)
	}
}

func TestRedactCutDropsHalfASecret(t *testing.T) {
	r := NewRedactor("hunter2hunter2")
	for cut := range len("hunter2hunter2") {
		got := r.RedactCut("the password is hunter2hunter2"[:16+cut])
		if strings.Contains(got, "hu") {
			t.Fatalf("cut at %d left %q", cut, got)
		}
	}
	if got := (Redactor{}).RedactCut("kept"); got != "kept" {
		t.Errorf("got %q", got)
	}
}

func TestRedactedErrorKeepsItsMeaning(t *testing.T) {
	r := NewRedactor("hunter2")
	err := r.Error(fmt.Errorf("log in as hunter2: %w", fs.ErrPermission))
	if strings.Contains(err.Error(), "hunter2") || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
	if got := r.Error(fs.ErrPermission); got != fs.ErrPermission {
		t.Errorf("an error without a secret became %v", got)
	}
	if r.Error(nil) != nil {
		t.Error("nil became an error")
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("hunter2", "a", "b")
	f.Add("'", "x", "'")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(secret) < 4 || strings.Contains(Mark, secret) || strings.Contains(secret, "[") || strings.Contains(secret, "]") {
			t.Skip()
		}
		got := NewRedactor(secret).Redact(before + secret + after)
		if strings.Contains(strings.ReplaceAll(got, Mark, "[]"), secret) {
			t.Errorf("%q is left in %q", secret, got)
		}
	})
}
