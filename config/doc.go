// Package config reads what people write: group specs, the arbiter file and the contexts of arbiterctl.
//
// A group spec becomes the one schema, arbiterv1.GroupSpec. The reader walks the message's descriptor, so a new field of
// the schema needs no code here; the few places where YAML is friendlier than the schema are one table (shapes.go).
//
// Guarantees: reading is strict. An unknown or repeated key, a wrong type, or a missing value is a fault, never ignored,
// and all faults of a file come back together, each with its line and path. Defaults and Validate are pure: they copy,
// and look at nothing but their argument. What [FormatGroup] writes, [ParseGroup] reads back to an equal spec.
//
// Limits: one document in a file; no anchors, aliases, merge keys or tags, because a reader at night must see the value
// where it is used. Nothing here resolves a secret, opens a file or asks a server: what a spec refers to may not exist.
//
// The package starts no goroutine and keeps no state.
package config
