package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// Problem is one thing that a member lacks for safe automation.
type Problem struct {
	Member failover.MemberName
	// Blocks says that an action would fail or lose what was promised; otherwise it is advice.
	Blocks bool
	// Halts says of what blocks that a failover to this member would stop half way for it: it can't be promoted, or not be proven to serve.
	Halts bool
	What  string // one line: what is missing, and what it costs
	Fix   string // what to do
	// Unreachable says that nothing answered: the server is down, or cut off from this arbiter.
	Unreachable bool
}

// Preconditions looks at one member, without changing anything, for what Arbiter needs on it: privileges, tables, settings. No problems means
// that none of the actions of this package will fail for lack of them. A member that can't be asked is a problem too.
func (p *Postgres) Preconditions(ctx context.Context, member failover.MemberSpec, spec *failover.Spec) []Problem {
	found := &findings{member: member, spec: spec}
	// A plain session: the others hide some of the settings that are looked at.
	conn, err := postgres.NewConnector(spec.Connect, p.secrets).Dial(ctx, member.Address, postgres.Options{})
	if err != nil {
		found.cannotAsk(err)
		return found.problems
	}
	defer conn.Close()
	version, err := readVersion(ctx, conn)
	if err != nil {
		found.cannotAsk(err)
		return found.problems
	}
	if version < minimumVersion {
		found.halts(fmt.Sprintf("its version is %d; ALTER SYSTEM can be granted from PostgreSQL 15 on", version/10000), "upgrade to PostgreSQL 15 or later")
		return found.problems // an older one doesn't know all of what is asked next
	}
	facts, err := readServerFacts(ctx, conn)
	if err != nil {
		found.cannotAsk(err)
		return found.problems
	}
	found.checkPrivileges(facts)
	found.checkServer(facts)
	if facts.inRecovery {
		found.checkStandby(facts)
	} else {
		found.checkPrimary(facts)
	}
	return found.problems
}

type findings struct {
	member   failover.MemberSpec
	spec     *failover.Spec
	problems []Problem
}

func (f *findings) blocks(what, fix string) {
	f.problems = append(f.problems, Problem{Member: f.member.Name, Blocks: true, What: what, Fix: fix})
}

// halts is a problem for which a failover to this member would stop half way.
func (f *findings) halts(what, fix string) {
	f.problems = append(f.problems, Problem{Member: f.member.Name, Blocks: true, Halts: true, What: what, Fix: fix})
}

// cannotAsk says what to do by what the failure means.
func (f *findings) cannotAsk(err error) {
	evidence := postgres.Classify(err)
	fixes := map[failover.Reason]string{
		failover.ReasonBadCredentials:   "mend the role, its password or certificate, and pg_hba.conf (docs/postgres.md, Logging in)",
		failover.ReasonBadConfiguration: "put the secrets and certificates of the spec's connect on this arbiter's machine, readable for the user of arbiterd, or mend the spec",
		failover.ReasonNameNotFound:     "mend its address in the spec, or its name in what this arbiter's machine resolves names by (DNS, /etc/hosts)",
		failover.ReasonArbiterTrouble:   "the trouble is on this arbiter's machine: look at its log, its limits and its name server",
	}
	dead := failover.ClassOf(evidence.Reason) == failover.EvidenceDead
	fix, known := fixes[evidence.Reason]
	switch {
	case known:
	case dead:
		fix = "start it, or open the way to it from this arbiter: firewall, pg_hba.conf, listen_addresses"
	default:
		fix = "look at the server's log"
	}
	f.problems = append(f.problems, Problem{
		Member: f.member.Name, Blocks: true, Halts: true, What: "can't be asked: " + f.inWords(err, evidence), Fix: fix, Unreachable: dead,
	})
}

// inWords says what went wrong without the chain of those who passed it on, where that is known.
func (f *findings) inWords(err error, evidence failover.Evidence) string {
	var answer *postgres.ServerError
	switch {
	case errors.As(err, &answer):
		return fmt.Sprintf("the server says: %s (SQLSTATE %s)", answer.Message, answer.Code)
	case evidence.Reason == failover.ReasonRefused:
		return "nobody listens at " + f.member.Address
	case evidence.Reason == failover.ReasonTimeout:
		return "no answer in time from " + f.member.Address
	case evidence.Reason == failover.ReasonNoRoute:
		return "there is no route to " + f.member.Address
	case evidence.Reason == failover.ReasonReset:
		return "the connection to " + f.member.Address + " broke"
	}
	return evidence.Detail
}

func (f *findings) advises(what, fix string) {
	f.problems = append(f.problems, Problem{Member: f.member.Name, What: what, Fix: fix})
}

// serverFacts are what the checks look at.
type serverFacts struct {
	inRecovery bool
	superuser  bool
	shadowed   bool              // arbiter.epoch is set for a role or a database
	missing    []string          // privileges, by the words of the schema
	settings   map[string]string // empty where the server doesn't know the name, or doesn't show it
}

// privileges are what the role needs, each with the question that the server answers for the current user. It is a table that never changes.
var privileges = []struct{ name, question string }{
	{"pg_read_all_stats", "pg_has_role('pg_read_all_stats', 'USAGE')"},
	{"pg_read_all_settings", "pg_has_role('pg_read_all_settings', 'USAGE')"},
	{"pg_signal_backend", "pg_has_role('pg_signal_backend', 'USAGE')"},
	{"EXECUTE on pg_promote(boolean, integer)", "has_function_privilege('pg_promote(boolean, integer)', 'EXECUTE')"},
	{"EXECUTE on pg_reload_conf()", "has_function_privilege('pg_reload_conf()', 'EXECUTE')"},
	{"EXECUTE on pg_ls_waldir()", "has_function_privilege('pg_ls_waldir()', 'EXECUTE')"},
	{"EXECUTE on pg_show_all_file_settings()", "has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')"},
	{"SELECT on pg_file_settings", "has_table_privilege('pg_file_settings', 'SELECT')"},
	{"ALTER SYSTEM on parameter arbiter.epoch", "has_parameter_privilege('arbiter.epoch', 'ALTER SYSTEM')"},
	{"ALTER SYSTEM on parameter primary_conninfo", "has_parameter_privilege('primary_conninfo', 'ALTER SYSTEM')"},
	{"table arbiter.probe, to write", tableQuestion("arbiter.probe")},
	{"table arbiter.epoch, to write", tableQuestion("arbiter.epoch")},
	{"table arbiter.route_proof, to write", tableQuestion("arbiter.route_proof")},
}

// tableQuestion asks by name in a way that a missing schema or table answers with false.
func tableQuestion(table string) string {
	schema, name, _ := strings.Cut(table, ".")
	return fmt.Sprintf(`coalesce((SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
		AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '%s' AND c.relname = '%s'), false)`, schema, name)
}

// settingNames are the parameters that the checks look at. It is a table that never changes.
var settingNames = []string{
	"allow_alter_system", "cluster_name", "data_checksums", "fsync", "full_page_writes", "hot_standby",
	"max_wal_senders", "primary_conninfo", "primary_slot_name", "recovery_min_apply_delay", "recovery_target_timeline",
	"synchronous_commit", "synchronous_standby_names", "wal_level", "wal_log_hints", "default_transaction_read_only",
}

// minimumVersion is that of the first PostgreSQL in which a role without superuser may be granted ALTER SYSTEM on a parameter.
const minimumVersion = 150000

// readVersion asks for the server's version as a number: 150004 is 15.4.
func readVersion(ctx context.Context, conn *postgres.Conn) (int, error) {
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int4").Scan(&version); err != nil {
		return 0, fmt.Errorf("ask for the version: %w", err)
	}
	return version, nil
}

func readServerFacts(ctx context.Context, conn *postgres.Conn) (serverFacts, error) {
	facts := serverFacts{settings: map[string]string{}}
	const who = `
		SELECT pg_is_in_recovery(), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
		       EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) s WHERE lower(s) LIKE 'arbiter.epoch=%')`
	if err := conn.QueryRow(ctx, who).Scan(&facts.inRecovery, &facts.superuser, &facts.shadowed); err != nil {
		return serverFacts{}, fmt.Errorf("ask who we are: %w", err)
	}
	// The names first: where primary_conninfo isn't shown, asking for it is an error.
	const names = `SELECT s.name, s.reset_val FROM pg_settings s WHERE s.name = ANY ($1)`
	rows, err := conn.Query(ctx, names, settingNames)
	if err != nil {
		return serverFacts{}, fmt.Errorf("read the settings: %w", err)
	}
	for rows.Next() {
		var name string
		var value *string
		if err := rows.Scan(&name, &value); err != nil {
			return serverFacts{}, fmt.Errorf("read the settings: %w", err)
		}
		if value != nil {
			facts.settings[name] = *value
		}
	}
	if err := rows.Err(); err != nil {
		return serverFacts{}, fmt.Errorf("read the settings: %w", err)
	}
	for _, privilege := range privileges {
		var granted bool
		if err := conn.QueryRow(ctx, "SELECT "+privilege.question).Scan(&granted); err != nil {
			return serverFacts{}, fmt.Errorf("ask for the privilege %s: %w", privilege.name, err)
		}
		if !granted {
			facts.missing = append(facts.missing, privilege.name)
		}
	}
	return facts, nil
}

func (f *findings) checkPrivileges(facts serverFacts) {
	if len(facts.missing) > 0 {
		f.halts("the role "+strconv.Quote(f.spec.Connect.User)+" lacks: "+strings.Join(facts.missing, "; "),
			"run the schema again, as a superuser, on the primary: a server in recovery takes no grant. Without a primary, arbiterctl explain says what to do instead")
	}
	if facts.superuser {
		f.advises("the role "+strconv.Quote(f.spec.Connect.User)+" is a superuser, which is not needed",
			"use a role with the privileges of the schema")
	}
	if facts.shadowed {
		f.halts("arbiter.epoch is set for a role or a database (ALTER ROLE or ALTER DATABASE ... SET), which hides the server's token",
			"ALTER ROLE (or DATABASE) ... RESET arbiter.epoch")
	}
}

func (f *findings) checkServer(facts serverFacts) {
	if facts.settings["allow_alter_system"] == "off" {
		f.halts("allow_alter_system is off, so the token can't be written", "set allow_alter_system = on")
	}
	if facts.settings["hot_standby"] == "off" {
		f.blocks("hot_standby is off: as a standby it would not answer", "set hot_standby = on")
	}
	if facts.settings["fsync"] == "off" {
		f.blocks("fsync is off: it may lose or corrupt what was acknowledged, and its epoch row with it", "set fsync = on")
	}
	if facts.settings["full_page_writes"] == "off" {
		f.advises("full_page_writes is off: a crash may leave torn pages", "set full_page_writes = on")
	}
	if facts.settings["wal_level"] == "minimal" {
		f.blocks("wal_level is minimal: as a primary it can't feed standbys", "set wal_level = replica")
	}
	if senders, err := strconv.Atoi(facts.settings["max_wal_senders"]); err == nil && senders < len(f.spec.Members)-1 {
		f.blocks(fmt.Sprintf("max_wal_senders is %d: as a primary it can't feed %d standbys", senders, len(f.spec.Members)-1),
			fmt.Sprintf("set max_wal_senders to %d or more", len(f.spec.Members)+1))
	}
	if facts.settings["wal_log_hints"] == "off" && facts.settings["data_checksums"] == "off" {
		f.advises("neither wal_log_hints nor data checksums are on: after a failover it can't be rewound, only copied again",
			"set wal_log_hints = on (needs a restart)")
	}
	if facts.settings["synchronous_commit"] == "off" {
		f.advises("synchronous_commit is off: what it acknowledges may be lost even in a crash without a failover", "set synchronous_commit = on")
	}
	if facts.settings["default_transaction_read_only"] == "on" {
		f.advises("default_transaction_read_only is on: clients could not write to it as a primary", "set it off")
	}
}

func (f *findings) checkStandby(facts serverFacts) {
	info, err := postgres.ParseConnInfo(facts.settings["primary_conninfo"])
	switch {
	case err != nil:
		f.halts("primary_conninfo can't be read", "write it in the form key=value")
	case slices.Contains(facts.missing, "pg_read_all_settings"):
		// It isn't shown; the missing privilege has been reported.
	case len(info) == 0:
		f.blocks("primary_conninfo is empty: it follows nobody, and can't be pointed at another primary",
			"ALTER SYSTEM SET primary_conninfo = 'host=... user=...'")
	default:
		f.checkConnInfo(info, facts.settings["cluster_name"])
	}
	f.checkRuleOfStandby(facts)
	if slot := facts.settings["primary_slot_name"]; slot != "" {
		f.advises("it uses the replication slot "+slot+", which must exist on every member that may become primary",
			"create the slot on all members, or use wal_keep_size instead")
	}
	if delay := facts.settings["recovery_min_apply_delay"]; delay != "" && delay != "0" {
		f.advises("recovery_min_apply_delay is set: its replay lags on purpose, and a catch-up waits for it", "give it priority 0, or set the delay to 0")
	}
	if timeline := facts.settings["recovery_target_timeline"]; timeline != "latest" && timeline != "" {
		f.blocks("recovery_target_timeline is "+timeline+": it can't follow a newly promoted primary", "set recovery_target_timeline = latest")
	}
}

func (f *findings) checkConnInfo(info postgres.ConnInfo, clusterName string) {
	if port, _ := info.Get("port"); port == stoppedPort {
		f.advises("it was told to stop following its primary, by an operation that has not ended yet", "look at the group's status")
	}
	if name := walreceiverName(info, clusterName); f.member.ApplicationName != "" && name != f.member.ApplicationName {
		f.blocks(fmt.Sprintf("it makes itself known as %q, and the spec says %q: what it confirms would not be counted", name, f.member.ApplicationName),
			fmt.Sprintf("set application_name=%s in its primary_conninfo, or its name in the spec", f.member.ApplicationName))
	}
}

// checkRuleOfStandby looks at the rule of synchronous replication that the member will go by once it is the primary.
func (f *findings) checkRuleOfStandby(facts serverFacts) {
	rule, err := postgres.ParseSyncRule(facts.settings["synchronous_standby_names"])
	switch own := f.member.ApplicationName; {
	case err != nil:
		f.advises("synchronous_standby_names can't be read: "+err.Error(), "write it in one of the documented forms")
	case own != "" && slices.Contains(rule.Names, own):
		f.advises("its synchronous_standby_names names itself: as a primary it would wait for itself", "name only the other members on each member")
	case f.spec.Policy.MaxLossBytes == 0 && rule.Need == 0:
		f.advises("it has no synchronous_standby_names: after a failover to it the next one would be held, since the policy allows no loss (max_loss: none)",
			"name the other members in synchronous_standby_names on each member")
	case len(f.spec.Members) > 2 && rule.Need == len(rule.Names) && rule.Need > 0 && !slices.Contains(rule.Names, "*"):
		f.advises("its synchronous_standby_names asks all that it names to confirm: after a failover to it all commits wait if one of them is the machine that was fenced",
			"name all other members on each member, and let one less than all confirm: ANY 1 of two")
	}
}

func (f *findings) checkPrimary(facts serverFacts) {
	rule, err := postgres.ParseSyncRule(facts.settings["synchronous_standby_names"])
	if err != nil {
		f.blocks("synchronous_standby_names can't be read: "+err.Error(), "write it in one of the documented forms")
		return
	}
	if f.spec.Policy.MaxLossBytes == 0 && rule.Need == 0 {
		f.blocks("no standby is synchronous, but the policy allows no loss (max_loss: none): a failover would be held",
			"set synchronous_standby_names, or allow a loss")
	}
}
