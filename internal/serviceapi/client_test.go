package serviceapi

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// service answers with a state whose operation names who asked and how.
func service(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	switch {
	case password != "s3cret":
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasSuffix(r.URL.Path, "/promote"):
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"error":"newer-epoch","epoch":9}`)
	case strings.HasSuffix(r.URL.Path, "/stop"):
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	default:
		var o Order
		_ = json.NewDecoder(r.Body).Decode(&o) // a GET has none
		fmt.Fprintf(w, `{"role":"standby","epoch":%d,"trouble":%q}`, o.Epoch, user+" "+r.Method+" "+r.URL.Path)
	}
}

// passwordFile is where the client's password is.
const passwordFile = "/secrets/p"

// secretOf reads a password that isn't on the disk, unless it is empty, and everything else that is.
func secretOf(value string) *secret.Reader {
	return &secret.Reader{Open: func(path string) (secret.File, error) {
		if path == passwordFile && value != "" {
			return secret.File{Content: []byte(value)}, nil
		}
		content, err := os.ReadFile(path)
		return secret.File{Content: content}, err
	}}
}

func TestClient(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(service))
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(service))
	t.Cleanup(secure.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	password := failover.Setting{File: passwordFile}
	for _, test := range []struct {
		name    string
		server  *httptest.Server
		connect failover.Connect
		secret  string
		want    string // in the error; empty for none
	}{
		{"plain", plain, failover.Connect{SSLMode: "disable", User: "u", Password: password}, "s3cret", ""},
		{"secure", secure, failover.Connect{SSLMode: "verify-full", SSLRoot: ca, User: "u", Password: password}, "s3cret", ""},
		{"wrong password", plain, failover.Connect{SSLMode: "disable", User: "u", Password: password}, "wrong", "401"},
		{"no password", plain, failover.Connect{SSLMode: "disable", User: "u"}, "", "401"},
		{"unknown CA", secure, failover.Connect{SSLMode: "verify-full", User: "u", Password: password}, "s3cret", "certificate"},
		{"plain client", secure, failover.Connect{SSLMode: "disable", User: "u", Password: password}, "s3cret", "contract"},
		{"secret is missing", plain, failover.Connect{SSLMode: "disable", Password: password}, "", "resolve the password"},
		{"no CA file", secure, failover.Connect{SSLMode: "verify-full", SSLRoot: ca + "x"}, "", "sslrootcert: read "},
		{"mode of libpq", plain, failover.Connect{SSLMode: "prefer"}, "", "use disable or verify-full"},
	} {
		c, err := NewClient(t.Context(), test.server.Listener.Addr().String(), test.connect, secretOf(test.secret), nil)
		var state State
		if err == nil {
			t.Cleanup(c.Close)
			state, err = c.State(t.Context())
		}
		switch {
		case test.want == "" && (err != nil || state.Trouble != "u GET /arbiter/v1/state"):
			t.Errorf("%s: %+v, %v", test.name, state, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		case err != nil && strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%s: the error has the password: %v", test.name, err)
		}
	}
}

func TestClientOrders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(service))
	t.Cleanup(server.Close)
	connect := failover.Connect{SSLMode: "disable", User: "u", Password: failover.Setting{Value: "s3cret"}}
	c, err := NewClient(t.Context(), server.Listener.Addr().String(), connect, secretOf("s3cret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if state, err := c.Do(t.Context(), VerbToken, Order{Epoch: 7}); err != nil || state.Epoch != 7 {
		t.Errorf("token: %+v, %v", state, err)
	}
	_, err = c.Do(t.Context(), VerbPromote, Order{Epoch: 7})
	if Refused(err) != CodeNewerEpoch || MayHaveActed(err) || !strings.Contains(err.Error(), "its token is 9") {
		t.Errorf("promote: %v", err)
	}
	if _, err := c.Do(t.Context(), VerbStop, Order{Epoch: 7}); !errors.Is(err, ErrNotTheContract) {
		t.Errorf("a redirect was followed: %v", err)
	}
}

// What no service can be isn't passed on as what one is.
func TestClientRefusesImpossibleStates(t *testing.T) {
	var answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	t.Cleanup(server.Close)
	c, err := NewClient(t.Context(), server.Listener.Addr().String(), Plain(), new(secret.Reader), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, test := range []struct{ answer, want string }{
		{`{"role": "primary", "sync": {"need": 1, "names": ["b"]}}`, ""},
		{`{"role": "boss"}`, "role"},
		{`{"role": "primary", "system_id": "` + strings.Repeat("x", 257) + `"}`, "system_id"},
		{`{"role": "primary", "sync": {"need": -1, "names": ["b"]}}`, "needs -1"},
		{`{"role": "primary", "sync": {"need": 4294967296, "names": ["b"]}}`, "needs 4294967296"},
	} {
		answer = test.answer
		_, err := c.State(t.Context())
		if refused := test.want != ""; errors.Is(err, ErrNotTheContract) != refused || refused && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.80s: %v, want %q", test.answer, err, test.want)
		}
	}
}

// What was never connected, or held back, can't have been done.
func TestMayHaveActed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	promote := func(ctx context.Context) error {
		c, err := NewClient(t.Context(), listener.Addr().String(), Plain(), new(secret.Reader), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.Do(ctx, VerbPromote, Order{})
		return err
	}
	refused := permit.With(t.Context(), func() error { return permit.ErrExpired })
	if err := promote(refused); !errors.Is(err, permit.ErrExpired) || MayHaveActed(err) {
		t.Errorf("held back: %v", err)
	}
	go func() {
		for range 2 {
			if conn, err := listener.Accept(); err == nil {
				_, _ = conn.Read(make([]byte, 1)) // nothing comes of the one that is held back
				_ = conn.Close()
			}
		}
	}()
	if err := promote(t.Context()); err == nil || !MayHaveActed(err) {
		t.Errorf("a request of which something arrived: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := promote(t.Context()); err == nil || MayHaveActed(err) {
		t.Errorf("a connection that was refused: %v", err)
	}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{&Refusal{Status: 409, Code: CodeNewerEpoch}, false},
		{&Refusal{Status: 500, Code: "failed"}, true},
		{fmt.Errorf("no such file: %w", ErrUnusableSettings), false},
		{errors.New("anything else"), true},
	} {
		if got := MayHaveActed(test.err); got != test.want {
			t.Errorf("%v may have acted: %v, want %v", test.err, got, test.want)
		}
	}
}
