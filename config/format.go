package config

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// lineWidth is where a mapping in braces becomes a block.
const lineWidth = 110

// FormatGroup writes a spec as YAML that ParseGroup reads back to an equal spec. Fields are in the schema's order, the
// settings of devices and routes in alphabetical order.
func FormatGroup(spec *arbiterv1.GroupSpec) []byte {
	var b strings.Builder
	writeBlock(&b, yamlOf(spec.ProtoReflect()), "")
	return []byte(b.String())
}

// yamlValue is what is written: a word, a list or a mapping.
type yamlValue struct {
	word  string
	list  []yamlValue
	pairs []yamlPair
	kind  nodeKind
}

type yamlPair struct {
	key   string
	value yamlValue
}

func word(text string) yamlValue { return yamlValue{kind: scalar, word: text} }

func yamlOf(m protoreflect.Message) yamlValue {
	name := m.Descriptor().FullName()
	if shape, special := scalarMessages[name]; special {
		return word(shape.write(m))
	}
	if name == valueMessage {
		return yamlOfValue(m)
	}
	if inner, wraps := wrappers[name]; wraps {
		return yamlOfList(m, m.Descriptor().Fields().ByName(inner))
	}
	value := yamlValue{kind: mapping}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case !m.Has(field):
		case field.Name() == openMessages[name]:
			value.pairs = append(value.pairs, yamlOfMap(m.Get(field).Map()).pairs...)
		default:
			value.pairs = append(value.pairs, yamlPair{yamlName(field), yamlOfField(m, field)})
		}
	}
	return value
}

func yamlOfField(m protoreflect.Message, field protoreflect.FieldDescriptor) yamlValue {
	switch {
	case field.IsMap():
		return yamlOfMap(m.Get(field).Map())
	case field.IsList():
		return yamlOfList(m, field)
	case field.Kind() == protoreflect.MessageKind:
		return yamlOf(m.Get(field).Message())
	}
	return yamlOfScalar(field, m.Get(field))
}

func yamlOfScalar(field protoreflect.FieldDescriptor, v protoreflect.Value) yamlValue {
	if shape, special := scalarFields[field.FullName()]; special {
		return word(shape.write(v))
	}
	if field.Kind() == protoreflect.StringKind {
		return word(quoted(v.String()))
	}
	return word(v.String())
}

// yamlOfValue writes a literal as one word, a reference as {file: path} or {env: name}.
func yamlOfValue(m protoreflect.Message) yamlValue {
	set := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
	if set == nil {
		return word(`""`)
	}
	text := word(quoted(m.Get(set).String()))
	if set.Name() == "literal" {
		return text
	}
	return yamlValue{kind: mapping, pairs: []yamlPair{{string(set.Name()), text}}}
}

func yamlOfMap(m protoreflect.Map) yamlValue {
	value := yamlValue{kind: mapping}
	m.Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
		value.pairs = append(value.pairs, yamlPair{quotedKey(key.String()), yamlOf(v.Message())})
		return true
	})
	slices.SortFunc(value.pairs, func(a, b yamlPair) int { return strings.Compare(a.key, b.key) })
	return value
}

func yamlOfList(m protoreflect.Message, field protoreflect.FieldDescriptor) yamlValue {
	value, items := yamlValue{kind: list}, m.Get(field).List()
	for i := range items.Len() {
		if field.Kind() == protoreflect.MessageKind {
			value.list = append(value.list, yamlOf(items.Get(i).Message()))
		} else {
			value.list = append(value.list, yamlOfScalar(field, items.Get(i)))
		}
	}
	return value
}

// plainWord matches texts that YAML reads back as the same text without quotes, in braces too.
var plainWord = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9/][A-Za-z0-9_./@+-]*)*$`)

// plainNumber matches numbers and IPv4 addresses that read back digit for digit.
var plainNumber = regexp.MustCompile(`^(0|[1-9][0-9]{0,17}|[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]{1,5})?)$`)

// reservedWords mean something else than themselves to some reader of YAML.
var reservedWords = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}

// quotedKey writes a key: as a text, but never with a colon of its own outside quotes.
func quotedKey(text string) string {
	if strings.Contains(text, ":") {
		return inQuotes(text)
	}
	return quoted(text)
}

func quoted(text string) string {
	if plainWord.MatchString(text) && !slices.Contains(reservedWords, strings.ToLower(text)) || plainNumber.MatchString(text) {
		return text
	}
	return inQuotes(text)
}

func inQuotes(text string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b) // a JSON string is a double-quoted YAML scalar
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil { // a string always encodes
		return `""`
	}
	return strings.TrimSpace(b.String())
}

// flow writes a value on one line.
func (v yamlValue) flow() string {
	switch v.kind {
	case list:
		items := make([]string, len(v.list))
		for i, item := range v.list {
			items[i] = item.flow()
		}
		return "[" + strings.Join(items, ", ") + "]"
	case mapping:
		pairs := make([]string, len(v.pairs))
		for i, p := range v.pairs {
			pairs[i] = p.key + ": " + p.value.flow()
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	}
	return v.word
}

// small says whether a value reads best on one line: words, and what holds only words.
func (v yamlValue) small() bool {
	switch v.kind {
	case scalar:
		return true
	case list:
		return !slices.ContainsFunc(v.list, func(item yamlValue) bool { return item.kind != scalar })
	}
	return !slices.ContainsFunc(v.pairs, func(p yamlPair) bool {
		return p.value.kind == list || p.value.kind == mapping && !p.value.small()
	})
}

// onOneLine says whether a value is written on one line at this indent. A list of one small mapping may be.
func (v yamlValue) onOneLine(indent string, extra int) bool {
	small := v.small() || v.kind == list && len(v.list) == 1 && v.list[0].small()
	return v.kind != mapping && v.kind != list || small && len(indent)+extra+len(v.flow()) <= lineWidth
}

func writeBlock(b *strings.Builder, v yamlValue, indent string) {
	for _, p := range v.pairs {
		b.WriteString(indent + p.key + ":")
		if p.value.kind != list && p.value.onOneLine(indent, len(p.key)+2) || p.value.kind == list && p.value.small() {
			b.WriteString(" " + p.value.flow() + "\n")
			continue
		}
		b.WriteString("\n")
		writeNested(b, p.value, indent+"  ")
	}
}

func writeNested(b *strings.Builder, v yamlValue, indent string) {
	if v.kind == mapping {
		writeBlock(b, v, indent)
		return
	}
	for _, item := range v.list {
		if item.onOneLine(indent, 2) {
			b.WriteString(indent + "- " + item.flow() + "\n")
			continue
		}
		var nested strings.Builder
		writeNested(&nested, item, indent+"  ")
		b.WriteString(indent + "- " + strings.TrimPrefix(nested.String(), indent+"  "))
	}
}
