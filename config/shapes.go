package config

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The few places where YAML is friendlier than the schema. Everything else is read and written by the descriptor alone.

// wrappers are messages that hold nothing but one list; YAML writes the list itself:
//
//	fence: [[{device: fence_ipmilan, ip: bmc-a}]]
var wrappers = map[protoreflect.FullName]protoreflect.Name{
	"arbiter.v1.FenceLevel": "devices",
}

// openMessages take keys that aren't in the schema and pass them on: to a fence agent, to a router.
var openMessages = map[protoreflect.FullName]protoreflect.Name{
	"arbiter.v1.FenceDevice": "settings",
	"arbiter.v1.Route":       "settings",
}

// passedOn are keys of open messages that are one letter away from a known one, and meant as they are: fence_scsi, fence_mpath and fence_sbd need
// the devices that they act on.
var passedOn = map[protoreflect.FullName][]string{"arbiter.v1.FenceDevice": {"devices"}}

// scalarMessages are messages that YAML writes as one word.
var scalarMessages = map[protoreflect.FullName]scalarShape{
	"google.protobuf.Duration": {read: readDuration, write: writeDuration},
}

// scalarFields are fields that YAML spells in another way than the schema.
var scalarFields = map[protoreflect.FullName]fieldShape{
	"arbiter.v1.Policy.max_loss_bytes": {name: "max_loss", read: readSize, write: writeSize},
}

// hints say what to do instead of writing a key that doesn't exist and that many expect.
var hints = map[protoreflect.FullName]map[string]string{
	"arbiter.v1.MemberSpec": {
		"role":    adoptHint,
		"primary": adoptHint,
		"standby": adoptHint,
	},
}

const adoptHint = "who is primary isn't written down: `arbiterctl adopt` finds it, and every failover changes it; leave the key out"

// neverEmpty are lists whose default isn't empty: one that is written with nothing in it can't be told from one that isn't there.
var neverEmpty = []protoreflect.FullName{"arbiter.v1.Policy.accept_proofs", "arbiter.v1.Health.checks"}

type scalarShape struct {
	read  func(text string, into protoreflect.Message) error
	write func(from protoreflect.Message) string
}

type fieldShape struct {
	name  string
	read  func(text string) (protoreflect.Value, error)
	write func(protoreflect.Value) string
}

// valueMessage is a literal, or says where a secret is: `password: {file: /etc/arbiter/secrets/bmc}`.
const valueMessage protoreflect.FullName = "arbiter.v1.Value"

// yamlName is the key under which a field is written.
func yamlName(field protoreflect.FieldDescriptor) string {
	if shape, special := scalarFields[field.FullName()]; special {
		return shape.name
	}
	return string(field.Name())
}

func readDuration(text string, into protoreflect.Message) error {
	d, err := parseDuration(text)
	if err != nil {
		return err
	}
	fields := into.Descriptor().Fields()
	into.Set(fields.ByName("seconds"), protoreflect.ValueOfInt64(int64(d/time.Second)))
	into.Set(fields.ByName("nanos"), protoreflect.ValueOfInt32(int32(d%time.Second)))
	return nil
}

func writeDuration(from protoreflect.Message) string {
	fields := from.Descriptor().Fields()
	d := time.Duration(from.Get(fields.ByName("seconds")).Int())*time.Second +
		time.Duration(from.Get(fields.ByName("nanos")).Int())
	return formatDuration(d)
}

func readSize(text string) (protoreflect.Value, error) {
	size, err := ParseBytes(text)
	return protoreflect.ValueOfUint64(size), err
}

func writeSize(v protoreflect.Value) string { return exactBytes(v.Uint()) }

// readScalar reads one word as a field's kind. quoted words are texts, never numbers or truths.
func readScalar(field protoreflect.FieldDescriptor, n *node) (protoreflect.Value, string) {
	none := protoreflect.Value{}
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(n.text), ""
	case protoreflect.BoolKind:
		if !n.quoted && (n.text == "true" || n.text == "false") {
			return protoreflect.ValueOfBool(n.text == "true"), ""
		}
		return none, "want true or false, not " + n.says()
	case protoreflect.Uint32Kind:
		v, err := strconv.ParseUint(n.text, 10, 32)
		if err != nil || n.quoted {
			return none, "want a whole number, not " + n.says()
		}
		return protoreflect.ValueOfUint32(uint32(v)), ""
	case protoreflect.Uint64Kind:
		v, err := strconv.ParseUint(n.text, 10, 64)
		if err != nil || n.quoted {
			return none, "want a whole number, not " + n.says()
		}
		return protoreflect.ValueOfUint64(v), ""
	}
	return none, "a " + field.Kind().String() + " can't be written in YAML"
}
