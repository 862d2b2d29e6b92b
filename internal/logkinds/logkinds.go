// Package logkinds says what the entries of an arbiter's log were: of what kinds, how big, and why whole views were among them. A log that
// grows while nothing happens costs disk and network, and only its entries tell what it grew by.
//
// It reads the log of an arbiter that has ended: nobody else may have it open.
//
// Goroutines: none.
package logkinds

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/fsm/wire"
)

// ErrMissing says that the log doesn't have all that was asked for.
var ErrMissing = errors.New("the log doesn't have all entries that were asked for")

// Kinds of entries that carry views, by the biggest thing in them. All other kinds have the name of the entry.
const (
	WholeViews = "views: whole"
	Changes    = "views: changes"
	Doubts     = "views: nothing but a doubt, or its end"
)

// Why an arbiter sent its whole view.
const (
	// NewLeader: a new reign voids all views.
	NewLeader = "new leader"
	// NewLeaderAfterDoubt: the leader before doubted its own view, which it hands leadership on for.
	NewLeaderAfterDoubt = "new leader, after one that doubted its view"
	// NewStream: the stream before it had ended.
	NewStream = "new stream"
	// Gap: a batch did not follow the one before it.
	Gap = "a batch was missing"
)

// Kind is all entries of one kind.
type Kind struct {
	Name    string
	Entries int
	Bytes   int
}

// Whole is all whole views that an arbiter sent for one reason.
type Whole struct {
	Arbiter string
	Why     string
	Views   int
	Bytes   int
}

// Counted is what a part of a log consists of.
type Counted struct {
	Kinds []Kind  // the one with the most bytes first
	Whole []Whole // by arbiter
}

// Read counts the entries after one index, up to and with another, in the data directory of an arbiter that has ended. Those before are read
// too, for the reasons.
func Read(data string, after, upTo uint64) (Counted, error) {
	c := counter{after: after, kinds: map[string]*Kind{}, whole: map[[2]string]*Whole{}, views: map[failover.NodeID]*sent{}}
	err := arbiter.ReadLog(data, func(entry *raft.Log) error {
		if entry.Index > upTo {
			return nil
		}
		return c.take(entry)
	})
	if err != nil {
		return Counted{}, err
	}
	if c.counted != upTo-after {
		return Counted{}, fmt.Errorf("%w: %s has %d of entries %d to %d", ErrMissing, data, c.counted, after+1, upTo)
	}
	return c.result(), nil
}

// counter follows a log.
type counter struct {
	after   uint64
	counted uint64
	kinds   map[string]*Kind
	whole   map[[2]string]*Whole // by arbiter and reason
	views   map[failover.NodeID]*sent
	leader  failover.NodeID
}

// sent is the view of an arbiter as the log has it.
type sent struct {
	incarnation, sequence uint64
	doubt                 string
	void                  string // why it was voided; empty: it counts
}

func (c *counter) take(entry *raft.Log) error {
	name := entry.Type.String()
	if entry.Type == raft.LogCommand {
		body, _, err := fsm.Decode(entry.Data)
		if err != nil {
			return err
		}
		if name, err = c.follow(body, entry.Index > c.after); err != nil {
			return err
		}
	}
	if entry.Index <= c.after {
		return nil
	}
	c.counted++
	kind := c.kinds[name]
	if kind == nil {
		kind = &Kind{Name: name}
		c.kinds[name] = kind
	}
	kind.Entries++
	kind.Bytes += len(entry.Data)
	return nil
}

// follow notes what an entry means for the views, and names its kind.
func (c *counter) follow(body failover.Body, counts bool) (kind string, err error) {
	switch b := body.(type) {
	case failover.BeginReign:
		why := NewLeader
		if c.view(c.leader).doubt != "" && b.Leader != c.leader {
			why = NewLeaderAfterDoubt
		}
		for _, v := range c.views {
			v.void = why
		}
		c.leader = b.Leader
	case failover.ExpireView:
		if v := c.view(b.Node); v.incarnation == b.Incarnation && v.void == "" {
			v.void = NewStream
		}
	case failover.Observe:
		return c.observe(b, counts)
	}
	return reflect.TypeOf(body).Name(), nil
}

func (c *counter) observe(b failover.Observe, counts bool) (kind string, err error) {
	kind = Doubts
	for _, batch := range b.Batches {
		switch {
		case batch.Whole:
			kind = WholeViews
		case kind == Doubts && len(batch.Observations)+len(batch.FencePaths)+len(batch.Answers) > 0:
			kind = Changes
		}
		if why := c.view(batch.Node).next(batch); batch.Whole && counts {
			if err := c.countWhole(batch, why); err != nil {
				return "", err
			}
		}
	}
	return kind, nil
}

// next takes a batch and says, of a whole view, why it was sent.
func (v *sent) next(b failover.Batch) (why string) {
	follows := b.Incarnation == v.incarnation && b.Sequence == v.sequence+1
	switch {
	case b.Whole:
		why = cmp.Or(v.void, NewStream)
		v.void = ""
	case v.void != "":
		return ""
	case !follows:
		v.void = Gap
		return ""
	}
	v.incarnation, v.sequence, v.doubt = b.Incarnation, b.Sequence, b.Doubt
	return why
}

func (c *counter) countWhole(b failover.Batch, why string) error {
	message, err := wire.BatchToProto(b)
	if err != nil {
		return err
	}
	key := [2]string{string(b.Node), why}
	whole := c.whole[key]
	if whole == nil {
		whole = &Whole{Arbiter: key[0], Why: why}
		c.whole[key] = whole
	}
	whole.Views++
	whole.Bytes += proto.Size(message)
	return nil
}

// view is what an arbiter sent last.
func (c *counter) view(node failover.NodeID) *sent {
	if c.views[node] == nil {
		c.views[node] = &sent{}
	}
	return c.views[node]
}

func (c *counter) result() (all Counted) {
	for _, name := range slices.Sorted(maps.Keys(c.kinds)) {
		all.Kinds = append(all.Kinds, *c.kinds[name])
	}
	slices.SortStableFunc(all.Kinds, func(a, b Kind) int { return cmp.Compare(b.Bytes, a.Bytes) })
	for _, w := range c.whole {
		all.Whole = append(all.Whole, *w)
	}
	slices.SortFunc(all.Whole, func(a, b Whole) int { return cmp.Or(cmp.Compare(a.Arbiter, b.Arbiter), cmp.Compare(a.Why, b.Why)) })
	return all
}
