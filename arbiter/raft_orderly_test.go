package arbiter

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// These are Raft's own words: a release of it that says them otherwise fails here.
func TestOrderly_IsWhatRaftSays(t *testing.T) {
	folder, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/hashicorp/raft").Output()
	if err != nil {
		t.Fatal(err)
	}
	for message := range orderly {
		if err := exec.CommandContext(t.Context(), "grep", "-rqF", "--include=*.go", `.Error("`+message+`"`, strings.TrimSpace(string(folder))).Run(); err != nil {
			t.Errorf("Raft does not say %q: %v", message, err)
		}
	}
}

func TestOrderly(t *testing.T) {
	closed := &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}
	for _, test := range []struct {
		message string
		err     error
		want    bool
	}{
		{"failed to decode incoming command", closed, true},
		{"failed to decode incoming command", fmt.Errorf("decode: %w", closed), true},
		{"failed to decode incoming command", io.ErrUnexpectedEOF, false},
		{"failed to appendEntries to", raft.ErrTransportShutdown, true},
		{"failed to appendEntries to", io.EOF, false},
		{"failed to decode incoming command", raft.ErrTransportShutdown, true},
		{"peer has newer term, stopping replication", nil, true},
		{"failed to take snapshot", closed, false},
	} {
		if got := Orderly(test.message, "peer", "az-b", "error", test.err); got != test.want {
			t.Errorf("%s, %v: %v", test.message, test.err, got)
		}
	}
}
