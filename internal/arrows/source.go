package arrows

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Tree is the parsed Go source of a repository.
type Tree struct {
	positions *token.FileSet
	files     []file
}

// file is one Go file. Names and folders are slash-separated and relative to the top of the tree.
type file struct {
	name      string
	folder    string
	test      bool
	generated bool
	syntax    *ast.File
}

// Load parses every Go file below the top of tree, except what Go itself ignores (testdata, vendor, names that begin
// with a dot or an underscore). A file that does not parse is an error.
func Load(tree fs.FS) (*Tree, error) {
	loaded := &Tree{positions: token.NewFileSet()}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read %s: %w", name, err)
		case entry.IsDir() && ignored(name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		return loaded.add(tree, name)
	})
	if err != nil {
		return nil, err
	}
	return loaded, nil
}

// ignored reports whether the go command looks into a folder of this name.
func ignored(name string) bool {
	base := path.Base(name)
	if name == "." {
		return false
	}
	return base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_'
}

func (t *Tree) add(tree fs.FS, name string) error {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	syntax, err := parser.ParseFile(t.positions, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse %s: %w", name, err)
	}
	t.files = append(t.files, file{
		name:      name,
		folder:    path.Dir(name),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
		syntax:    syntax,
	})
	return nil
}

// line returns the line of a position in its file.
func (t *Tree) line(position token.Pos) int { return t.positions.Position(position).Line }

// lines returns how many lines a node spans.
func (t *Tree) lines(node ast.Node) int { return t.line(node.End()) - t.line(node.Pos()) + 1 }

// importPath returns what an import names, without its quotes.
func importPath(spec *ast.ImportSpec) string {
	text, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value // the parser admits only string literals
	}
	return text
}

// own splits an import path of this repository into its folder.
func own(imported string) (folder string, ok bool) {
	return strings.CutPrefix(imported, module+"/")
}

// standard reports whether an import path belongs to the standard library: its first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// within reports whether name is prefix or lies below it.
func within(name, prefix string) bool {
	return name == prefix || strings.HasPrefix(name, prefix+"/")
}

// localNames maps the names under which a file knows its imports to their import paths. A name that is not given is
// taken to be the last element of the path, which holds for the standard library and all of this repository.
func (f file) localNames() map[string]string {
	names := make(map[string]string, len(f.syntax.Imports))
	for _, spec := range f.syntax.Imports {
		imported := importPath(spec)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
	}
	return names
}
