package probe

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// httpHandler behaves as the path says.
func httpHandler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/moved":
		http.Redirect(w, r, "/", http.StatusFound)
	case "/down":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "/late":
		_, _ = w.Write([]byte(strings.Repeat(" ", largestBody) + "ready"))
	case "/hang":
		<-r.Context().Done()
	case "/trickle":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "/roles":
		w.Header().Add("X-Role", "role=standby")
		w.Header().Add("X-Role", "role=primary; shard s3cret")
	case "/echo":
		_, _ = w.Write([]byte(r.Method + " " + r.Host + " " + r.Header.Get("X-Token") + " " + r.URL.RawQuery))
	default:
		_, _ = w.Write([]byte("role: primary, ready"))
	}
}

func TestHTTPEvidence(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(httpHandler))
	t.Cleanup(server.Close)
	encrypted := httptest.NewTLSServer(http.HandlerFunc(httpHandler))
	t.Cleanup(encrypted.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encrypted.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatalf("write the CA: %v", err)
	}
	t.Setenv("PROBE_TOKEN", "s3cret")
	plain, secure := server.Listener.Addr().String(), encrypted.Listener.Addr().String()

	for _, test := range []struct {
		name    string
		address string
		check   failover.HTTPCheck
		want    failover.Reason
	}{
		{"answers", plain, failover.HTTPCheck{}, failover.ReasonAnswered},
		{"body contains the text", plain, failover.HTTPCheck{Path: "/", Body: "role: primary"}, failover.ReasonAnswered},
		{"body lacks the text", plain, failover.HTTPCheck{Body: "role: standby"}, failover.ReasonWrongAnswer},
		{"text comes too late in the body", plain, failover.HTTPCheck{Path: "/late", Body: "ready"}, failover.ReasonWrongAnswer},
		{"status 503", plain, failover.HTTPCheck{Path: "/down"}, failover.ReasonWrongAnswer},
		{"status 503 as expected", plain, failover.HTTPCheck{Path: "/down", Statuses: []int{200, 503}}, failover.ReasonAnswered},
		{"redirects are not followed", plain, failover.HTTPCheck{Path: "/moved"}, failover.ReasonWrongAnswer},
		{"a redirect as expected", plain, failover.HTTPCheck{Path: "/moved", Statuses: []int{302}}, failover.ReasonAnswered},
		{
			"method, headers, query", plain,
			failover.HTTPCheck{
				Path: "/echo?a=b", Method: "POST", Body: "POST db.example s3cret a=b",
				Headers: []failover.Setting{{Key: "Host", Value: "db.example"}, {Key: "X-Token", Env: "PROBE_TOKEN"}},
			},
			failover.ReasonAnswered,
		},
		{
			"header can't be resolved", plain,
			failover.HTTPCheck{Headers: []failover.Setting{{Key: "X-Token", Env: "PROBE_NO_TOKEN"}}},
			failover.ReasonBadConfiguration,
		},
		{"answer's header contains the text", plain, answering("x-role", "primary"), failover.ReasonAnswered},
		{"answer's header is there", plain, answering("X-Role", ""), failover.ReasonAnswered},
		{"answer's header lacks the text", plain, answering("X-Role", "witness"), failover.ReasonWrongAnswer},
		{"answer's header is missing", plain, answering("X-Other", ""), failover.ReasonWrongAnswer},
		{
			"answer's header contains a secret", plain,
			failover.HTTPCheck{Path: "/roles", Answers: []failover.Setting{{Key: "X-Role", Env: "PROBE_TOKEN"}}},
			failover.ReasonAnswered,
		},
		{
			"answer's header can't be resolved", plain,
			failover.HTTPCheck{Path: "/roles", Answers: []failover.Setting{{Key: "X-Role", Env: "PROBE_NO_TOKEN"}}},
			failover.ReasonBadConfiguration,
		},
		{"repeats a secret in its status", says(t, "HTTP/1.1 503 s3cret is not known\r\n\r\n"), sending("X-Token", ""), failover.ReasonWrongAnswer},
		{"repeats a secret in a wrong status", says(t, "HTTP/1.1 s3cret\r\n\r\n"), sending("X-Token", ""), failover.ReasonWrongAnswer},
		{"repeats a secret instead of HTTP", says(t, "you sent s3cret\r\n"), sending("X-Token", ""), failover.ReasonWrongAnswer},
		{"repeats a token without its scheme", says(t, "HTTP/1.1 401 s3cret\r\n\r\n"), sending("Authorization", "Bearer s3cret"), failover.ReasonWrongAnswer},
		{"hangs before the header", plain, failover.HTTPCheck{Path: "/hang"}, failover.ReasonTimeout},
		{"hangs in the body", plain, failover.HTTPCheck{Path: "/trickle", Body: "ready"}, failover.ReasonTimeout},
		{"TLS with its CA", secure, failover.HTTPCheck{TLS: true, CAFile: ca}, failover.ReasonAnswered},
		{"TLS with another name", secure, failover.HTTPCheck{TLS: true, CAFile: ca, ServerName: "example.com"}, failover.ReasonAnswered},
		{"TLS with a wrong name", secure, failover.HTTPCheck{TLS: true, CAFile: ca, ServerName: "wrong.example"}, failover.ReasonBadConfiguration},
		{"TLS with an unknown CA", secure, failover.HTTPCheck{TLS: true}, failover.ReasonBadConfiguration},
		{"CA file missing", secure, failover.HTTPCheck{TLS: true, CAFile: "missing.pem"}, failover.ReasonBadConfiguration},
		{"TLS where there is none", plain, failover.HTTPCheck{TLS: true}, failover.ReasonWrongAnswer},
		{"not HTTP", listen(t, func(c *net.TCPConn) { _, _ = c.Write([]byte("SSH-2.0-x\r\n")); _ = c.CloseWrite() }), failover.HTTPCheck{}, failover.ReasonWrongAnswer},
		{"refused", freeport.Address(t), failover.HTTPCheck{}, failover.ReasonRefused},
		{"reset", resets(t), failover.HTTPCheck{}, failover.ReasonReset},
		{"malformed path", plain, failover.HTTPCheck{Path: "/%zz"}, failover.ReasonBadConfiguration},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := fastCheck()
			c.Kind, c.HTTP, c.Timeout = failover.CheckHTTP, &test.check, 20*time.Second
			if test.want == failover.ReasonTimeout {
				c.Timeout = 200 * ms
			}
			look := lookAt(NewHTTP(new(secret.Reader)), tcpTarget(test.address), c)
			if look.Evidence.Reason != test.want {
				t.Fatalf("evidence: got %+v, want %s", look.Evidence, test.want)
			}
			if look.Evidence.Accepted != (test.want == failover.ReasonTimeout) {
				t.Errorf("who hangs has accepted the connection: %+v", look.Evidence)
			}
			if strings.Contains(look.Evidence.Detail, "s3cret") {
				t.Fatalf("the detail holds a secret: %q", look.Evidence.Detail)
			}
		})
	}
}

// says is a server that answers whatever it is asked with a text.
func says(t *testing.T, text string) (address string) {
	return listen(t, func(c *net.TCPConn) { _, _ = c.Write([]byte(text)); _ = c.CloseWrite() })
}

// sending is a check that sends a header; without a value it is the secret of the environment.
func sending(name, value string) failover.HTTPCheck {
	s := failover.Setting{Key: name, Value: value}
	if value == "" {
		s.Env = "PROBE_TOKEN"
	}
	return failover.HTTPCheck{Headers: []failover.Setting{s}}
}

func answering(name, text string) failover.HTTPCheck {
	return failover.HTTPCheck{Path: "/roles", Answers: []failover.Setting{{Key: name, Value: text}}}
}

func TestHTTPWithoutItsPart(t *testing.T) {
	if look := lookAt(NewHTTP(new(secret.Reader)), tcpTarget("127.0.0.1:1"), fastCheck()); look.Evidence.Reason != failover.ReasonBadConfiguration {
		t.Fatalf("evidence: got %+v, want bad-configuration", look.Evidence)
	}
}
