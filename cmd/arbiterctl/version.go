package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "The release of this arbiterctl",
		Args:  atMost(0),
		RunE: func(*cobra.Command, []string) error {
			return a.showOwn(map[string]string{"release": release(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}, versionLine())
		},
	}
}

// versionLine is what `arbiterctl version` and `arbiterctl --version` say.
func versionLine() string {
	return fmt.Sprintf("arbiterctl %s (%s, %s/%s)\n", release(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// release is what the Go tool recorded at the build: a tag, or else the commit.
func release() string {
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
