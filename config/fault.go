package config

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a file or a spec.
type Fault struct {
	// File and Line say where, if the value was read from a file; Line counts from 1, 0 means not known.
	File string
	Line int
	// Path is the key, for example "members[1].address"; empty for the file as a whole.
	Path string
	// Message says what is wrong and what would be right.
	Message string
}

// String prints the fault as compilers do, so that editors can jump to it: "file:line: path: message".
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteString(": ")
	} else if f.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Path != "" {
		b.WriteString(f.Path)
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults is an error that lists everything that is wrong, one line each.
type Faults []Fault

// Error lists the faults, one line each.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the faults as an error, or nil if there are none.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Each visits the faults by path and message, for those who pass them on.
func (f Faults) Each(visit func(path, message string)) {
	for _, fault := range f {
		visit(fault.Path, fault.Message)
	}
}

// And adds more faults, except those about what has one already: at its path, or at one below it.
func (f Faults) And(more []Fault) Faults {
	all := slices.Clone(f)
	for _, fault := range more {
		if !slices.ContainsFunc(f, func(known Fault) bool { return within(fault.Path, known.Path) }) {
			all = append(all, fault)
		}
	}
	return all
}

// Besides are the warnings about other keys than these faults: nobody need be warned of what is wrong anyway.
func (f Faults) Besides(warnings Faults) Faults {
	return slices.DeleteFunc(slices.Clone(warnings), func(w Fault) bool {
		return slices.ContainsFunc(f, func(known Fault) bool { return known.Path == w.Path })
	})
}

// within says whether a path is another one, or below it. All is below the path "".
func within(path, above string) bool {
	rest, below := strings.CutPrefix(path, above)
	return below && (above == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Source remembers where in a file each value stands, so that a fault found later can still name its line.
type Source struct {
	File  string
	lines map[string]int // path -> line
}

// Locate adds file and line to faults that have only a path, and sorts them by line. A key that isn't in the file takes
// the line of the nearest value that would contain it.
func (s *Source) Locate(faults []Fault) Faults {
	located := slices.Clone(faults)
	for i := range located {
		located[i].File = s.File
		if located[i].Line == 0 {
			located[i].Line = s.line(located[i].Path)
		}
	}
	slices.SortStableFunc(located, func(a, b Fault) int { return a.Line - b.Line })
	return located
}

func (s *Source) line(path string) int {
	for path != "" {
		if line, found := s.lines[path]; found {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return s.lines[""]
}
