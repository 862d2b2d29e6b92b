// Package mutants plants bugs, to see whether what looks for them finds them. Each mutant is the product with one rule removed or
// weakened, in the way that a hurried change would: a few words of one file. It is built with go build's -overlay, so nothing of it is
// ever in a file of the project, nor in a program that is shipped.
//
// A mutant is caught when an exploration of the core (package explore), or a search of the simulator (package sim), finds a rule broken that
// holds without it; one in an arbiter's own view (package ownview), by the simulator alone. One in the shell, which neither of them runs, is caught by the tests of whole arbiters in virtual time (package virtual). Whoever adds a safety check adds the mutant that it is there for.
package mutants
