package main

import (
	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// schemaCommand prints what a PostgreSQL server needs before Arbiter can watch and promote it.
func (a *app) schemaCommand() *cobra.Command {
	user := ""
	command := &cobra.Command{
		Use:   "schema",
		Short: "The SQL that PostgreSQL needs once: role, least privileges, tables; needs no arbiter",
		Long: `The SQL that a PostgreSQL primary needs once, run by a superuser in the database that the spec names under connect:

  arbiterctl schema > schema.sql                                              # here; copy it to the primary, and there:
  runuser -u postgres -- psql -v ON_ERROR_STOP=1 -d postgres -f - < schema.sql

It says for each privilege what it is for, and may be run again.`,
		Args: atMost(0),
		RunE: func(*cobra.Command, []string) error {
			text, err := postgres.Schema(user)
			if err != nil {
				return usageError{err}
			}
			return a.print(text)
		},
	}
	command.Flags().StringVar(&user, "user", "arbiter", "the role, as the spec's connect.user names it")
	return command
}
