package mutants

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutantsAreCurrent asks that every mutant changes the file that it names, at one place.
func TestMutantsAreCurrent(t *testing.T) {
	known := map[string]bool{}
	for _, m := range All() {
		if known[m.Name] || m.Rule == "" || m.What == "" || m.Old == m.New {
			t.Errorf("%q is there twice, or says too little", m.Name)
		}
		known[m.Name] = true
		data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(m.File)))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(data), m.Old); n != 1 {
			t.Errorf("%s: its words stand %d times in %s", m.Name, n, m.File)
		}
	}
	if len(known) < 25 {
		t.Errorf("only %d mutants", len(known))
	}
}

// What stands in the shell is looked for where the shell runs, and nothing is looked for nowhere.
func TestEveryMutantIsSought(t *testing.T) {
	for _, m := range All() {
		shell := strings.HasPrefix(m.Name, "shell-")
		if !m.Sought(Layers("")) || m.Sought(Layers("virtual")) != shell || m.Sought(Layers("sim")) == shell {
			t.Errorf("%s is looked for at the wrong place", m.Name)
		}
	}
}
