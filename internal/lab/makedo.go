package lab

import (
	"fmt"

	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/haproxy"
)

// MakeDo takes the laboratory's own service and router where options leave the choice open and PostgreSQL or HAProxy can't
// be had. It returns a line for people about each.
func MakeDo(options *Options) []string { return makeDo(options, database.Usable, haproxy.Usable) }

func makeDo(options *Options, database, proxy func() error) []string {
	var lines []string
	if options.Service == "" {
		options.Service = PostgreSQL
		if err := database(); err != nil {
			options.Service = Builtin
			lines = append(lines, fmt.Sprintf("Without PostgreSQL (%v): the built-in primary/standby service takes its place.", err))
		}
	}
	if !options.BuiltinRouter {
		if err := proxy(); err != nil {
			options.BuiltinRouter = true
			lines = append(lines, fmt.Sprintf("Without HAProxy (%v): the built-in router takes its place.", err))
		}
	}
	return lines
}
