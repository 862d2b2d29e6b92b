//go:build !failpoints

package main

import "github.com/arbiter-ha/arbiter/internal/failpoint"

// failpointOfTests is nothing in a release: nobody can end an arbiter at a chosen line.
func failpointOfTests() failpoint.Func { return nil }
