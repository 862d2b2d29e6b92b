package main

import (
	"bytes"
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
