package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Client is a client of the service: what an application would use, and the laboratory's own questions. It uses one
// connection.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client of the service at address; dial may lead elsewhere.
func NewClient(address string, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	return &Client{base: "http://" + address, http: &http.Client{Transport: &http.Transport{DialContext: dial, MaxConnsPerHost: 1}}}
}

// Drop closes the connection.
func (c *Client) Drop() { c.http.CloseIdleConnections() }

// Connect makes sure that somebody answers.
func (c *Client) Connect(ctx context.Context) error {
	var state serviceapi.State
	return c.ask(ctx, http.MethodGet, serviceapi.Prefix+string(serviceapi.VerbState), nil, &state)
}

// Append commits one order, and returns the name of the member that acknowledged it.
func (c *Client) Append(ctx context.Context, writer string, number int64) (member string, err error) {
	var a acknowledged
	err = c.ask(ctx, http.MethodPost, appendPath, order{Writer: writer, Number: number}, &a)
	if err == nil && a.Member == "" {
		err = errors.New("it does not say who acknowledges")
	}
	return a.Member, err
}

// Orders are the numbers of a writer's orders that the service has.
func (c *Client) Orders(ctx context.Context, writer string) ([]int64, error) {
	var numbers []int64
	return numbers, c.ask(ctx, http.MethodGet, ordersPath+"?writer="+url.QueryEscape(writer), nil, &numbers)
}

// Beat tries a write that needs this member's disk only. accepted is false for a standby; executed is the wall time just
// before the write.
func (c *Client) Beat(ctx context.Context) (executed time.Time, accepted bool, err error) {
	var m made
	err = c.ask(ctx, http.MethodPost, beatPath, nil, &m)
	if serviceapi.Refused(err) == serviceapi.CodeNotPrimary {
		return executed, false, nil
	}
	return m.Executed, err == nil, err
}

func (c *Client) ask(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.GetBody = nil // nothing is sent twice behind the caller's back
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answered, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		refusal := &serviceapi.Refusal{Status: response.StatusCode}
		if json.Unmarshal(answered, refusal) != nil {
			return fmt.Errorf("the service answers %s", response.Status)
		}
		return refusal
	}
	return json.Unmarshal(answered, into)
}
