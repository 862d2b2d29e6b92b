// Package routesettings says which settings the routers of a group's routes take, and what is wrong with given ones.
//
// It is one list for the drivers, which use the settings, and for those who check a spec before any router is asked: arbiters, and
// operators without an arbiter. What it says of a setting never holds the value of a secret.
//
// Limits: it talks to nothing and reads no secret. What a file or an environment variable will hold is not checked, nor what the program
// of a command router makes of its settings. The package depends on nothing, starts no goroutine and keeps no state.
package routesettings
