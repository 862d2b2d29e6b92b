package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestRepeats_OncePerPeerAndMinute(t *testing.T) {
	now := time.Unix(1000, 0)
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(func() time.Time { return now }).exclude}).Named("raft")
	count := func(text string) int {
		defer out.Reset()
		return strings.Count(out.String(), text)
	}
	for range 10 {
		log.Error("failed to heartbeat to", "peer", "az-b:7400", "backoff time", time.Second)
		log.Error("failed to heartbeat to", "peer", "az-c:7400", "backoff time", time.Second)
		log.Info("entering leader state")
	}
	text := out.String()
	if strings.Count(text, "az-b") != 1 || strings.Count(text, "az-c") != 1 || strings.Count(text, "entering leader") != 10 {
		t.Errorf("written:\n%s", text)
	}
	out.Reset()
	now = now.Add(repeatAfter)
	log.Error("failed to heartbeat to", "peer", "az-b:7400")
	if count("az-b") != 1 {
		t.Error("a peer that stays away is not heard of any more")
	}
}

// While no majority is there an arbiter tries to be elected several times a second; that stands in the log once a minute.
func TestRepeats_OfAnArbiterAlone(t *testing.T) {
	now := time.Unix(1000, 0)
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(func() time.Time { return now }).exclude}).Named("raft")
	round := func(i int) {
		log.Info("entering candidate state", "node", "Node at az-a:7400 [Candidate]", "term", i)
		log.Info("pre-vote campaign failed, waiting for election timeout", "term", i, "tally", 1)
		log.Warn("Election timeout reached, restarting election")
	}
	for i := range 100 {
		round(i)
		now = now.Add(repeatAfter / 200)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines in half a minute:\n%s", lines, out.String())
	}
	out.Reset()
	now = now.Add(repeatAfter)
	round(101)
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines in the next minute:\n%s", lines, out.String())
	}
}

// A caller that is not let in comes from another port each time.
func TestRepeats_OncePerHostThatIsNotLetIn(t *testing.T) {
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(time.Now).exclude})
	for port := range 10 {
		for _, host := range []string{"10.0.0.1", "2001:db8::1"} {
			from := &net.TCPAddr{IP: net.ParseIP(host), Port: 40000 + port}
			log.Named("raft-net").Error("failed to decode incoming command", "error", &net.OpError{Op: "accept", Net: "tcp", Addr: from, Err: io.ErrUnexpectedEOF})
			log.Warn("connection refused at the gRPC port", "from", from.String(), "error", "certificate of another cluster")
		}
	}
	log.Error("failed to decode incoming command", "error", io.ErrUnexpectedEOF)
	for text, want := range map[string]int{"10.0.0.1:40000": 2, "[2001:db8::1]:40000": 2, "\n": 5} {
		if got := strings.Count(out.String(), text); got != want {
			t.Errorf("%q is there %d times, want %d:\n%s", text, got, want, out.String())
		}
	}
}

// Whoever has a network of addresses comes from another host each time too. That hides nothing else, and there is an end to it.
func TestRepeats_OfStrangersFromEverywhereAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(func() time.Time { return now }).exclude})
	const minutes = 3
	for i := range 100 * 60 * minutes { // a hundred times a second
		from := &net.TCPAddr{IP: net.IPv4(10, 1, byte(i>>8), byte(i)), Port: 40000}
		log.Warn("connection refused at the gRPC port", "from", from.String(), "error", "certificate of another cluster")
		now = now.Add(10 * time.Millisecond)
	}
	log.Error("failed to heartbeat to", "peer", "az-b:7400")
	for text, most := range map[string]int{"connection refused": (minutes + 1) * mostSubjects, "az-b:7400": 1} {
		if got := strings.Count(out.String(), text); got == 0 || got > most {
			t.Errorf("%q is there %d times, want at most %d", text, got, most)
		}
	}
}
