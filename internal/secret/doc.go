// Package secret turns the settings of a group spec into their values and keeps those values out of everything that is
// written down.
//
// A spec never carries a secret itself: it names a file or an environment variable, and every arbiter resolves its own
// (DESIGN section 7). Guarantees: no error and no warning of this package contains a secret; a Redactor removes the
// secrets that it was given, also in the common encodings (shell quoting, URL, JSON, XML, base64), before a text is
// logged, committed or shown. Whoever waits for a file stops waiting when its context ends, whatever the file system does.
//
// Limits: a Redactor knows only the secrets that it was given, and a program that prints half of one, or prints it in
// an encoding of its own, is not caught. A file system that hangs keeps one thread for each file that was asked for, up to a bound
// for each folder and one for all; what is asked for beyond waits, and is given up in time. Whoever gives up leaves nothing behind.
//
// Goroutines: one for each file that is being read, or waits for its turn. A Reader and a Redactor may be used by several.
package secret
