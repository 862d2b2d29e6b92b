// Package keys says what the keys of a spec mean by their names alone: whether a setting holds a secret, and which known
// key a wrong one was meant as; and what can be a name.
//
// It is one list for those who keep secrets out of specs and for those who keep them out of what is logged and shown, and
// one measure of nearness for all that is mistyped.
//
// Guarantees: every parameter of the ClusterLabs fence agents that holds a secret counts, and none that holds a path, a
// program, a mode or a name (testdata has them all). A name one letter away from that of a password counts too.
//
// Limits: a secret under a name that doesn't say so is not seen, except a password in a URL. The package depends on
// nothing, starts no goroutine and keeps no state.
package keys
