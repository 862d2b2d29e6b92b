package clustertest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// line is the first line that has all the texts; empty if there is none yet.
func (j *journal) line(texts ...string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		has := true
		for _, text := range texts {
			has = has && strings.Contains(line, text)
		}
		if has {
			return line
		}
	}
	return ""
}

// keepLog keeps what the arbiters log from now on.
func (c *cluster) keepLog() *journal {
	j := &journal{}
	c.log = hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: io.MultiWriter(j, c.t.Output())})
	return j
}

func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q doesn't say %q", err, part)
		}
	}
}

// While a cluster forms, an arbiter with a certificate of another cluster ends and says so; the others say whom they don't trust, and go on
// waiting: once it has the right certificate the cluster forms.
func TestStrangersCertificate_WhileTheClusterForms(t *testing.T) {
	c := newCluster(t, true)
	log := c.keepLog()
	other, err := pki.NewAuthority("other")
	if err != nil {
		t.Fatal(err)
	}
	c.strangers = map[failover.NodeID]*pki.Authority{"az-b": other}
	c.startAll()
	if err = c.ended("az-b"); !errors.Is(err, arbiter.ErrNotTrusted) {
		t.Fatalf("az-b ended with %v", err)
	}
	says(t, err, `certificate of another cluster: it is of arbiter "az-a" in cluster "lab", and this is cluster "other"`, "az-b.crt", "ca.crt", "arbiterctl pki issue")
	c.eventually("the others say whose certificate is wrong", func(context.Context) bool {
		const warning = "another arbiter's certificate and this one's don't go together"
		return log.line("[WARN]", warning, "node=az-a", "peer=az-b", `cluster \"other\"`, "az-a.crt", "arbiterctl pki issue") != "" &&
			log.line("[WARN]", warning, "node=az-c", "peer=az-b") != ""
	})
	var line string
	c.eventually("somebody says who was refused", func(context.Context) bool {
		line = log.line("[WARN]", "connection refused at the gRPC port", "from=")
		return line != ""
	})
	_, rest, _ := strings.Cut(line, "from=")
	from, _, _ := strings.Cut(rest, " ")
	if _, _, err := net.SplitHostPort(from); err != nil {
		t.Errorf("who was refused is not named: %q", line)
	}
	c.strangers = nil
	c.start("az-b")
	c.leader()
}

// A member is not started with a certificate of another cluster: nobody would hear it, and its log would be full of that.
func TestStrangersCertificate_OfAMember(t *testing.T) {
	c := startCluster(t)
	c.stop("az-b")
	other, err := pki.NewAuthority("other")
	if err != nil {
		t.Fatal(err)
	}
	c.strangers = map[failover.NodeID]*pki.Authority{"az-b": other}
	c.start("az-b")
	if err = c.ended("az-b"); !errors.Is(err, arbiter.ErrOtherClusterID) {
		t.Fatalf("az-b ended with %v", err)
	}
	says(t, err, `of cluster "lab"`, "az-b.crt", `of cluster "other"`, "arbiterctl pki issue")
}
