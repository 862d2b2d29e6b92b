package config

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/arbiter-ha/arbiter/internal/keys"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// ParseGroup reads a group spec as it is written, without defaults, and checks its form but not what it means. The name
// of the file is used in messages only. On faults the spec is nil and the error is [Faults]; the source is never nil.
func ParseGroup(file string, text []byte) (*arbiterv1.GroupSpec, *Source, error) {
	spec, doc := readGroup(file, text)
	source := &Source{File: file, lines: doc.lines}
	if len(doc.faults) > 0 {
		return nil, source, source.Locate(doc.faults)
	}
	return spec, source, nil
}

// LoadGroup reads a group spec and checks both its form and what it means: what could be read is looked at also where the form is
// wrong elsewhere, so that all faults come back together. Warnings are returned beside the spec or the faults.
func LoadGroup(file string, text []byte) (*arbiterv1.GroupSpec, Faults, error) {
	spec, doc := readGroup(file, text)
	source := &Source{File: file, lines: doc.lines}
	if spec == nil {
		return nil, nil, source.Locate(doc.faults)
	}
	faults := append(doc.faults, doc.certain(Validate(spec))...)
	warnings := source.Locate(Faults(faults).Besides(doc.certain(Warnings(spec))))
	if len(faults) > 0 {
		return nil, warnings, source.Locate(faults)
	}
	return spec, warnings, nil
}

// readGroup fills a spec with what can be read of it. The spec is nil if the text isn't YAML, or an arbiter's file.
func readGroup(file string, text []byte) (*arbiterv1.GroupSpec, *document) {
	root, doc := readDocument(file, text)
	if IsArbiterFile(text) {
		doc.faults = []Fault{{Message: notGroupSpec}}
		return nil, doc
	}
	if root == nil {
		return nil, doc
	}
	spec := &arbiterv1.GroupSpec{}
	reader := messageReader{doc}
	reader.message(root, spec.ProtoReflect())
	return spec, doc
}

// messageReader fills messages from nodes by their descriptors.
type messageReader struct {
	*document
}

func (r messageReader) message(n *node, m protoreflect.Message) {
	name := m.Descriptor().FullName()
	if shape, special := scalarMessages[name]; special {
		r.scalarMessage(n, m, shape)
		return
	}
	if name == valueMessage && n.kind == scalar {
		m.Set(m.Descriptor().Fields().ByName("literal"), protoreflect.ValueOfString(n.text))
		return
	}
	if inner, wraps := wrappers[name]; wraps {
		r.wrapped(n, m, m.Descriptor().Fields().ByName(inner))
		return
	}
	if n.kind != mapping {
		r.fault(n, "want a mapping (key: value), not %s", n.says())
		return
	}
	r.fields(n, m)
}

// scalarMessage reads a message that is one word in YAML.
func (r messageReader) scalarMessage(n *node, m protoreflect.Message, shape scalarShape) {
	if n.kind != scalar {
		r.fault(n, "want one word, for example 30s, not %s", n.says())
		return
	}
	if err := shape.read(n.text, m); err != nil {
		r.fault(n, "%v", err)
	}
}

// wrapped reads the list that a message stands for. A single mapping is a list of one.
func (r messageReader) wrapped(n *node, m protoreflect.Message, inner protoreflect.FieldDescriptor) {
	if n.kind == mapping {
		r.message(n, m.Mutable(inner).List().AppendMutable().Message())
		return
	}
	r.list(n, m, inner)
}

func (r messageReader) fields(n *node, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	byName := make(map[string]protoreflect.FieldDescriptor, fields.Len())
	known := make([]string, 0, fields.Len())
	open, isOpen := openMessages[m.Descriptor().FullName()]
	for i := range fields.Len() {
		if field := fields.Get(i); field.Name() != open {
			byName[yamlName(field)] = field
			known = append(known, yamlName(field))
		}
	}
	for _, e := range n.entries {
		field, found := byName[e.key]
		switch {
		case found:
			r.field(e.value, m, field)
		case isOpen && (slices.Contains(passedOn[m.Descriptor().FullName()], e.key) || !mistyped(e.key, known)):
			r.setting(e, m.Mutable(fields.ByName(open)).Map())
		default:
			r.unknown(n, e, known, hints[m.Descriptor().FullName()])
		}
	}
}

// unknown records a key that doesn't exist. Nothing more is said of the one that it is meant as.
func (r messageReader) unknown(n *node, e entry, known []string, hints map[string]string) {
	message := unknownKey(e.key, known)
	if hint, found := hints[e.key]; found {
		message = fmt.Sprintf("unknown key %q; %s", e.key, hint)
	} else if near := keys.Nearest(e.key, known); near != "" {
		r.doubtful = append(r.doubtful, childPath(n.path, near))
	}
	r.faults = append(r.faults, Fault{Line: e.line, Path: n.path, Message: message})
}

// mistyped says whether a key of an open message is so near to a known key that it can only be meant as that one.
func mistyped(key string, known []string) bool {
	near := keys.Nearest(key, known)
	return near != "" && keys.Distance(key, near) == 1
}

// setting reads one key that is passed on.
func (r messageReader) setting(e entry, settings protoreflect.Map) {
	if e.value.broken {
		return
	}
	if e.value.kind == nothing || e.value.kind == list {
		r.fault(e.value, "want a value, {file: path} or {env: name}, not %s", e.value.says())
		return
	}
	value := settings.NewValue()
	r.message(e.value, value.Message())
	settings.Set(protoreflect.ValueOfString(e.key).MapKey(), value)
}

func (r messageReader) field(n *node, m protoreflect.Message, field protoreflect.FieldDescriptor) {
	switch {
	case n.broken:
	case n.kind == nothing:
		r.fault(n, "has no value; leave the key out for the default")
	case otherChoice(m, field) != nil:
		r.fault(n, "can't stand beside %s: the value comes from one place; keep one of them", yamlName(otherChoice(m, field)))
	case field.IsMap():
		r.mapField(n, m, field)
	case field.IsList():
		r.list(n, m, field)
	case field.Kind() == protoreflect.MessageKind:
		r.message(n, m.Mutable(field).Message())
	default:
		if value, ok := r.scalar(n, field); ok {
			m.Set(field, value)
		}
	}
}

// otherChoice is the field that was read before, where a message holds one of several.
func otherChoice(m protoreflect.Message, field protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	choice := field.ContainingOneof()
	if choice == nil || choice.IsSynthetic() {
		return nil
	}
	return m.WhichOneof(choice)
}

func (r messageReader) mapField(n *node, m protoreflect.Message, field protoreflect.FieldDescriptor) {
	if n.kind != mapping {
		r.fault(n, "want a mapping (key: value), not %s", n.says())
		return
	}
	values := m.Mutable(field).Map()
	for _, e := range n.entries {
		r.setting(e, values)
	}
}

func (r messageReader) list(n *node, m protoreflect.Message, field protoreflect.FieldDescriptor) {
	if n.kind != list {
		r.fault(n, "want a list (- item, or [item, item]), not %s", n.says())
		return
	}
	if len(n.items) == 0 && slices.Contains(neverEmpty, field.FullName()) {
		r.fault(n, "is empty, and no list at all would mean the default; name at least one, or leave the key out for the default")
		return
	}
	items := m.Mutable(field).List()
	for _, item := range n.items {
		// An item that can't be read keeps its place, so that the others keep theirs.
		element := items.NewElement()
		switch {
		case item.broken:
		case field.Kind() == protoreflect.MessageKind:
			r.message(item, element.Message())
		default:
			if value, ok := r.scalar(item, field); ok {
				element = value
			}
		}
		items.Append(element)
	}
}

func (r messageReader) scalar(n *node, field protoreflect.FieldDescriptor) (protoreflect.Value, bool) {
	if n.kind != scalar {
		r.fault(n, "want one word, not %s", n.says())
		return protoreflect.Value{}, false
	}
	if shape, special := scalarFields[field.FullName()]; special {
		value, err := shape.read(n.text)
		if err != nil {
			r.fault(n, "%v", err)
		}
		return value, err == nil
	}
	value, fault := readScalar(field, n)
	if fault != "" {
		r.fault(n, "%s", fault)
	}
	return value, fault == ""
}
