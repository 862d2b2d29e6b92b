package virtual

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Group is the one group that is protected.
const Group = "pay"

const (
	lookEvery = 200 * time.Millisecond // at each member
	lookTakes = 3 * time.Millisecond
)

// member is one server, as it truly is. Each runs on a host of its own name.
type member struct {
	name     failover.MemberName
	running  bool
	powered  bool
	primary  bool // it accepts writes, or would if it were started
	follows  failover.MemberName
	position failover.LSN
	timeline uint32
	token    failover.Epoch // kept on its disk; an older one is refused (S9)
	starts   int            // what was sent to it before its latest start is lost
}

func (m *member) up() bool     { return m.running && m.powered }
func (m *member) writes() bool { return m.up() && m.primary }

// World is the ground truth: what the members really are, whatever any arbiter thinks.
type World struct {
	history *History

	mu      sync.Mutex
	members []*member // by name
	front   failover.MemberName
}

func newWorld(h *History) *World {
	w := &World{history: h, front: "db1"}
	for _, name := range []failover.MemberName{"db1", "db2", "db3"} {
		w.members = append(w.members, &member{name: name, running: true, powered: true, follows: "db1", position: 1000, timeline: 1})
	}
	w.members[0].primary, w.members[0].follows = true, ""
	return w
}

// find returns a member. The caller holds the lock.
func (w *World) find(name failover.MemberName) *member {
	i := slices.IndexFunc(w.members, func(m *member) bool { return m.name == name })
	if i < 0 {
		panic(fmt.Sprintf("there is no member %q", name)) // a mistake of the test
	}
	return w.members[i]
}

// change does something to a member, and looks at once whether two accept writes now.
func (w *World) change(name failover.MemberName, what string, how func(*member)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	how(w.find(name))
	w.history.Note("world", "%s", what)
	if writers := w.writers(); len(writers) > 1 {
		w.history.Violate("split brain", "%s accept writes at the same time, after: %s", strings.Join(writers, " and "), what)
	}
}

// writers are the members that accept writes. The caller holds the lock.
func (w *World) writers() []string {
	var names []string
	for _, m := range w.members {
		if m.writes() {
			names = append(names, string(m.name))
		}
	}
	return names
}

// Writer is the member that accepts writes; empty if none does.
func (w *World) Writer() failover.MemberName {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.members {
		if m.writes() {
			return m.name
		}
	}
	return ""
}

// Front is the member that the router sends clients to; empty if it sends them nowhere.
func (w *World) Front() failover.MemberName {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.front
}

// Token is the epoch that a member keeps.
func (w *World) Token(name failover.MemberName) failover.Epoch {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.find(name).token
}

// Forget lets the router lose what it was told: it sends clients to a member that it sent them to before.
func (w *World) Forget(to failover.MemberName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history.Note("world", "the router forgets: it leads to %q, no longer to %q", to, w.front)
	w.front = to
}

// Crash ends a member's process. Its machine stays on.
func (w *World) Crash(name failover.MemberName) {
	w.change(name, string(name)+" crashes", func(m *member) { m.running = false })
}

// Restart starts a member's process again, as what it was, unless its machine was switched off meanwhile.
func (w *World) Restart(name failover.MemberName) {
	w.change(name, string(name)+" is started again", func(m *member) {
		if m.powered && !m.running {
			m.running = true
			m.starts++
		}
	})
}

// Standbys is how many members could take over.
func (w *World) Standbys() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, m := range w.members {
		if m.up() && !m.primary {
			n++
		}
	}
	return n
}

// RepairStandbys makes every member that is not up, or does not follow the one that accepts writes, its standby, as an operator does. While
// there is none it starts those that are standbys anyway.
func (w *World) RepairStandbys() {
	writer := w.Writer()
	if writer == "" {
		w.startStandbys()
		return
	}
	for _, m := range w.members {
		w.mu.Lock()
		source, needs := w.find(writer), m.name != writer && (!m.up() || m.follows != writer)
		position, timeline, token := source.position, source.timeline, source.token
		w.mu.Unlock()
		if needs {
			w.change(m.name, fmt.Sprintf("%s is made a standby of %s by an operator", m.name, writer), func(m *member) {
				m.powered, m.running, m.primary, m.follows = true, true, false, writer
				m.starts++
				m.position, m.timeline, m.token = position, timeline, max(m.token, token)
			})
		}
	}
}

func (w *World) startStandbys() {
	for _, m := range w.members {
		w.mu.Lock()
		needs := !m.up() && !m.primary
		w.mu.Unlock()
		if needs {
			w.change(m.name, string(m.name)+" is started by an operator", func(m *member) {
				m.powered, m.running = true, true
				m.starts++
			})
		}
	}
}

// facts are what a look at a member shows; false if it doesn't answer.
func (w *World) facts(name failover.MemberName) (failover.Facts, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.find(name)
	if !m.up() {
		return failover.Facts{}, false
	}
	f := failover.Facts{SystemID: fake.SystemID, Timeline: m.timeline, Epoch: m.token}
	if m.primary {
		f.Role, f.AcceptsWrites, f.Written = failover.RolePrimary, true, m.position
		f.SyncRule = failover.SyncRule{Need: 1, Names: []string{"db1", "db2", "db3"}}
		return f, true
	}
	f.Role, f.Received, f.Replayed = failover.RoleStandby, m.position, m.position
	f.Streaming = m.follows != "" && w.find(m.follows).writes()
	return f, true
}

// Spec is the group's spec, with every default filled in.
func Spec() *arbiterv1.GroupSpec {
	return fake.Spec(Group, fake.Times{Look: lookEvery, Isolate: 5 * time.Second, Outage: 10 * time.Second, Cooldown: time.Second, Retry: time.Second})
}
