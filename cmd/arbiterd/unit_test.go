package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
)

// A wrong file is not started again for ever, and the unit keeps what fence agents don't need.
func TestUnitHoldsToTheExitStatusesAndStaysHardened(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "arbiterd.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Restart=always", "StartLimitIntervalSec=0", "KillMode=mixed", "RestartPreventExitStatus=78", "User=arbiter", "UMask=0077", "CapabilityBoundingSet=", "NoNewPrivileges=yes",
		"SystemCallFilter=@system-service", "RestrictNamespaces=yes", "RestrictRealtime=yes", "ProtectHostname=yes", "ProtectProc=invisible",
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the unit has no line %q", line)
		}
	}
	if exitBadInput != 78 { // not 1 nor 2, with which Go programs end that met a bug
		t.Errorf("a wrong file ends with %d, and the unit counts on 78", exitBadInput)
	}
}

// An arbiter, validate on an operator's machine, and the page look for fence agents in the same folders.
func TestThePageHasTheFoldersOfFenceAgents(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "arbiter-file.md"))
	if err != nil {
		t.Fatal(err)
	}
	if row := "| `fence_agent_dirs` | `[" + strings.Join(fenceagent.DefaultDirectories(), ", ") + "]` |"; !strings.Contains(string(text), row) {
		t.Errorf("docs/arbiter-file.md has no row %q", row)
	}
	file, _, err := config.ParseArbiterFile("a.yaml", []byte("node: a\narbiters: {a: {raft: \"a:1\", grpc: \"a:2\"}}\ninsecure_plaintext: true\n"))
	if err != nil || len(file.FenceAgentDirs) > 0 {
		t.Errorf("a file that names no folders has a list of its own: %v, %v", file, err)
	}
}
