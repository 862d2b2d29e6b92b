package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// node is a value of a file: a scalar, a list, a mapping, or nothing. It keeps scalars as they were written, because what
// "1" or "no" means depends on the key that it belongs to.
type node struct {
	kind    nodeKind
	line    int
	path    string
	text    string // of a scalar
	quoted  bool   // of a scalar: surely a text
	broken  bool   // there is a fault about it already
	items   []*node
	entries []entry
}

type nodeKind int

const (
	nothing nodeKind = iota
	scalar
	list
	mapping
)

// entry is one key of a mapping.
type entry struct {
	key   string
	line  int
	value *node
}

// document turns YAML into nodes, and collects what is wrong with it.
type document struct {
	lines    map[string]int
	faults   Faults
	doubtful []string // paths of what couldn't be read: nothing can be said of it, nor of what is below it
}

// readDocument parses the text. The node is nil if the text isn't YAML at all; then there is exactly one fault.
func readDocument(file string, text []byte) (*node, *document) {
	d := &document{lines: map[string]int{}}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		d.faults = append(d.faults, Fault{Line: 1, Message: "this is no text; want YAML in UTF-8"})
		return nil, d
	}
	parsed, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntaxFault(err)
		return nil, d
	}
	bodies := make([]ast.Node, 0, 1)
	for _, doc := range parsed.Docs {
		if _, null := doc.Body.(*ast.NullNode); doc.Body != nil && !null {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		d.faults = append(d.faults, Fault{Line: 1, Message: "the file is empty"})
		return nil, d
	case 1:
		return d.convert(bodies[0], ""), d
	}
	d.faults = append(d.faults, Fault{
		Line:    bodies[1].GetToken().Position.Line,
		Message: "a second document begins; write one file for each",
	})
	return nil, d
}

func (d *document) syntaxFault(err error) {
	fault := Fault{Message: err.Error()}
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		fault.Message = syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			fault.Line = t.Position.Line
			colonFault(&fault, t)
		}
	}
	if strings.Contains(fault.Message, "'\t'") {
		fault.Message = "a tab can't indent YAML; use spaces"
	}
	d.faults = append(d.faults, fault)
}

// colonFault says where and why a second colon is wrong: the parser names the text before it, which begins lines earlier if the key
// after it was taken for its continuation.
func colonFault(fault *Fault, text *token.Token) {
	colon := text.Next
	if colon == nil || colon.Type != token.MappingValueType || !strings.Contains(fault.Message, "not allowed in this context") {
		return
	}
	fault.Message = "a value that has \": \" in it must stand in quotes"
	if colon.Position.Line > text.Position.Line {
		fault.Line, fault.Message = colon.Position.Line, "the line is indented too far: it would belong to the value above it"
	}
}

// fault records what is wrong with a node.
func (d *document) fault(n *node, format string, args ...any) {
	d.faults = append(d.faults, Fault{Line: n.line, Path: n.path, Message: fmt.Sprintf(format, args...)})
	d.doubtful = append(d.doubtful, n.path)
}

// certain are those faults that are not about what couldn't be read.
func (d *document) certain(faults []Fault) []Fault {
	return slices.DeleteFunc(faults, func(f Fault) bool {
		return slices.ContainsFunc(d.doubtful, func(path string) bool { return within(f.Path, path) })
	})
}

func (d *document) convert(from ast.Node, path string) *node {
	n := &node{path: path, line: from.GetToken().Position.Line}
	if _, seen := d.lines[path]; !seen {
		d.lines[path] = n.line
	}
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		n.kind, n.text = scalar, v.Value
		n.quoted = v.Token.Type == token.SingleQuoteType || v.Token.Type == token.DoubleQuoteType
	case *ast.LiteralNode:
		n.kind, n.text, n.quoted = scalar, v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = scalar, v.GetToken().Value
	case *ast.SequenceNode:
		n.kind = list
		for i, item := range v.Values {
			n.items = append(n.items, d.convert(item, fmt.Sprintf("%s[%d]", path, i)))
		}
	case *ast.MappingNode:
		d.convertMapping(n, v.Values)
	case *ast.MappingValueNode:
		d.convertMapping(n, []*ast.MappingValueNode{v})
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		n.broken = true
		d.fault(n, "anchors (&), aliases (*) and tags (!) can't be used here; write the value itself")
	default:
		n.broken = true
		d.fault(n, "%s can't be used here", from.Type())
	}
	return n
}

func (d *document) convertMapping(n *node, values []*ast.MappingValueNode) {
	n.kind = mapping
	if len(values) > 0 {
		n.line = values[0].Key.GetToken().Position.Line // a block mapping's own token is its first colon
	}
	first := map[string]int{}
	for _, v := range values {
		line := v.Key.GetToken().Position.Line
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			d.faults = append(d.faults, Fault{Line: line, Path: n.path, Message: "merge keys (<<) can't be used here; write the keys themselves"})
			d.doubtful = append(d.doubtful, n.path)
			continue
		}
		key := v.Key.GetToken().Value
		path := childPath(n.path, key)
		if earlier, twice := first[key]; twice {
			d.faults = append(d.faults, Fault{Line: line, Path: path, Message: fmt.Sprintf("the key is here twice; first in line %d", earlier)})
			d.doubtful = append(d.doubtful, path)
			continue
		}
		first[key] = line
		d.lines[path] = line
		n.entries = append(n.entries, entry{key: key, line: line, value: d.convert(v.Value, path)})
	}
}

func childPath(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// says describes a node in a message about a wrong type.
func (n *node) says() string {
	switch n.kind {
	case scalar:
		return fmt.Sprintf("%q", shorten(n.text))
	case list:
		return "a list"
	case mapping:
		return "a mapping"
	}
	return "nothing"
}

// shorten cuts a value so that a message that quotes it stays one line that can be read.
func shorten(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
