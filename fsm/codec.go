package fsm

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// MaxEntryBytes bounds one entry, and with it what decoding one can cost. A whole view of 1,000 groups is far below.
const MaxEntryBytes = 8 << 20

// Header is what an entry says about itself.
type Header struct {
	Version   failover.EntryVersion // of the log language that a node must understand to apply it
	Ignorable bool                  // a node that does not understand it may go on without it
	Wall      failover.WallTime     // the proposer's, for people and cool-downs
	Proposer  failover.NodeID
}

// VersionOf is the log language that a body needs. A leader proposes the body only while State.VotersUnderstand is not older
// (arbiter/encode.go). A kind or field that is added to log.proto raises failover.CurrentVersion and gets its case here. A rule that
// changes raises it too, and holds from State.Version on (docs/design.md, "The language of the log").
func VersionOf(failover.Body) failover.EntryVersion { return 1 }

// Encode makes the bytes to propose. What it returns, Decode accepts; anything else is refused here, before it enters the log, with
// an error that matches ErrCannotEncode: an entry that can't be applied would stop every arbiter.
func Encode(body failover.Body, wall failover.WallTime, proposer failover.NodeID) ([]byte, error) {
	entry := &arbiterv1.Entry{Version: uint32(VersionOf(body)), Proposer: string(proposer)}
	if err := wire.Write(entry, body, wall); err != nil {
		return nil, fmt.Errorf("%w: %T: %w", ErrCannotEncode, body, err)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("%w: %T: %w", ErrCannotEncode, body, err)
	}
	if data = sealed(data); len(data) > MaxEntryBytes {
		return nil, fmt.Errorf("%w: %T has %d bytes, the limit is %d: propose less at a time", ErrCannotEncode, body, len(data), MaxEntryBytes)
	}
	if _, _, err := Decode(data); err != nil {
		return nil, fmt.Errorf("%w: %T could not be read back: %w", ErrCannotEncode, body, err)
	}
	return data, nil
}

// Decode reads an entry. An entry that this build does not understand completely (a newer version, an unknown kind, an unknown
// field anywhere) gives a *CannotApplyError without an index. Its Ignorable repeats the proposer's mark, unless the bytes are
// malformed: then no mark in them can be trusted. Decode never panics; what it allocates is bounded by MaxEntryBytes.
func Decode(data []byte) (failover.Body, Header, error) {
	if len(data) > MaxEntryBytes {
		cause := fmt.Errorf("%w: it has %d bytes, the limit is %d", errMalformed, len(data), MaxEntryBytes)
		return nil, Header{}, &CannotApplyError{Cause: cause}
	}
	if err := Intact(data); err != nil {
		return nil, Header{}, &CannotApplyError{Cause: fmt.Errorf("%w: %w", errMalformed, err)}
	}
	entry := &arbiterv1.Entry{}
	if err := proto.Unmarshal(data, entry); err != nil {
		return nil, Header{}, &CannotApplyError{Cause: fmt.Errorf("%w: %w", errMalformed, err)}
	}
	header := Header{
		Version: failover.EntryVersion(entry.GetVersion()), Ignorable: entry.GetIgnorable(),
		Proposer: failover.NodeID(entry.GetProposer()),
	}
	if cause := understood(entry, data); cause != nil {
		ignorable := header.Ignorable && !errors.Is(cause, errMalformed)
		return nil, header, &CannotApplyError{Version: header.Version, Ignorable: ignorable, Cause: cause}
	}
	body, wall, err := wire.Read(entry, data)
	if err != nil {
		return nil, header, &CannotApplyError{Version: header.Version, Cause: fmt.Errorf("%w: %w", errMalformed, err)}
	}
	header.Wall = wall
	return body, header, nil
}

// understood says why an entry is not understood completely, nil if it is.
func understood(entry *arbiterv1.Entry, data []byte) error {
	switch version := failover.EntryVersion(entry.GetVersion()); {
	case version == 0:
		return fmt.Errorf("%w: it has no version", errMalformed)
	case version > failover.CurrentVersion:
		return errNewer
	case failover.EntryVersion(entry.GetBeginReign().GetVersion()) > failover.CurrentVersion:
		// The leader believes that every voter understands what it will propose, and this one does not.
		return fmt.Errorf("%w: from here on the log may use version %d", errNewer, entry.GetBeginReign().GetVersion())
	}
	if entry.GetKind() == nil && len(entry.ProtoReflect().GetUnknown()) == 0 {
		return fmt.Errorf("%w: it has no kind", errMalformed)
	}
	if field := wire.UnknownField(entry, data); field != "" {
		return fmt.Errorf("%w: %s", errUnknown, field)
	}
	return nil
}
