package failover

import "time"

// Spec is what a group should be: the domain's own form of a GroupSpec, with every default already filled in.
// It is immutable once it is part of a State.
type Spec struct {
	Engine  Engine
	Members []MemberSpec // sorted by name
	Connect Connect
	Health  Health
	Policy  Policy
	Routes  []Route
}

// Engine names the kind of service a group protects.
type Engine string

// EnginePostgres is PostgreSQL with physical streaming replication.
const EnginePostgres Engine = "postgres"

// EngineHTTP is any service that offers the contract of docs/http-engine.md.
const EngineHTTP Engine = "http"

// MemberSpec describes one member.
type MemberSpec struct {
	Name            MemberName
	Zone            string
	Address         string // host:port of the service
	Priority        int    // among equals the higher one is promoted; 0 is never promoted
	ApplicationName string // its name in the primary's pg_stat_replication and synchronous_standby_names
	Fence           []FenceLevel
}

// FenceLevel is one way to fence a member: all of its devices must succeed. Levels are tried in order, or at the same
// time if Policy.RaceFences says so.
type FenceLevel struct {
	Devices []FenceDevice
}

// FenceDevice is one device that can prove that a member cannot write.
type FenceDevice struct {
	Method  string // the executable's base name or path for fence agents, for example "fence_ipmilan"
	Timeout time.Duration
	Retries int
	// Settings are passed to the device as they are (key=value lines for fence agents).
	Settings []Setting
}

// Setting is one key with either a literal value or a reference to a secret that each arbiter resolves itself. Secrets
// never enter the log.
type Setting struct {
	Key   string
	Value string
	File  string // path of a file that holds the value
	Env   string // name of an environment variable that holds the value
}

// Connect says how arbiters log in to the members.
type Connect struct {
	User     string
	Password Setting // Key is unused; empty if none
	Database string
	SSLMode  string // as in libpq
	SSLRoot  string // path of the CA file, empty for the system's
	SSLCert  string
	SSLKey   string
}

// Health says how members are watched.
type Health struct {
	Profile string // for people; the values below are what counts
	Checks  []Check
	// MinimumUnhealthy is how long a verdict must have stood before anything is done.
	MinimumUnhealthy time.Duration
	// RestartGrace is how long a service that says it is restarting is waited for; 0: not at all.
	RestartGrace time.Duration
	// ColdStartGrace is how long a primary is waited for that no arbiter which sees it down has heard since it started; 0: not at all.
	ColdStartGrace time.Duration
}

// CheckKind names a kind of check.
type CheckKind string

// The kinds of checks.
const (
	CheckTCP      CheckKind = "tcp"
	CheckHTTP     CheckKind = "http"
	CheckPostgres CheckKind = "postgres"
	CheckService  CheckKind = "service" // of engine http
)

// TellsFacts says whether such a check asks the member what it is and what it holds.
func (k CheckKind) TellsFacts() bool { return k == CheckPostgres || k == CheckService }

// Check is one periodic check of every member of a group.
type Check struct {
	Name      string
	Kind      CheckKind
	Interval  time.Duration
	Timeout   time.Duration
	Failures  int           // so many failing looks in a row (within Window, if set) make the check fail
	Successes int           // so many good looks in a row make it good again
	Window    time.Duration // 0: in a row, however long that takes
	Required  bool          // a member is down only by a required check
	Port      int           // replaces the port of the member's address; 0 keeps it
	HTTP      *HTTPCheck    // only for CheckHTTP
}

// HTTPCheck is what an HTTP check asks for and expects.
type HTTPCheck struct {
	TLS      bool
	Path     string
	Method   string
	Headers  []Setting
	Statuses []int     // accepted status codes; empty accepts 200 to 299
	Answers  []Setting // headers that the answer must have, each with a value that contains this text
	Body     string    // a text that the body must contain; empty accepts any
	CAFile   string
	// ServerName replaces the name that the certificate is verified against; empty takes the address's host.
	ServerName string
}

// Automation is how much a group lets Arbiter do without a human.
type Automation string

// The levels of automation. Only these two exist; confirmation by an operator comes with planned operations.
const (
	AutomationObserve Automation = "observe" // says what it would do
	AutomationFull    Automation = "full"
)

// Policy is what a group's owner allows and promises.
type Policy struct {
	Automation       Automation
	MaxLossBytes     uint64 // acknowledged bytes that may be lost; 0 is "none": needs at least an observed bound of nothing
	PromisedOutage   time.Duration
	Cooldown         time.Duration // after an automatic failover another one is held this long
	LeaseDuration    time.Duration
	DownVotes        int      // arbiters that must see a member down; 0 or less than a majority means a majority of all voters
	AlsoDown         []Reason // evidence that this group counts as down beside what is dead
	PreferredZone    string
	AcceptProofs     []ProofGrade // grades that end a member's authority; empty means DefaultProofs
	RefenceRogues    bool
	RaceFences       bool
	IsolateTimeout   time.Duration
	CatchUpTimeout   time.Duration
	PromoteTimeout   time.Duration
	RouteTimeout     time.Duration
	VerifyTimeout    time.Duration
	ConfigureTimeout time.Duration
	MaxAttempts      int           // tries of one action before the operation is held
	RetryInterval    time.Duration // between tries of a held operation's action
}

// Route is one thing that sends clients to the primary.
type Route struct {
	Router   string // "haproxy" or "command"
	Name     string // unique within the group, for reports
	Settings []Setting
	// VerifyAddress is where clients connect (host:port), used to prove the route by a write; empty if there is none.
	VerifyAddress string
}

// Member returns the spec of a member.
func (s *Spec) Member(name MemberName) (MemberSpec, bool) {
	for _, m := range s.Members {
		if m.Name == name {
			return m, true
		}
	}
	return MemberSpec{}, false
}

// Setting returns the literal or reference stored under a key.
func (r Route) Setting(key string) (Setting, bool) { return findSetting(r.Settings, key) }

// Setting returns the literal or reference stored under a key.
func (d FenceDevice) Setting(key string) (Setting, bool) { return findSetting(d.Settings, key) }

func findSetting(settings []Setting, key string) (Setting, bool) {
	for _, s := range settings {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}
