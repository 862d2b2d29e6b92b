package arrows

import (
	"cmp"
	"fmt"
	"slices"
)

// Fault is one place where the tree breaks a rule.
type Fault struct {
	File string // relative to the top of the tree
	Line int    // counts from 1
	Rule string // which table of rules.go: layer, drivers, library, standard, purity, comment, habit or size
	What string // what is wrong, and why it is
}

// String writes the fault as compilers do, so that editors find the place.
func (f Fault) String() string { return fmt.Sprintf("%s:%d: %s (%s)", f.File, f.Line, f.What, f.Rule) }

func fault(file string, line int, rule, format string, values ...any) Fault {
	return Fault{File: file, Line: line, Rule: rule, What: fmt.Sprintf(format, values...)}
}

// Check compares the tree with every rule and returns the faults, sorted by place.
func (t *Tree) Check() []Fault {
	faults := slices.Concat(
		t.layerFaults(),
		t.siblingFaults(),
		t.exclusiveFaults(),
		t.standardFaults(),
		t.purityFaults(),
		t.commentFaults(),
		t.habitFaults(),
		t.sizeFaults(),
	)
	slices.SortFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.What, b.What))
	})
	return faults
}
