package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// What can be wrong with a call. Match with errors.Is; the message says more.
var (
	// ErrNoLeader says that arbiters answered, and none of them leads.
	ErrNoLeader = errors.New("no arbiter leads")
	// ErrNotJoined says that an arbiter answered which waits on its way into its cluster. It is why none leads, where no other has joined either.
	ErrNotJoined = errors.New("it has not joined its cluster yet")
	// ErrUnavailable says that no arbiter could be reached.
	ErrUnavailable = errors.New("no arbiter can be reached")
	// ErrPlaintextThere says that TLS was asked for, and what answers talks without. It is why an arbiter is ErrUnavailable, as are the next two.
	ErrPlaintextThere = errors.New("TLS was asked for, and what answers there talks without")
	// ErrTLSThere says that plaintext was asked for, and the connection broke before anything was said, as it does where TLS is wanted.
	ErrTLSThere = errors.New("plaintext was asked for, and the connection broke before anything was said, as where TLS is wanted")
	// ErrOtherPort says that what answers is not an arbiter's gRPC. Often it is its Raft port.
	ErrOtherPort = errors.New("what answers there is not the gRPC of an arbiter, but perhaps its Raft port")
	// ErrNotFound says that the group, operation or member doesn't exist.
	ErrNotFound = errors.New("not found")
	// ErrDenied says that the certificate doesn't allow the call.
	ErrDenied = errors.New("not allowed")
	// ErrInvalid says that the request itself is wrong.
	ErrInvalid = errors.New("invalid request")
	// ErrUnsupported says that the arbiters don't know the call: they are older than this client.
	ErrUnsupported = errors.New("not supported by these arbiters")
	// ErrRejected is what every RejectedError is.
	ErrRejected = errors.New("refused")
	// ErrUnknownOutcome is what every UnknownOutcomeError is.
	ErrUnknownOutcome = errors.New("outcome not known")
)

// RejectedError says that a rule or a precondition refused a change. Nothing was changed.
type RejectedError struct {
	// Rule is the safety rule, for example "S2"; empty for a plain precondition.
	Rule string
	Why  string
	// Next is what can be done about it.
	Next string
}

// Error says why, and names the rule.
func (e *RejectedError) Error() string {
	if e.Rule == "" {
		return "refused: " + e.Why
	}
	return fmt.Sprintf("refused by rule %s: %s", e.Rule, e.Why)
}

// Is makes errors.Is(err, ErrRejected) true.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// UnknownOutcomeError says that a change may or may not have been made.
type UnknownOutcomeError struct {
	// RequestID is the id that the change was sent under.
	RequestID string
	// Err is how the last try failed.
	Err error
}

// Error says what is not known.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("the answer was lost, so it is not known whether the change was made (request id %s): %v", e.RequestID, e.Err)
}

// Is makes errors.Is(err, ErrUnknownOutcome) true.
func (e *UnknownOutcomeError) Is(target error) bool { return target == ErrUnknownOutcome }

// Unwrap returns how the last try failed.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// InvalidError names the fields of a request that are wrong.
type InvalidError struct {
	Message string
	Fields  []InvalidField
}

// InvalidField is one field that is wrong.
type InvalidField struct {
	Field, Message string
}

// Error lists the fields.
func (e *InvalidError) Error() string {
	if len(e.Fields) == 0 {
		return e.Message
	}
	lines := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		lines[i] = f.Field + ": " + f.Message
	}
	return strings.Join(lines, "\n")
}

// Is makes errors.Is(err, ErrInvalid) true.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// translate is the one boundary at which gRPC's errors become ours.
func translate(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *arbiterv1.Rejection:
			return &RejectedError{Rule: d.Rule, Why: d.Why, Next: d.Next}
		case *arbiterv1.NotLeader:
			return ofNotLeader(d, s.Message())
		case *errdetails.BadRequest:
			invalid := &InvalidError{Message: s.Message()}
			for _, v := range d.FieldViolations {
				invalid.Fields = append(invalid.Fields, InvalidField{v.Field, v.Description})
			}
			return invalid
		}
	}
	return translateCode(s)
}

// ofNotLeader is the answer of one arbiter that doesn't lead. One that names who does says so itself, and not that nobody does.
func ofNotLeader(d *arbiterv1.NotLeader, says string) error {
	switch {
	case d.GetWaitsFor() != "":
		return fmt.Errorf("%w: %w: %s", ErrNoLeader, ErrNotJoined, d.GetWaitsFor())
	case d.GetLeader() != "":
		return ledElsewhereError(says)
	}
	return fmt.Errorf("%w: %s", ErrNoLeader, says)
}

// ledElsewhereError is what arbiters say that know who leads. For whoever got no further it is ErrNoLeader all the same.
type ledElsewhereError string

// Error says who leads.
func (e ledElsewhereError) Error() string { return string(e) }

// Is makes errors.Is(err, ErrNoLeader) true.
func (e ledElsewhereError) Is(target error) bool { return target == ErrNoLeader }

func translateCode(s *status.Status) error {
	switch s.Code() {
	case codes.NotFound:
		return fmt.Errorf("%w: %s", ErrNotFound, s.Message())
	case codes.PermissionDenied, codes.Unauthenticated:
		return fmt.Errorf("%w: %s", ErrDenied, s.Message())
	case codes.InvalidArgument, codes.OutOfRange:
		return &InvalidError{Message: s.Message()}
	case codes.Unimplemented:
		return fmt.Errorf("%w: %s", ErrUnsupported, s.Message())
	case codes.FailedPrecondition, codes.AlreadyExists, codes.Aborted:
		return &RejectedError{Why: s.Message()}
	case codes.Unavailable:
		return fmt.Errorf("%w: %s", ErrUnavailable, s.Message())
	case codes.DeadlineExceeded:
		return fmt.Errorf("%w: %s", context.DeadlineExceeded, s.Message())
	case codes.Canceled:
		return fmt.Errorf("%w: %s", context.Canceled, s.Message())
	}
	return fmt.Errorf("the arbiter failed: %s", s.Message())
}

// noApplicationProtocol is TLS's word for a server that talks another protocol than was asked for.
const noApplicationProtocol = tls.AlertError(120)

// mixUp says what was mixed up where a TLS handshake failed because of that.
func mixUp(err error) error {
	var (
		notTLS tls.RecordHeaderError
		remote *net.OpError
	)
	switch {
	case errors.As(err, &notTLS):
		return fmt.Errorf("%w: %w", ErrPlaintextThere, err)
	case errors.As(err, &remote) && remote.Err.Error() == noApplicationProtocol.Error():
		return fmt.Errorf("%w: %w", ErrOtherPort, err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w, or an arbiter that is just stopping, or a balancer without one: %w", ErrOtherPort, err)
	}
	return err
}

// notLeader returns the answer of an arbiter that doesn't lead.
func notLeader(err error) (*arbiterv1.NotLeader, bool) {
	for _, detail := range status.Convert(err).Details() {
		if d, ok := detail.(*arbiterv1.NotLeader); ok {
			return d, true
		}
	}
	return nil, false
}
