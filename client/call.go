package client

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// callKind says when a call may be tried again.
type callKind int

const (
	// once: only when an arbiter said that it doesn't lead. What isn't in the table is this.
	once callKind = iota
	// read: always.
	read
	// change: always under the same request id; the log does it at most once.
	change
)

// kinds lists the calls that may be repeated. TransferLeadership isn't there: it isn't an entry of the log, so nothing
// remembers its request id.
var kinds = map[string]callKind{
	arbiterv1.ArbiterService_GetStatus_FullMethodName:        read,
	arbiterv1.ArbiterService_Explain_FullMethodName:          read,
	arbiterv1.ArbiterService_GetEpochs_FullMethodName:        read,
	arbiterv1.ArbiterService_ListOperations_FullMethodName:   read,
	arbiterv1.ArbiterService_ListAttestations_FullMethodName: read,
	arbiterv1.ArbiterService_GetOperation_FullMethodName:     read,
	arbiterv1.ArbiterService_ListArbiters_FullMethodName:     read,
	arbiterv1.ArbiterService_GetGroup_FullMethodName:         read,
	arbiterv1.ArbiterService_DiffGroup_FullMethodName:        read,
	arbiterv1.ArbiterService_CheckGroup_FullMethodName:       read,
	arbiterv1.ArbiterService_CheckSpec_FullMethodName:        read,

	arbiterv1.ArbiterService_Failover_FullMethodName:    change,
	arbiterv1.ArbiterService_Abort_FullMethodName:       change,
	arbiterv1.ArbiterService_Reinstate_FullMethodName:   change,
	arbiterv1.ArbiterService_Release_FullMethodName:     change,
	arbiterv1.ArbiterService_Attest_FullMethodName:      change,
	arbiterv1.ArbiterService_Pause_FullMethodName:       change,
	arbiterv1.ArbiterService_Resume_FullMethodName:      change,
	arbiterv1.ArbiterService_Adopt_FullMethodName:       change,
	arbiterv1.ArbiterService_ApplyGroup_FullMethodName:  change,
	arbiterv1.ArbiterService_DeleteGroup_FullMethodName: change,
}

// call is one call on its way.
type call struct {
	kind      callKind
	method    string
	request   proto.Message // a copy where it had to be completed
	reply     any
	options   []grpc.CallOption
	requestID string
	// staleAfter is when a read takes a stale answer; 0 is never.
	staleAfter time.Duration
	// tryTimeout limits one try at one arbiter; 0 is that of the client.
	tryTimeout time.Duration
	// lost says that a try may have been accepted although its answer didn't come.
	lost bool
}

func newCall(method string, request proto.Message, reply any, options []grpc.CallOption) *call {
	c := &call{kind: kinds[method], method: method, request: request, reply: reply, options: options}
	for _, option := range options {
		switch option := option.(type) {
		case staleFallback:
			c.staleAfter = option.after
		case tryFor:
			c.tryTimeout = option.limit
		}
	}
	c.identify()
	return c
}

// identify gives a change its request id, in a copy: the caller's message isn't ours to write to.
func (c *call) identify() {
	changing, ok := c.request.(interface{ GetChange() *arbiterv1.Change })
	if !ok {
		return
	}
	if id := changing.GetChange().GetRequestId(); id != "" {
		c.requestID = id
		return
	}
	c.requestID = NewRequestID()
	c.request = proto.Clone(c.request)
	message := c.request.ProtoReflect()
	field := message.Descriptor().Fields().ByName("change")
	completed := &arbiterv1.Change{RequestId: c.requestID, Reason: changing.GetChange().GetReason()}
	message.Set(field, protoreflect.ValueOfMessage(completed.ProtoReflect()))
}

// stale returns the same read, to be answered by any arbiter. It is false for what isn't such a read.
func (c *call) stale() (*call, bool) {
	field := c.request.ProtoReflect().Descriptor().Fields().ByName("consistency")
	if c.kind != read || field == nil || field.Kind() != protoreflect.EnumKind {
		return nil, false
	}
	other := *c
	other.request = proto.Clone(c.request)
	other.request.ProtoReflect().Set(field, protoreflect.ValueOfEnum(arbiterv1.Consistency_CONSISTENCY_STALE.Number()))
	return &other, true
}

// NewRequestID returns a new id for a change: 128 random bits.
func NewRequestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process rather than return an error
	return hex.EncodeToString(id[:])
}

// StaleFallback makes a read take an answer from any arbiter when nobody that leads has answered for so long. The answer
// says so: its Freshness isn't linearizable.
func StaleFallback(after time.Duration) grpc.CallOption { return staleFallback{after: after} }

type staleFallback struct {
	grpc.EmptyCallOption
	after time.Duration
}

// TryFor gives one try of a call at one arbiter so long instead of Options.TryTimeout: for calls that take long by themselves.
// An arbiter that is at it is not left for a stale answer either.
func TryFor(limit time.Duration) grpc.CallOption { return tryFor{limit: limit} }

type tryFor struct {
	grpc.EmptyCallOption
	limit time.Duration
}
