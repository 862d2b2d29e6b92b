// Package release says which release of Arbiter a program is.
package release

import "runtime/debug"

// Name is what the Go tool recorded at the build: a tag, or else the commit.
func Name() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "development build"
}
