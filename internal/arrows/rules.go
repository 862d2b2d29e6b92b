package arrows

import "slices"

// module is the import path of this repository.
const module = "github.com/arbiter-ha/arbiter"

// layer says what the packages under one folder may import from this repository. The longest matching folder counts,
// and a layer may always import itself.
type layer struct {
	folder string
	may    []string
	why    string
	// withTests holds the layer's _test.go files to the same arrows. Elsewhere tests may import what they need.
	withTests bool
}

// foundation is what every impure part shares: small packages that know nothing of Raft or drivers. They may use the
// core's values (a setting, a position), since the core depends on nothing.
var foundation = []string{
	"internal/clock", "internal/supervise", "internal/telemetry", "internal/pki", "internal/postgres", "internal/secret",
	"internal/command", "internal/permit", "internal/failpoint", "internal/serviceapi", "internal/keys",
	"internal/fenceagent", "internal/fencesettings", "internal/release", "internal/routesettings", "internal/spans",
}

// drivers each talk to one kind of outside system. They never import each other, and only cmd names them.
var drivers = []string{"probe", "fence", "engine", "route", "notify"}

// layers lists every folder that may hold Go code. A folder that is missing here is an error: adding a package is a
// decision about the arrows.
var layers = []layer{
	{
		folder: "cmd",
		may:    join([]string{"arbiter", "agent", "client", "config", "failover", "proto", "internal/recording"}, drivers, foundation),
		why:    "a command wires parts together and takes no decision",
	},
	{
		folder: "cmd/arbiterctl",
		may:    join([]string{"client", "config", "proto"}, foundation),
		why:    "the operator's tool uses the API through the Go client and nothing else",
	},
	{folder: "failover", may: []string{"failover/devices"}, why: "the core depends on nothing, so that it can be proved, simulated and replayed"},
	{folder: "failover/devices", may: []string{"internal/keys"}, why: "what names of agents and settings mean, for the core and for those who check specs"},
	{folder: "fsm", may: []string{"failover", "proto"}, why: "the state machine only translates entries for the core"},
	{folder: "fsm/wire", may: []string{"failover", "proto"}, why: "tables of fields know nothing of logs and when an entry is applied"},
	{folder: "fsm/wire/wiretest", may: []string{"fsm/wire", "failover", "proto"}, why: "samples of what is written, for every test of it"},
	{
		folder: "arbiter",
		may:    join([]string{"fsm", "failover", "proto", "internal/ownview", "internal/recording"}, foundation),
		why:    "a node knows drivers only by the interfaces it declares itself; cmd hands them in",
	},
	{folder: "agent", may: join([]string{"proto"}, foundation), why: "the guard keeps working whatever the arbiters run"},
	{folder: "client", may: join([]string{"proto"}, foundation), why: "users import the client: it must stay light"},
	{folder: "config", may: []string{"proto", "internal/keys", "internal/fencesettings", "internal/routesettings", "failover/devices"}, why: "one schema: YAML is read into proto and nothing else, by rules about names that drivers share"},
	{folder: "probe", may: join([]string{"failover"}, foundation), why: "a driver knows neither Raft nor other drivers"},
	{folder: "fence", may: join([]string{"failover"}, foundation), why: "a driver knows neither Raft nor other drivers"},
	{folder: "engine", may: join([]string{"failover"}, foundation), why: "a driver knows neither Raft nor other drivers"},
	{folder: "route", may: join([]string{"failover"}, foundation), why: "a driver knows neither Raft nor other drivers"},
	{folder: "notify", may: join([]string{"failover"}, foundation), why: "a driver knows neither Raft nor other drivers"},
	{folder: "proto", why: "generated code stands alone"},

	{folder: "internal/clock", why: "time is at the bottom of everything"},
	{folder: "internal/keys", why: "what names mean is at the bottom of everything"},
	{folder: "internal/fencesettings", may: []string{"failover/devices"}, why: "what the settings of fences mean, for fence and for those who check specs"},
	{folder: "internal/routesettings", why: "what the settings of routes mean, for route and for those who check specs"},
	{folder: "internal/release", why: "what the build recorded is at the bottom of everything"},
	{folder: "internal/spans", why: "how times are written is at the bottom of everything"},
	{folder: "internal/permit", why: "a context value that every driver may ask"},
	{folder: "internal/failpoint", why: "a context value that tests stop a driver by"},
	{folder: "internal/supervise", may: join([]string{"failover"}, foundation), why: "shared by everything impure"},
	{folder: "internal/telemetry", may: join([]string{"failover"}, foundation), why: "shared by everything impure"},
	{folder: "internal/pki", may: join([]string{"failover"}, foundation), why: "shared by everything impure"},
	{folder: "internal/postgres", may: join([]string{"failover", "internal/freeport"}, foundation), why: "shared by probe, engine and agent"},
	{folder: "internal/serviceapi", may: join([]string{"failover"}, foundation), why: "shared by probe, engine and the lab's service"},
	{folder: "internal/command", may: join([]string{"failover"}, foundation), why: "shared by the drivers that run programs"},
	{folder: "internal/fenceagent", may: join([]string{"failover"}, foundation), why: "shared by fence and arbiterctl, which checks specs without an arbiter"},
	{folder: "internal/hungfs", why: "a file system for tests, of nothing but the kernel"},
	{folder: "internal/freeport", why: "ports for tests, of nothing but the kernel"},
	{folder: "internal/secret", may: join([]string{"failover"}, foundation), why: "shared by drivers and cmd"},

	{folder: "internal/ownview", may: []string{"failover"}, why: "the simulator runs this text of the shell too: it does nothing itself"},
	{
		folder: "internal/clustertest",
		may:    join([]string{"arbiter", "fsm", "failover", "proto", "internal/recording"}, foundation),
		why:    "a cluster in one process, without drivers; what its arbiters record is replayed",
	},
	{
		folder: "internal/sim",
		may:    join([]string{"fsm", "failover", "proto", "internal/ownview"}, foundation),
		why:    "the simulator runs the core, unchanged, against a world of its own",
	},
	{
		folder: "internal/explore",
		may:    join([]string{"internal/sim", "fsm", "failover", "proto"}, foundation),
		why:    "the explorer walks the states of the core",
	},
	{folder: "internal/recording", may: []string{"fsm", "failover"}, why: "a recording is of the core and its log, and of nothing else"},
	{folder: "internal/mutants", why: "it builds what looks for bugs, and imports nothing of it"},
	{folder: "internal/logkinds", may: []string{"arbiter", "fsm", "failover"}, why: "what a log consists of is read by those who write it"},
	{
		folder: "internal/lab",
		may:    join([]string{"client", "config", "proto", "internal/recording", "internal/logkinds", "internal/freeport"}, foundation),
		why:    "the lab runs the released binaries from outside, as a user does",
	},
	{
		folder:    "test",
		may:       join([]string{"client", "config", "proto", "internal/lab"}, foundation),
		why:       "end-to-end tests see what a user sees: binaries, the API, the databases",
		withTests: true,
	},
	{folder: "internal/arrows", why: "checks the others and depends on none"},
}

// exclusive says who alone may import a library, or a package of this repository.
type exclusive struct {
	library string // import path prefix
	only    []string
	why     string
	// withTests extends the rule to _test.go files.
	withTests bool
}

var exclusives = []exclusive{
	{
		library:   "github.com/hashicorp/raft",
		only:      []string{"arbiter", "fsm/*.go", "internal/clustertest", "internal/recording", "internal/logkinds"},
		why:       "consensus has one home: everything else sees committed state or nothing",
		withTests: true,
	},
	{
		library: module + "/fsm/wire/wiretest",
		why:     "what makes up values is for tests",
	},
	{
		library: module + "/internal/freeport",
		only:    []string{"internal/postgres/postgrestest", "internal/lab/standin/standintest"},
		why:     "what is claimed until a test ends is for tests",
	},
	{
		library: "google.golang.org/grpc",
		only:    []string{"arbiter", "agent", "client", "cmd", "proto", "probe/grpc*.go", "internal/clustertest"},
		why:     "the API has one door",
	},
}

// standardOnly lists folders that import the standard library and nothing else from outside this repository.
var standardOnly = []string{"failover", "internal/ownview", "internal/arrows"}

// pure lists folders whose answers must be the same on every replica, in a simulation, today and in a replay next year.
var pure = []string{"failover", "fsm", "internal/ownview"}

// impureImports may not appear in pure folders. An entry stands for the packages below it too.
var impureImports = map[string]string{
	"crypto/rand":      "chance is an input",
	"log":              "pure code returns events; its caller logs",
	"math/rand":        "chance is an input",
	"net":              "no I/O",
	"os":               "no I/O",
	"runtime":          "an answer must not depend on the process",
	"sync":             "no goroutines, so nothing to guard",
	"syscall":          "no I/O",
	"unsafe":           "an answer must not depend on the process",
	"testing":          "tests stay in _test.go files",
	"context":          "nothing here waits",
	"hash/maphash":     "its seed differs per process",
	"golang.org/x/sys": "no I/O",
}

// pureMayImport are exceptions to impureImports, by folder.
var pureMayImport = map[string][]string{
	// hashicorp/raft calls Snapshot while Apply goes on, and readers ask for state from other goroutines.
	"fsm": {"sync"},
	// It reads and writes addresses, which machines are compared by, and does no I/O.
	"failover/devices": {"net/netip"},
}

// impureFunctions may not be used in pure folders: package path and names.
var impureFunctions = map[string][]string{
	"time": {"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"},
}

// exits end the process and belong to cmd, where deferred work has been thought of.
var exits = map[string][]string{
	"os":  {"Exit"},
	"log": {"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"},
}

// Limits of size; generated code and tests don't count.
const (
	longestFile     = 600 // lines
	longestFunction = 80  // lines; a longer one gives its reason in its comment with the word "because"
	widestInterface = 5   // methods
)

func join(lists ...[]string) []string { return slices.Concat(lists...) }
