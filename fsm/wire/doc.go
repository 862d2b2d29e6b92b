// Package wire has the two forms of what arbiters tell each other, side by side: the messages of proto/arbiter/v1, which are
// bytes in the log and on streams, and the values of failover, which are what decisions are made of. It is tables of fields and
// nothing else; package fsm has the rules for entries: their version, what is refused, what is skipped.
//
// Guarantees. What one direction writes the other reads as it was, except for words for people in another character set than UTF-8,
// which are mended. What can't be represented is an error that names the field, never a value that is cut or closed at a limit.
// A group's spec is kept as the very bytes of its entry. The tests walk all types by reflection: a field that one form has and the
// other doesn't fails them.
//
// Limits. Values are converted, not judged: whether a spec makes sense is config's business, whether an entry may be applied is failover's.
//
// Goroutines. None; every function may be called from anywhere.
package wire
