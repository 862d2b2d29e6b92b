package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/keys"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

const (
	// largestBody is how much of an answer is read, in bytes. A text that an answer must contain has to come within it.
	largestBody = 64 << 10
	// largestHeader bounds the header of an answer, in bytes.
	largestHeader = 64 << 10
)

var errNoHTTPCheck = errors.New("the check doesn't say what to ask for; set its http part")

// HTTP checks that the member answers a request as expected: over a new connection each time, without following
// redirects, without a proxy.
type HTTP struct{ secrets *secret.Reader }

// NewHTTP returns a check that reads the values and the CA file of its settings with secrets.
func NewHTTP(secrets *secret.Reader) *HTTP { return &HTTP{secrets: secrets} }

// Look sends the request and compares the answer.
func (h *HTTP) Look(ctx context.Context, t Target, c failover.Check) Look {
	if c.HTTP == nil {
		return badHTTPCheck(errNoHTTPCheck)
	}
	var (
		request  *http.Request
		client   *http.Client
		expected []failover.Setting
	)
	err := readInTime(ctx, func() (err error) {
		if request, err = h.request(ctx, t.Address(c), c.HTTP); err != nil {
			return err
		}
		if client, err = h.client(ctx, c.HTTP); err != nil {
			return err
		}
		expected, err = h.resolved(ctx, c.HTTP.Answers)
		return err
	})
	switch {
	case errors.Is(err, errHeldUp):
		return Look{Evidence: evidenceOf(err)}
	case err != nil:
		return badHTTPCheck(err)
	}
	evidence := ask(client, request, c.HTTP, expected)
	evidence.Detail = withoutSecrets(evidence.Detail, request, c.HTTP, expected)
	return Look{Evidence: evidence}
}

// withoutSecrets is a detail without the secrets that were sent or that an answer had to have: a server may repeat them in its status line, or in
// what is no HTTP. Of "Bearer abc" either part may come back alone.
func withoutSecrets(detail string, request *http.Request, check *failover.HTTPCheck, expected []failover.Setting) string {
	if detail == "" {
		return ""
	}
	var secrets []string
	keep := func(setting failover.Setting, value string) {
		if secret.IsSecret(setting) || keys.HeaderHoldsSecret(setting.Key) {
			_, token, _ := strings.Cut(value, " ")
			secrets = append(secrets, value, token)
		}
	}
	for _, header := range check.Headers {
		if strings.EqualFold(header.Key, "Host") {
			keep(header, request.Host)
			continue
		}
		keep(header, request.Header.Get(header.Key))
	}
	for i, answer := range check.Answers {
		keep(answer, expected[i].Value)
	}
	return secret.NewRedactor(secrets...).Redact(detail)
}

func badHTTPCheck(err error) Look {
	return Look{Evidence: failover.Evidence{Reason: failover.ReasonBadConfiguration, Detail: err.Error()}}
}

func (h *HTTP) request(ctx context.Context, address string, check *failover.HTTPCheck) (*http.Request, error) {
	target := url.URL{Scheme: "http", Host: address, Path: "/"}
	if check.TLS {
		target.Scheme = "https"
	}
	if check.Path != "" {
		reference, err := url.Parse(check.Path)
		if err != nil {
			return nil, fmt.Errorf("read the check's path: %w", err)
		}
		target.Path, target.RawPath, target.RawQuery = reference.Path, reference.RawPath, reference.RawQuery
	}
	request, err := http.NewRequestWithContext(ctx, check.Method, target.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("User-Agent", "arbiter")
	headers, err := h.resolved(ctx, check.Headers)
	for _, header := range headers {
		if strings.EqualFold(header.Key, "Host") {
			request.Host = header.Value
			continue
		}
		request.Header.Set(header.Key, header.Value)
	}
	return request, err
}

// resolved are settings with their values.
func (h *HTTP) resolved(ctx context.Context, settings []failover.Setting) ([]failover.Setting, error) {
	values := make([]failover.Setting, 0, len(settings))
	for _, s := range settings {
		value, err := h.secrets.Resolve(ctx, s)
		if err != nil {
			return nil, err
		}
		values = append(values, failover.Setting{Key: s.Key, Value: value})
	}
	return values, nil
}

// client returns a client for one request. It is not kept, so that a CA file which was replaced counts at once.
func (h *HTTP) client(ctx context.Context, check *failover.HTTPCheck) (*http.Client, error) {
	transport := &http.Transport{
		DialContext:            (&net.Dialer{}).DialContext,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: largestHeader,
	}
	if check.TLS {
		transport.TLSClientConfig = &tls.Config{ServerName: check.ServerName, MinVersion: tls.VersionTLS12}
		if check.CAFile != "" {
			pool, err := h.secrets.Authorities(ctx, check.CAFile)
			if err != nil {
				return nil, fmt.Errorf("ca_file: %w", err)
			}
			transport.TLSClientConfig.RootCAs = pool
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// ask sends the request. The expected headers have their values, which no detail repeats: they may be secrets.
func ask(client *http.Client, request *http.Request, h *failover.HTTPCheck, expected []failover.Setting) failover.Evidence {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{ConnectDone: func(_, _ string, err error) {
		if err == nil {
			connected.Store(true)
		}
	}}
	response, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err != nil {
		return httpError(err, connected.Load())
	}
	defer func() { _ = response.Body.Close() }()
	if !accepted(response.StatusCode, h.Statuses) {
		return failover.Evidence{Reason: failover.ReasonWrongAnswer, Detail: "status " + response.Status}
	}
	if missing := lacking(response.Header, expected); missing != "" {
		return failover.Evidence{Reason: failover.ReasonWrongAnswer, Detail: "the answer's header " + missing + " lacks the expected text"}
	}
	if h.Body == "" {
		return failover.Evidence{Reason: failover.ReasonAnswered}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, largestBody))
	if err != nil {
		return httpError(fmt.Errorf("read the answer: %w", err), true)
	}
	if !bytes.Contains(body, []byte(h.Body)) {
		return failover.Evidence{
			Reason: failover.ReasonWrongAnswer,
			Detail: fmt.Sprintf("the answer's first %d bytes lack the expected text", len(body)),
		}
	}
	return failover.Evidence{Reason: failover.ReasonAnswered}
}

func accepted(status int, wanted []int) bool {
	if len(wanted) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(wanted, status)
}

// lacking names the first expected header that the answer hasn't, or of which no value contains the expected text; empty if there is none.
func lacking(answer http.Header, expected []failover.Setting) string {
	for _, e := range expected {
		if !slices.ContainsFunc(answer.Values(e.Key), func(value string) bool { return strings.Contains(value, e.Value) }) {
			return e.Key
		}
	}
	return ""
}

// httpError sorts an error of net/http. Once connected, what it has no type for are answers that are not HTTP.
func httpError(err error, connected bool) failover.Evidence {
	evidence := postgres.Classify(err)
	if evidence.Reason == failover.ReasonArbiterTrouble && connected && !errors.Is(err, context.Canceled) {
		evidence.Reason = failover.ReasonWrongAnswer
	}
	return acceptedIf(connected, evidence)
}
