//go:build !race

package e2e

var detector []string
