// Package fencesettings says what is wrong with the settings of fence devices, and what proof a device gives.
//
// It is one list for package fence, which uses the settings, and for those who check a spec before any device is asked: arbiters, and
// operators without an arbiter. What it says of a setting never holds its value: that may be a secret under a key that doesn't look like one.
//
// Limits: it talks to nothing and reads no secret. What a file or an environment variable will hold is checked when it is used (CheckValue).
// Whether an agent is there and knows a setting is for package fenceagent. The package starts no goroutine and keeps no state.
package fencesettings
