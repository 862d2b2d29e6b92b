//go:build race

package e2e

// detector makes the programs under test, too, look for data races.
var detector = []string{"-race"}
