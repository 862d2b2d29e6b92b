package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// TestDocs_GroupSpecHasEveryKey holds docs/group-spec.md to the schema and to the defaults: a row `key` | `default` for every key.
func TestDocs_GroupSpecHasEveryKey(t *testing.T) {
	rows := documentedKeys(t, "../docs/group-spec.md")
	device := &arbiterv1.FenceDevice{Device: "fence_test"}
	spec := Defaults(&arbiterv1.GroupSpec{
		Members: []*arbiterv1.MemberSpec{{Address: "db.example:5432", Fence: []*arbiterv1.FenceLevel{{Devices: []*arbiterv1.FenceDevice{device}}}}},
		Health:  &arbiterv1.Health{Checks: []*arbiterv1.Check{{Kind: "http"}}},
		Routes:  []*arbiterv1.Route{{Router: "haproxy"}},
	})
	// Their defaults depend on other keys, or were given above.
	depends := map[string]bool{
		"members[].address": true, "members[].application_name": true, "members[].fence[][].device": true, "health.checks[].name": true, "health.checks[].kind": true,
		"health.checks[].interval": true, "health.checks[].timeout": true, "health.checks[].failures": true, "routes[].router": true, "routes[].name": true,
	}
	for key, value := range specLeaves(spec.ProtoReflect(), "") {
		documented, found := rows[key]
		if !found {
			t.Errorf("docs/group-spec.md has no row for `%s`", key)
		}
		if want := "`" + value + "`"; value != "" && !depends[key] && documented != want {
			t.Errorf("docs/group-spec.md says that the default of %s is %q, it is %s", key, documented, want)
		}
		if value == "" && strings.HasPrefix(documented, "`") {
			t.Errorf("docs/group-spec.md says that the default of %s is %s, it has none", key, documented)
		}
		delete(rows, key)
	}
	for key := range rows {
		if section, _, nested := strings.Cut(key, "."); nested && spec.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(strings.TrimSuffix(section, "[]"))) != nil {
			t.Errorf("docs/group-spec.md has a row for `%s`, which the schema doesn't have", key)
		}
	}
}

// TestDocs_ArbiterFileHasEveryKey holds docs/arbiter-file.md to the reader.
func TestDocs_ArbiterFileHasEveryKey(t *testing.T) {
	rows := documentedKeys(t, "../docs/arbiter-file.md")
	parts := map[string]bool{}
	for key := range rows {
		for _, part := range strings.Split(key, ".") {
			parts[part] = true
		}
	}
	for _, key := range arbiterFileKeys(t) {
		if !parts[key] {
			t.Errorf("docs/arbiter-file.md has no row for the key `%s`", key)
		}
	}
}

// documentedKeys are the rows of all tables whose first cell is a key, with their second cell.
func documentedKeys(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		rows[strings.Trim(strings.TrimSpace(cells[1]), "`")] = strings.TrimSpace(cells[2])
	}
	return rows
}

// specLeaves are the keys of a spec that hold a value, with the value that they have, empty if none. Lists give their first element.
func specLeaves(m protoreflect.Message, prefix string) map[string]string {
	leaves := map[string]string{}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		key := prefix + yamlName(field)
		switch {
		case field.IsMap() && openMessages[m.Descriptor().FullName()] == field.Name():
			continue // passed on as it is
		case field.Kind() != protoreflect.MessageKind || field.IsMap() || leafMessage(field.Message()):
			leaves[key] = leafValue(m, field)
			continue
		}
		inner := m.Get(field)
		message, key := elementOf(inner, field, key)
		if list, wrapped := wrappers[field.Message().FullName()]; wrapped {
			field = field.Message().Fields().ByName(list)
			message, key = elementOf(message.Get(field), field, key)
		}
		for k, v := range specLeaves(message, key+".") {
			leaves[k] = v
		}
	}
	return leaves
}

// elementOf is a message, or the first one of a list, or an empty one if there is none.
func elementOf(value protoreflect.Value, field protoreflect.FieldDescriptor, key string) (protoreflect.Message, string) {
	if !field.IsList() {
		return value.Message(), key
	}
	key += "[]"
	if list := value.List(); list.Len() > 0 {
		return list.Get(0).Message(), key
	}
	return value.List().NewElement().Message(), key
}

func leafMessage(d protoreflect.MessageDescriptor) bool {
	_, scalar := scalarMessages[d.FullName()]
	return scalar || d.FullName() == valueMessage
}

func leafValue(m protoreflect.Message, field protoreflect.FieldDescriptor) string {
	switch value := m.Get(field); {
	case field.IsList():
		items := make([]string, value.List().Len())
		for i := range items {
			items[i] = value.List().Get(i).String()
		}
		if len(items) == 0 {
			return ""
		}
		return "[" + strings.Join(items, ", ") + "]"
	case !m.Has(field) || field.IsMap():
		return ""
	case field.Kind() == protoreflect.MessageKind && field.Message().FullName() == valueMessage:
		return ""
	case field.Kind() == protoreflect.MessageKind:
		return scalarMessages[field.Message().FullName()].write(value.Message())
	default:
		if shape, special := scalarFields[field.FullName()]; special {
			return shape.write(value)
		}
		return fmt.Sprint(value.Interface())
	}
}

// arbiterFileKeys reads from the source which keys the reader of the arbiter file asks for.
func arbiterFileKeys(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "arbiterfile.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	readers := map[string]bool{"text": true, "texts": true, "truth": true, "inner": true, "each": true}
	var keys []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		literal, isText := call.Args[0].(*ast.BasicLit)
		if !ok || !isText || !readers[method.Sel.Name] {
			return true
		}
		key, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		return true
	})
	if len(keys) == 0 {
		t.Fatal("arbiterfile.go reads no keys: its reader has moved")
	}
	return keys
}
