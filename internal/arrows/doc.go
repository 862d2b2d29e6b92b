// Package arrows checks the shape of this repository: which package may import which, that the decision core has no
// clock, no chance, no goroutine and no I/O, and a few habits that a reader relies on.
//
// The rules are tables in rules.go; everything else reads Go source and compares. It parses every file of the tree,
// whatever its build tags, so a rule cannot be escaped on another platform, and works while some package does not
// compile. It does not resolve types: what is hidden behind a helper in another package is found only because the
// arrows forbid importing that package.
//
// The package starts no goroutine and writes nothing.
package arrows
