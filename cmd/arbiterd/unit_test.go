package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A wrong file is not started again for ever, and the unit keeps what fence agents don't need.
func TestUnitHoldsToTheExitStatusesAndStaysHardened(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "arbiterd.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Restart=always", "RestartPreventExitStatus=2", "User=arbiter", "UMask=0077", "CapabilityBoundingSet=", "NoNewPrivileges=yes",
		"SystemCallFilter=@system-service", "RestrictNamespaces=yes", "RestrictRealtime=yes", "ProtectHostname=yes", "ProtectProc=invisible",
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the unit has no line %q", line)
		}
	}
	if exitBadInput != 2 {
		t.Errorf("a wrong file ends with %d, and the unit counts on 2", exitBadInput)
	}
}
