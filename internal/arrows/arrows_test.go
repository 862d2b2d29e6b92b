package arrows

import (
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// source is one file of a made-up tree: a package comment, the imports, then the rest.
func source(imports []string, rest string) string {
	var text strings.Builder
	text.WriteString("// Package p is for a test.\npackage p\n")
	for _, imported := range imports {
		text.WriteString("import \"" + imported + "\"\n")
	}
	return text.String() + rest
}

// check returns the faults of a made-up tree as "file:line rule".
func check(t *testing.T, files map[string]string) []string {
	t.Helper()
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	loaded, err := Load(tree)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	var places []string
	for _, fault := range loaded.Check() {
		place, _, _ := strings.Cut(fault.String(), ": ")
		places = append(places, place+" "+fault.Rule)
	}
	return places
}

const raft = "github.com/hashicorp/raft"

func TestImports(t *testing.T) {
	tests := []struct {
		name    string
		file    string
		imports []string
		want    []string
	}{
		{"core on the standard library", "failover/a.go", []string{"fmt", "slices"}, nil},
		{"core imports a library", "failover/a.go", []string{"github.com/some/thing"}, []string{"failover/a.go:3 standard"}},
		{"core imports another layer", "failover/a.go", []string{module + "/proto/arbiter/v1"}, []string{"failover/a.go:3 layer"}},
		{"test of the core may use a library", "failover/a_test.go", []string{"github.com/some/thing"}, nil},
		{"state machine uses raft and core", "fsm/a.go", []string{raft, module + "/failover"}, nil},
		{"state machine imports the node", "fsm/a.go", []string{module + "/arbiter"}, []string{"fsm/a.go:3 layer"}},
		{"fields of entries with Raft", "fsm/wire/a.go", []string{raft}, []string{"fsm/wire/a.go:3 library"}},
		{"fields of entries with the machine", "fsm/wire/a.go", []string{module + "/fsm"}, []string{"fsm/wire/a.go:3 layer"}},
		{"node with made-up values", "arbiter/a.go", []string{module + "/fsm/wire/wiretest"}, []string{"arbiter/a.go:3 library"}},
		{"test with made-up values", "fsm/a_test.go", []string{module + "/fsm/wire/wiretest"}, nil},
		{"node imports a driver", "arbiter/a.go", []string{module + "/fence"}, []string{"arbiter/a.go:3 layer"}},
		{"test of the node may import a driver", "arbiter/a_test.go", []string{module + "/fence"}, nil},
		{"node imports a test cluster", "arbiter/a.go", []string{module + "/internal/clustertest"}, []string{"arbiter/a.go:3 layer"}},
		{"daemon names drivers", "cmd/arbiterd/a.go", []string{module + "/fence", module + "/engine"}, nil},
		{"operator's tool names a driver", "cmd/arbiterctl/a.go", []string{module + "/fence"}, []string{"cmd/arbiterctl/a.go:3 layer"}},
		{"driver uses the core and the foundation", "probe/a.go", []string{module + "/failover", module + "/internal/clock"}, nil},
		{"driver imports another kind", "probe/a.go", []string{module + "/engine"}, []string{"probe/a.go:3 layer"}},
		{"driver imports its sibling", "fence/ipmi/a.go", []string{module + "/fence/redfish"}, []string{"fence/ipmi/a.go:3 drivers"}},
		{"driver imports its parent", "fence/ipmi/a.go", []string{module + "/fence"}, nil},
		{"name that only begins alike", "failover/a.go", []string{module + "/failoverextra"}, []string{"failover/a.go:3 layer"}},
		{"raft outside its home", "client/a.go", []string{raft + "-boltdb/v2"}, []string{"client/a.go:3 library"}},
		{"raft outside its home, in a test", "client/a_test.go", []string{raft}, []string{"client/a_test.go:3 library"}},
		{"grpc in the grpc check", "probe/grpc.go", []string{"google.golang.org/grpc/health/grpc_health_v1"}, nil},
		{"grpc in another check", "probe/http.go", []string{"google.golang.org/grpc"}, []string{"probe/http.go:3 library"}},
		{"end-to-end test looks inside", "test/e2e/a_test.go", []string{module + "/arbiter"}, []string{"test/e2e/a_test.go:3 layer"}},
		{"folder nobody decided about", "helpers/a.go", nil, []string{"helpers/a.go:1 layer"}},
		{"what Go ignores", "failover/testdata/a.go", []string{"net"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := check(t, map[string]string{test.file: source(test.imports, "")})
			if !slices.Equal(got, test.want) {
				t.Errorf("faults %q, want %q", got, test.want)
			}
		})
	}
}

func TestPurity(t *testing.T) {
	tests := []struct {
		name    string
		file    string
		imports []string
		rest    string
		want    []string
	}{
		{"durations are values", "failover/a.go", []string{"time"}, "const wait = 3 * time.Second\n", nil},
		{"reads the clock", "failover/a.go", []string{"time"}, "var now = time.Now()\n", []string{"failover/a.go:4 purity"}},
		{"passes the clock on", "fsm/a.go", []string{"time"}, "var now = time.Now\n", []string{"fsm/a.go:4 purity"}},
		{"waits", "failover/a.go", []string{"time"}, "func f() { <-time.After(1) }\n", []string{"failover/a.go:4 purity"}},
		{"chance", "failover/a.go", []string{"math/rand/v2"}, "", []string{"failover/a.go:3 purity"}},
		{"files", "fsm/a.go", []string{"os"}, "", []string{"fsm/a.go:3 purity"}},
		{"network below net", "fsm/a.go", []string{"net/netip"}, "", []string{"fsm/a.go:3 purity"}},
		{"goroutine", "failover/a.go", nil, "func f() { go f() }\n", []string{"failover/a.go:3 purity"}},
		{"lock in the core", "failover/a.go", []string{"sync"}, "", []string{"failover/a.go:3 purity"}},
		{"lock in the adapter", "fsm/a.go", []string{"sync"}, "", nil},
		{"clock elsewhere", "probe/a.go", []string{"time"}, "var now = time.Now()\n", nil},
		{"clock in a test of the core", "failover/a_test.go", []string{"time"}, "var now = time.Now()\n", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := check(t, map[string]string{test.file: source(test.imports, test.rest)})
			if !slices.Equal(got, test.want) {
				t.Errorf("faults %q, want %q", got, test.want)
			}
		})
	}
}

func TestPurityOfRenamedImports(t *testing.T) {
	got := check(t, map[string]string{
		"failover/a.go": "// Package p is for a test.\npackage p\nimport clock \"time\"\nvar now = clock.Now()\n",
		"failover/b.go": "package p\nimport . \"time\"\n",
	})
	want := []string{"failover/a.go:4 purity", "failover/b.go:2 purity"}
	if !slices.Equal(got, want) {
		t.Errorf("faults %q, want %q", got, want)
	}
}

func TestHabits(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"no package comment", map[string]string{"probe/a.go": "package p\n"}, []string{"probe/a.go:1 comment"}},
		{"comment in another file", map[string]string{"probe/a.go": "package p\n", "probe/doc.go": source(nil, "")}, nil},
		{"comment only in a test of the package", map[string]string{"test/e2e/a_test.go": source(nil, "")}, nil},
		{"init", map[string]string{"probe/a.go": source(nil, "func init() {}\n")}, []string{"probe/a.go:3 habit"}},
		{"init of generated code", map[string]string{
			"proto/a.pb.go": "// Code generated by x. DO NOT EDIT.\n\n" + source(nil, "func init() {}\n"),
		}, nil},
		{"method called init", map[string]string{"probe/a.go": source(nil, "type a int\nfunc (a) init() {}\n")}, nil},
		{"library ends the process", map[string]string{
			"probe/a.go": source([]string{"os"}, "func f() { os.Exit(1) }\n"),
		}, []string{"probe/a.go:4 habit"}},
		{"main ends the process", map[string]string{
			"cmd/arbiterd/main.go": strings.Replace(source([]string{"os"}, "func main() { os.Exit(1) }\n"), "package p", "package main", 1),
		}, nil},
		{"wide interface", map[string]string{
			"probe/a.go": source(nil, "type wide interface{ A(); B(); C(); D(); E(); F() }\n"),
		}, []string{"probe/a.go:3 size"}},
		{"long function", map[string]string{
			"probe/a.go": source(nil, "func f() {\n"+strings.Repeat("\tf()\n", 80)+"}\n"),
		}, []string{"probe/a.go:3 size"}},
		{"long function with a reason", map[string]string{
			"probe/a.go": source(nil, "// f is long because a test says so.\nfunc f() {\n"+strings.Repeat("\tf()\n", 80)+"}\n"),
		}, nil},
		{"long file", map[string]string{
			"probe/a.go": source(nil, strings.Repeat("// line\n", 600)),
		}, []string{"probe/a.go:602 size"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := check(t, test.files); !slices.Equal(got, test.want) {
				t.Errorf("faults %q, want %q", got, test.want)
			}
		})
	}
}

func TestLoadNamesTheFileThatDoesNotParse(t *testing.T) {
	_, err := Load(fstest.MapFS{"probe/a.go": {Data: []byte("package")}})
	if err == nil || !strings.Contains(err.Error(), "probe/a.go") {
		t.Errorf("error %v, want one that names probe/a.go", err)
	}
}

// The tables refer to each other by folder: a misspelt name would allow or forbid nothing.
func TestTablesAreConsistent(t *testing.T) {
	known := map[string]bool{}
	for _, entry := range layers {
		if known[entry.folder] {
			t.Errorf("layer %s is listed twice", entry.folder)
		}
		known[entry.folder] = true
	}
	for _, entry := range layers {
		if entry.why == "" {
			t.Errorf("layer %s gives no reason", entry.folder)
		}
		for _, may := range entry.may {
			if !known[may] {
				t.Errorf("layer %s may import %s, which is no layer", entry.folder, may)
			}
		}
	}
	for _, rule := range exclusives {
		for _, place := range rule.only {
			if _, err := path.Match(place, ""); err != nil {
				t.Errorf("library %s: pattern %q: %v", rule.library, place, err)
			}
		}
	}
}
