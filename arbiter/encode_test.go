package arbiter

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// A leader proposes only what all voters understand: an entry that one of them doesn't understand stops it.
func TestProposesOnlyWhatAllVotersUnderstand(t *testing.T) {
	const next = failover.CurrentVersion + 1
	state := &failover.State{Voters: []failover.NodeID{"az-a", "az-b"}, Views: []failover.View{
		{Node: "az-a", Version: next}, {Node: "az-b", Version: failover.CurrentVersion},
	}}
	pause := failover.Pause{Group: "pay"}
	data, err := encodeNeeding(next, state, pause, 0, "az-a")
	if data != nil || !errors.Is(err, errNotUnderstood) || !strings.Contains(err.Error(), "failover.Pause takes version 2") ||
		!strings.Contains(err.Error(), "arbiterctl arbiters") {
		t.Errorf("a body of the next version: %d bytes, %v", len(data), err)
	}
	if data, err := encodeNeeding(failover.CurrentVersion, state, pause, 0, "az-a"); err != nil || len(data) == 0 {
		t.Errorf("a body of this version: %d bytes, %v", len(data), err)
	}
	state.Views = nil // nobody is known to understand more than the first version
	if data, err := encode(state, pause, 0, "az-a"); err != nil || len(data) == 0 {
		t.Errorf("a body of the first version: %d bytes, %v", len(data), err)
	}
}

// The check stands on every way into the log: nothing else encodes.
func TestOnlyEncodeEncodes(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "Encode" {
				if of, ok := call.X.(*ast.Ident); ok && of.Name == "fsm" {
					found = append(found, name)
				}
			}
			return true
		})
	}
	if len(found) != 1 || found[0] != "encode.go" {
		t.Errorf("fsm.Encode is used in %v", found)
	}
}
