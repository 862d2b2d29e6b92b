package serviceapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/secret"
)

const standby = `{"role":"standby"}`

// connectSingle connects to a server whose accepted connections are counted.
func connectSingle(t *testing.T, handle http.HandlerFunc, lost func(error)) (*Client, *atomic.Int32) {
	t.Helper()
	var accepted atomic.Int32
	server := httptest.NewUnstartedServer(handle)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			accepted.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client, err := NewSingle(t.Context(), server.Listener.Addr().String(), Plain(), new(secret.Reader), (&net.Dialer{}).DialContext, lost)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client, &accepted
}

func TestSingle_KeepsItsConnectionBetweenRequests(t *testing.T) {
	for name, test := range map[string]struct {
		closes bool
		want   int32
	}{
		"kept":             {want: 1},
		"closed by server": {closes: true, want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			client, accepted := connectSingle(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.closes {
					w.Header().Set("Connection", "close")
				}
				fmt.Fprint(w, standby)
			}, nil)
			for range 3 {
				if _, err := client.State(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := accepted.Load(); n != test.want {
				t.Errorf("%d connections, want %d", n, test.want)
			}
		})
	}
}

func TestSingle_TellsWhenTheConnectionHasEnded(t *testing.T) {
	for name, test := range map[string]struct {
		goodbye string
		want    error
	}{
		"closed":                {},
		"an answer to nobody":   {goodbye: "HTTP/1.1 408 Request Timeout\r\n\r\n", want: ErrNotTheContract},
		"closed by this client": {goodbye: "none", want: errLost},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			end := make(chan struct{})
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				for range 2 {
					if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
						return
					}
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(standby), standby)
				}
				<-end
				fmt.Fprint(conn, test.goodbye)
			}()
			lost := make(chan error, 1)
			client, err := NewSingle(t.Context(), listener.Addr().String(), Plain(), new(secret.Reader), (&net.Dialer{}).DialContext, func(err error) { lost <- err })
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := client.State(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case err := <-lost:
				t.Fatalf("lost before its end: %v", err)
			default:
			}
			if test.goodbye == "none" {
				client.Close()
			} else {
				close(end)
			}
			select {
			case err := <-lost:
				if test.want != nil && !errors.Is(err, test.want) && !errors.Is(err, net.ErrClosed) {
					t.Errorf("lost by %v, want %v", err, test.want)
				}
			case <-time.After(10 * time.Second):
				t.Error("nobody was told")
			}
			if _, err := client.State(t.Context()); err == nil {
				t.Error("a held connection was made again")
			}
		})
	}
}

func TestSingle_EndsWithItsContextAndIsNotShared(t *testing.T) {
	for name, lost := range map[string]func(error){"alone": nil, "watched": func(error) {}} {
		t.Run(name, func(t *testing.T) {
			asked, release := make(chan struct{}), make(chan struct{})
			client, _ := connectSingle(t, func(http.ResponseWriter, *http.Request) {
				close(asked)
				<-release
			}, lost)
			defer close(release)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			result := make(chan error, 1)
			go func() {
				_, err := client.State(ctx)
				result <- err
			}()
			<-asked
			if _, err := client.State(t.Context()); !errors.Is(err, ErrBusy) {
				t.Errorf("a second request beside the first: %v, want %v", err, ErrBusy)
			}
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("ended by %v, want that of its context", err)
			}
		})
	}
}

// bothWays is with somebody who waits for the end of the connection, and without.
func bothWays(t *testing.T, test func(t *testing.T, lost func(error))) {
	t.Run("alone", func(t *testing.T) { test(t, nil) })
	t.Run("watched", func(t *testing.T) { test(t, func(error) {}) })
}

// A client that is closed while an answer is read doesn't keep whoever reads it.
func TestSingle_ClosedWhileAnAnswerIsRead(t *testing.T) {
	bothWays(t, func(t *testing.T, lost func(error)) {
		client, _ := connectSingle(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, standby) }, lost)
		response, err := client.http.Get(client.base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
		client.Close()
		endsSoon(t, func() { _ = response.Body.Close() })
		if _, err := client.State(t.Context()); err == nil {
			t.Error("a closed client made a look")
		}
	})
}

// Nor does one that is closed at any other moment, the first look's included.
func TestSingle_ClosedDuringLooks(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, standby) }))
	t.Cleanup(server.Close)
	bothWays(t, func(t *testing.T, lost func(error)) {
		for i := range 300 {
			client, err := NewSingle(t.Context(), server.Listener.Addr().String(), Plain(), new(secret.Reader), (&net.Dialer{}).DialContext, lost)
			if err != nil {
				t.Fatal(err)
			}
			began, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				close(began)
				for {
					if _, err := client.State(t.Context()); err != nil {
						return
					}
				}
			}()
			<-began
			for range i { // each time at another moment
				runtime.Gosched()
			}
			client.Close()
			endsSoon(t, func() { <-ended })
		}
	})
}

// endsSoon ends the test if something does not end.
func endsSoon(t *testing.T, what func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		what()
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it hangs")
	}
}

func TestSingle_BoundsWhatItReads(t *testing.T) {
	client, _ := connectSingle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", largestHeader+largestAnswer))
		fmt.Fprint(w, standby)
	}, nil)
	if _, err := client.State(t.Context()); err == nil {
		t.Error("an endless header was read")
	}
}
