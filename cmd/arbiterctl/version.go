package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/release"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "The release of this arbiterctl",
		Args:  atMost(0),
		RunE: func(*cobra.Command, []string) error {
			return a.showOwn(map[string]string{"release": release.Name(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}, versionLine())
		},
	}
}

// versionLine is what `arbiterctl version` and `arbiterctl --version` say.
func versionLine() string {
	return fmt.Sprintf("arbiterctl %s (%s, %s/%s)\n", release.Name(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
