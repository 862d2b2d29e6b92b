package wire

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Field numbers of log.proto that make up failover.ApplySpec.Source.
const (
	fieldApplySpec protowire.Number = 13 // of Entry
	fieldWritten   protowire.Number = 2  // of ApplySpec
	fieldEffective protowire.Number = 3  // of ApplySpec
)

// NewApplySpec makes the body that creates or changes a group from the spec as the operator wrote it and the same
// spec with every default filled in. The caller has checked both.
func NewApplySpec(
	request failover.Request, written, effective *arbiterv1.GroupSpec, expected uint64,
) (failover.ApplySpec, error) {
	spec, err := SpecFromProto(effective)
	if err != nil {
		return failover.ApplySpec{}, err
	}
	bytes, err := Written(written)
	if err != nil {
		return failover.ApplySpec{}, err
	}
	defaults, err := keep(&arbiterv1.ApplySpec{Effective: effective})
	if err != nil {
		return failover.ApplySpec{}, err
	}
	return failover.ApplySpec{
		Request: request, Group: group(effective), Spec: spec, Written: bytes, Source: slices.Concat(bytes, defaults), Expected: expected,
	}, nil
}

// Written makes the bytes of failover.ApplySpec.Written: by them alone a request is told from another one.
func Written(spec *arbiterv1.GroupSpec) ([]byte, error) {
	return keep(&arbiterv1.ApplySpec{Written: spec})
}

func keep(part *arbiterv1.ApplySpec) ([]byte, error) {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(part)
	if err != nil {
		return nil, fmt.Errorf("keep the spec of a group: %w", err)
	}
	return bytes, nil
}

// ReadSource returns the two forms of a group's spec that failover.ApplySpec.Source and failover.Group.SpecSource hold.
func ReadSource(source []byte) (written, effective *arbiterv1.GroupSpec, err error) {
	message := &arbiterv1.ApplySpec{}
	if err := proto.Unmarshal(source, message); err != nil {
		return nil, nil, fmt.Errorf("read the kept spec of a group: %w", err)
	}
	return message.GetWritten(), message.GetEffective(), nil
}

// wireApplySpec puts Source into the message byte by byte: what becomes part of the state must not depend on how some
// version of the protobuf library orders its output. Source alone says what the spec is; Spec and Group are read from
// it again by Decode.
func (f *faults) wireApplySpec(b failover.ApplySpec) *arbiterv1.ApplySpec {
	if len(b.Source) == 0 {
		f.add("apply_spec", "no source: make the body by NewApplySpec")
	}
	message := &arbiterv1.ApplySpec{Request: wireRequest(b.Request), ExpectedVersion: b.Expected}
	message.ProtoReflect().SetUnknown(b.Source)
	return message
}

// applySpec reads the spec from the very bytes that the state will keep.
func (f *faults) applySpec(message *arbiterv1.ApplySpec, entry []byte) failover.Body {
	var source []byte
	eachField(entry, func(number protowire.Number, _, value []byte) {
		if number == fieldApplySpec {
			source = appendSource(source, value)
		}
	})
	_, effective, err := ReadSource(source)
	if err != nil || effective == nil {
		f.add("apply_spec", "no effective spec (%v)", err)
	}
	spec, err := SpecFromProto(effective)
	if err != nil {
		f.add("apply_spec", "%w", err)
	}
	return failover.ApplySpec{
		Request: request(message), Group: group(effective), Spec: spec, Written: appendFields(nil, source, fieldWritten), Source: source,
		Expected: message.GetExpectedVersion(),
	}
}

func appendSource(source, applySpec []byte) []byte {
	_, prefix := protowire.ConsumeVarint(applySpec) // the length that precedes an embedded message
	return appendFields(source, applySpec[max(prefix, 0):], fieldWritten, fieldEffective)
}

// appendFields appends the bytes of some fields of a message, in its order.
func appendFields(to, message []byte, wanted ...protowire.Number) []byte {
	eachField(message, func(number protowire.Number, field, _ []byte) {
		if slices.Contains(wanted, number) {
			to = append(to, field...)
		}
	})
	return to
}

// eachField calls visit with every field of a message: its number, its bytes, and those of them after the tag. It
// ends at the first fault; whoever calls it has unmarshalled the message before.
func eachField(message []byte, visit func(number protowire.Number, field, value []byte)) {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return
		}
		length := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if length < 0 {
			return
		}
		visit(number, message[:tag+length], message[tag:tag+length])
		message = message[tag+length:]
	}
}
