//go:build linux

// Package fence proves that a member cannot write, by switching it off or cutting it off through devices outside of it.
//
// A member's fence is an ordered list of levels. In a level all devices must succeed (two power supplies); levels are
// tried in order, or raced if the policy says so. A device is any executable that follows the ClusterLabs fence agent
// API: key=value lines on standard input, the actions off, status, list and metadata, exit status 0 for done or on, 2
// for off, 1 for an error.
//
// Guarantees:
//   - A proof comes only from reading back: after off, the device is asked for its status until it says OFF or its time is
//     up. The exit status of off proves nothing, and an exit status of 2 alone, which shells and interpreters also use for
//     their own errors, is not taken for OFF.
//   - A device that says off while the member still answers is no proof: the level has failed (scenario 24). That its machine refuses
//     connections is an answer too, where it is claimed to be off.
//   - What can't be proved is UNKNOWN, with the reason of every level (S3).
//   - Every device has its own time limit. One that hangs takes nothing from the next one (scenario 23).
//   - Nothing runs any more when Isolate returns, the losers of a race included (S15, see package command).
//   - No text that leaves the package has a secret of the settings in it (scenario 55).
//   - reboot is never a fence: settings that ask for it (action, method=cycle) are refused, and so is missing_as_off, which takes
//     a misspelt machine for one that is off.
//
// Limits: a device that lies about a machine that gives no sign of life can't be found out. A device's grade is taken from a list of agents
// that cut off rather than switch off, or from the spec (the setting "proof").
//
// What a fence takes is up to its agent, as a call costs this package two milliseconds: fence_ipmilan pauses for two seconds after every
// off unless power_wait=0 says otherwise, and takes ten more without cipher=3.
//
// Reserved settings, which are for this package and not passed on: "expect_name" (see identity.go) and "proof" ("off" or
// "isolated").
//
// Goroutines: one per device while a call is under way. A Fencer remembers nothing but what agents said of
// themselves, and which calls hang inside the kernel: those aren't made again meanwhile. All methods may be called at any time.
package fence
