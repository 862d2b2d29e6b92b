package config

import (
	"os"
	"strings"
	"testing"
)

func TestAFileOfTheOtherKindHasOneFault(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile("../deploy/three-zones/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	_, _, asSpec := LoadGroup("az-a.yaml", read("az-a.yaml"))
	if asSpec == nil || asSpec.Error() != "az-a.yaml:3: "+notGroupSpec {
		t.Errorf("an arbiter's file as a spec: %v", asSpec)
	}
	_, _, asFile := ParseArbiterFile("orders-db.yaml", read("orders-db.yaml"))
	if asFile == nil || asFile.Error() != "orders-db.yaml:5: "+notArbiterFile {
		t.Errorf("a spec as an arbiter's file: %v", asFile)
	}
	if _, _, err := LoadGroup("g.yaml", []byte("group: g\nnode: a\n")); err == nil || strings.Contains(err.Error(), notGroupSpec) {
		t.Errorf("a spec with a stray key: %v", err)
	}
}
