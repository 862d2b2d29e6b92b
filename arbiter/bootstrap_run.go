package arbiter

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

// BootstrapPeers asks other arbiters how far they have come.
type BootstrapPeers interface {
	BootstrapStatus(ctx context.Context, peer failover.NodeID) (BootstrapStatus, error)
}

// BootstrapOptions says what an arbiter needs to find or form its cluster.
type BootstrapOptions struct {
	Node    failover.NodeID
	List    []Peer // all arbiters, this one included
	Folder  string // the data directory, in which the mark is kept
	Storage *Storage
	Peers   BootstrapPeers
	TLS     *pki.Reloader // nil: plaintext
	Clock   clock.Clock
	Log     hclog.Logger
}

// Bootstrap is an arbiter's way into its cluster. Serve its Status to the peers from the beginning, also after Run: it is
// how they learn that there is a cluster.
type Bootstrap struct {
	options BootstrapOptions
	marks   markKeeper

	mu      sync.Mutex
	self    BootstrapStatus
	written mark                     // what is on disk; the zero value: nothing
	next    string                   // what it does next, or waits for; empty before the first round of questions
	heard   map[failover.NodeID]bool // which other arbiters were given the present answer
}

const (
	bootstrapPoll        = 200 * time.Millisecond // between two rounds of questions
	bootstrapAskLimit    = time.Second            // for one round
	bootstrapMemberLimit = 300 * time.Millisecond // for the one round of a member, which need not hear from anybody
	// bootstrapLinger is the longest that an arbiter which ends goes on answering, so that the others learn why: longer than their
	// connections take to be tried again.
	bootstrapLinger = 4 * time.Second
)

// NewBootstrap reads what is on disk and refuses what doesn't fit together: another arbiter's or another cluster's data, a
// log without a mark, a mark without its log.
func NewBootstrap(options BootstrapOptions) (*Bootstrap, error) {
	return newBootstrap(options, fileMark{folder: options.Folder})
}

func newBootstrap(options BootstrapOptions, marks markKeeper) (*Bootstrap, error) {
	if err := checkList(options.Node, options.List); err != nil {
		return nil, err
	}
	list := describeList(options.List)
	b := &Bootstrap{options: options, marks: marks, heard: map[failover.NodeID]bool{}}
	b.self = BootstrapStatus{Node: options.Node, State: BootstrapEmpty, ListHash: hashList(list), List: list}
	m, found, err := marks.read()
	if err != nil {
		return nil, err
	}
	if err := b.checkDisk(m, found); err != nil {
		return nil, err
	}
	if found {
		b.self.State, b.self.ClusterID, b.written = m.State, m.ClusterID, m
	}
	return b, nil
}

// checkDisk compares the mark with the Raft log.
func (b *Bootstrap) checkDisk(m mark, found bool) error {
	held, err := b.options.Storage.contents()
	if err != nil {
		return err
	}
	if found {
		if err := m.fits(b.options.Folder, b.options.Node, b.options.TLS); err != nil {
			return err
		}
	}
	if err := m.goesWith(b.options.Folder, found, held); err != nil {
		return err
	}
	if m.State == BootstrapPrepared && m.ListHash != b.self.ListHash {
		return fmt.Errorf("%w: %w: the list was changed after this arbiter was prepared, and before a cluster was formed; put it back, or empty the data directories of all arbiters.\nprepared with %s\nconfigured is %s",
			ErrBadMark, ErrListsDiffer, m.List, b.self.List)
	}
	return nil
}

// Status is what this arbiter answers to others.
func (b *Bootstrap) Status() BootstrapStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.self
}

// answer is Status for another arbiter, which is remembered to have heard it.
func (b *Bootstrap) answer(from failover.NodeID) BootstrapStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard[from] = true
	return b.self
}

// Run returns once Raft may be started, with the cluster's id. It waits for as long as it takes for all arbiters to answer, and
// says in the log whom it waits for. An error means that only an operator can help, and its text says how.
func (b *Bootstrap) Run(ctx context.Context) (clusterID string, err error) {
	said := ""
	warned := map[failover.NodeID]time.Duration{}
	for {
		self := b.Status()
		answers := b.ask(ctx, self.State)
		b.warnOfCertificates(answers, warned)
		decision := decideBootstrap(self, answers)
		if decision.why != said {
			b.options.Log.Info("bootstrap", "state", self.State, "next", decision.why)
			said = decision.why
			b.tellNext(said)
		}
		switch decision.action {
		case bootstrapRefuse:
			if len(inState(answers, BootstrapMember)) == 0 { // members don't ask any more
				b.linger(ctx)
			}
			return "", fmt.Errorf("find the cluster: %w", b.withFiles(decision.err))
		case bootstrapJoin:
			return decision.clusterID, b.become(BootstrapMember, decision.clusterID, accepted(answers))
		case bootstrapPrepare:
			if err := b.prepare(decision.clusterID, accepted(answers)); err != nil {
				return "", err
			}
			continue // the others may have come further meanwhile
		case bootstrapWait:
		}
		if err := clock.Wait(ctx, b.options.Clock, bootstrapPoll); err != nil {
			return "", fmt.Errorf("find the cluster (%s): %w", decision.why, err)
		}
	}
}

// tellNext keeps what Run does next, for whoever asks this arbiter meanwhile.
func (b *Bootstrap) tellNext(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = why
}

// waiting says, in one line, what this arbiter waits for on its way into the cluster.
func (b *Bootstrap) waiting() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.ReplaceAll(cmp.Or(b.next, "asking the other arbiters"), "\n", "; ")
}

// linger goes on answering until every other arbiter has heard what this one is, for a while at most. What this one can't go on with, a
// list that differs for one, the others can't either, and each learns it only from an answer: one that finds nobody there waits for ever.
func (b *Bootstrap) linger(ctx context.Context) {
	end := b.options.Clock.Boot() + bootstrapLinger
	for {
		b.ask(ctx, b.Status().State) // so that those who linger for this one need not
		if b.heardByAll() || b.options.Clock.Boot() >= end {
			return
		}
		if clock.Wait(ctx, b.options.Clock, bootstrapPoll) != nil {
			return
		}
	}
}

func (b *Bootstrap) heardByAll() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !slices.ContainsFunc(b.options.List, func(p Peer) bool { return p.Node != b.options.Node && !b.heard[p.Node] })
}

// ask asks all others at once.
func (b *Bootstrap) ask(ctx context.Context, state BootstrapState) []bootstrapAnswer {
	limit := bootstrapAskLimit
	if state == BootstrapMember {
		limit = bootstrapMemberLimit
	}
	limited, cancel := clock.WithTimeout(ctx, b.options.Clock, limit)
	defer cancel()
	var answers []bootstrapAnswer
	for _, peer := range b.options.List {
		if peer.Node != b.options.Node {
			answers = append(answers, bootstrapAnswer{peer: peer.Node})
		}
	}
	var asking sync.WaitGroup
	for i := range answers {
		asking.Go(func() {
			answers[i].status, answers[i].err = b.options.Peers.BootstrapStatus(limited, answers[i].peer)
		})
	}
	asking.Wait()
	return answers
}

func (b *Bootstrap) prepare(clusterID string, accepted bool) error {
	if clusterID == "" {
		clusterID = newClusterID()
	}
	return b.become(BootstrapPrepared, clusterID, accepted)
}

// become takes a step on disk first, then in what is answered. For a member the log comes before the mark: a mark that says
// member promises that there is a log with votes in it. The name of the cluster is kept once another arbiter has accepted the certificate that
// says it: a directory that would take any name over could be spoilt by one start with the wrong certificate.
func (b *Bootstrap) become(state BootstrapState, clusterID string, accepted bool) error {
	if state == BootstrapMember && b.Status().State != BootstrapMember {
		if err := b.options.Storage.bootstrap(clusterID, raftServers(b.options.List)); err != nil {
			return fmt.Errorf("begin the cluster's log: %w", err)
		}
	}
	next := b.written
	if next.State != state || next.ClusterID != clusterID {
		self := b.Status()
		next = mark{Node: self.Node, ClusterID: clusterID, ClusterName: next.ClusterName, State: state, ListHash: self.ListHash, List: self.List}
	}
	if accepted && b.options.TLS != nil {
		next.ClusterName = b.options.TLS.Identity().Cluster
	}
	return b.write(next)
}

// write puts a mark on disk, and then into what is answered.
func (b *Bootstrap) write(next mark) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if next == b.written {
		return nil
	}
	if err := b.marks.write(next); err != nil {
		return fmt.Errorf("write the cluster mark: %w", err)
	}
	b.written = next
	b.self.State, b.self.ClusterID = next.State, next.ClusterID
	clear(b.heard)
	return nil
}

// Join makes an empty arbiter a member of an existing cluster, in place of one that was lost. Its name must never have
// been used in that cluster; the caller has made sure. Raft may be started then, and the leader adds it.
func (b *Bootstrap) Join(clusterID string) error {
	self := b.Status()
	if self.State == BootstrapMember && self.ClusterID == clusterID {
		return nil
	}
	if self.State != BootstrapEmpty {
		return fmt.Errorf("join cluster %s: %w: by %s this arbiter is %s for cluster %s; configure an empty directory as `data`",
			clusterID, ErrBadMark, fileMark{b.options.Folder}.path(), self.State, self.ClusterID)
	}
	if clusterID == "" || strings.TrimSpace(clusterID) != clusterID {
		return errors.New("join a cluster: give its id, as `arbiterctl arbiters` shows it")
	}
	if err := b.options.Storage.dedicate(clusterID); err != nil {
		return fmt.Errorf("join cluster %s: %w", clusterID, err)
	}
	return b.write(mark{Node: self.Node, ClusterID: clusterID, State: BootstrapMember, ListHash: self.ListHash, List: self.List})
}

// raftServers is the first configuration of a cluster: every arbiter on the list is a voter.
func raftServers(list []Peer) []raft.Server {
	servers := make([]raft.Server, len(list))
	for i, peer := range list {
		servers[i] = raft.Server{ID: raft.ServerID(peer.Node), Address: raft.ServerAddress(peer.Raft)}
	}
	slices.SortFunc(servers, func(x, y raft.Server) int { return strings.Compare(string(x.ID), string(y.ID)) })
	return servers
}

// newClusterID invents 128 random bits.
func newClusterID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails since Go 1.24
	return hex.EncodeToString(id[:])
}
