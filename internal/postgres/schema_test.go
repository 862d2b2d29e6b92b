package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

// An old server says so, and what to do, before the schema comes to words that it doesn't know. This one is PostgreSQL 14 as far as it tells.
func TestSchemaRefusesAnOldServer(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec("CREATE SCHEMA old")
	server.Exec(`CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql
		AS $$ SELECT CASE name WHEN 'server_version_num' THEN '140011' WHEN 'server_version' THEN '14.11' ELSE pg_catalog.current_setting(name) END $$`)
	server.Exec("ALTER ROLE " + postgrestest.Superuser + " SET search_path = old, pg_catalog")
	schema, err := postgres.Schema("orders_arbiter")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(schema, "$do$;")
	_, err = server.TryQuery(first + "$do$")
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || refusal.Message != "PostgreSQL 14.11 is too old for Arbiter" || !strings.Contains(refusal.Hint, "PostgreSQL 15 or later") {
		t.Errorf("the schema on PostgreSQL 14: %v", err)
	}
	if roles := server.Query("SELECT count(*) FROM pg_roles WHERE rolname = 'orders_arbiter'"); roles != "0" {
		t.Errorf("it made %s roles", roles)
	}
}
