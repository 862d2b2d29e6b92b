package engine

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Arrival is where a client's connection through a route should arrive.
type Arrival struct {
	Primary  failover.MemberName // empty: nobody is known to be it, so that only the way to the address counts
	Epoch    failover.Epoch
	SystemID string
}

// arrivedAt is what a server says of itself to whom a route led.
type arrivedAt struct {
	standby  bool
	systemID string
	epoch    failover.Epoch // of its epoch row, 0 without one
	rowless  string         // why it doesn't tell whether it has one; empty: it does
	address  string         // its own, by which it can be told from others; empty if it doesn't say
}

// Arrives connects to the routed address as a client would, and says what is wrong with where that leads. It changes nothing, unlike
// VerifyThroughRoute: that the server there is the primary's is seen by this very session in the primary's list of sessions.
func (p *Postgres) Arrives(ctx context.Context, route failover.Route, spec *failover.Spec, want Arrival) []Problem {
	limited, cancel := context.WithTimeout(ctx, verifyTry) // a client would have lost patience too
	defer cancel()
	// No parameters of the session and the simple protocol, so that it also passes a connection pool.
	conn, err := postgres.NewConnector(spec.Connect, p.secrets).Dial(limited, route.VerifyAddress, postgres.Options{})
	if err != nil {
		return want.notThrough(route, err)
	}
	defer conn.Close()
	if want.Primary == "" {
		return nil
	}
	const who = `
		SELECT pg_is_in_recovery(), (SELECT system_identifier::text FROM pg_control_system()),
		       coalesce(host(inet_server_addr()) || ':' || inet_server_port(), ''),
		       pg_backend_pid(), (SELECT extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid())`
	var (
		at    arrivedAt
		pid   int32
		began string
	)
	err = conn.QueryRow(limited, who, pgx.QueryExecModeSimpleProtocol).Scan(&at.standby, &at.systemID, &at.address, &pid, &began)
	if err == nil {
		err = at.askEpoch(limited, conn)
	}
	if err != nil && leftAlone(conn, err) {
		return want.forsaken(route, err)
	} else if err != nil {
		return want.untold(route, err)
	}
	return want.judge(route, at, func() (bool, error) {
		member, known := spec.Member(want.Primary)
		if !known {
			return false, errors.New("the spec has no such member")
		}
		direct, err := postgres.NewConnector(spec.Connect, p.secrets).Dial(ctx, member.Address, postgres.Options{})
		if err != nil {
			return false, err
		}
		defer direct.Close()
		const sees = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1::int4 AND extract(epoch FROM backend_start)::text = $2)"
		var same bool
		err = direct.QueryRow(ctx, sees, pid, began).Scan(&same)
		return same, err
	})
}

// askEpoch reads the epoch row by a statement of its own: a server of another system may have no such table, or not let the arbiters read it, and
// is to be known by its identifier then. Any other error says nothing of the row.
func (at *arrivedAt) askEpoch(ctx context.Context, conn *postgres.Conn) error {
	var epoch int64
	err := conn.QueryRow(ctx, "SELECT coalesce(max(epoch), 0) FROM arbiter.epoch", pgx.QueryExecModeSimpleProtocol).Scan(&epoch)
	switch postgres.SQLState(err) {
	case "42P01", "3F000", "42501": // no such table, no such schema, no grant
		at.rowless = postgres.Classify(err).Detail
		return nil
	}
	at.epoch = failover.Epoch(epoch)
	return err
}

// leftAlone says whether an error after the log-in is that nobody answers any more, or that the connection was closed: a connection pool logs clients in by
// itself, whatever became of the server behind it.
func leftAlone(conn *postgres.Conn, err error) bool {
	return failover.ClassOf(postgres.Classify(err).Reason) == failover.EvidenceDead || conn.IsClosed()
}

// Arrives does the same for a service of the HTTP contract, which names no instance: where the history of promotions is the primary's, it is taken for it.
func (h *HTTP) Arrives(ctx context.Context, route failover.Route, spec *failover.Spec, want Arrival) []Problem {
	limited, cancel := context.WithTimeout(ctx, verifyTry)
	defer cancel()
	state, err := h.stateAt(limited, route.VerifyAddress, spec)
	if err != nil {
		return want.notThrough(route, err)
	}
	if want.Primary == "" {
		return nil
	}
	at := arrivedAt{standby: state.Role == failover.RoleStandby, systemID: state.SystemID}
	if state.Row != nil {
		at.epoch = failover.Epoch(state.Row.Epoch)
	}
	return want.judge(route, at, func() (bool, error) {
		member, known := spec.Member(want.Primary)
		if !known {
			return false, errors.New("the spec has no such member")
		}
		direct, err := h.stateAt(ctx, member.Address, spec)
		return direct.Role == state.Role && direct.Timeline == state.Timeline, err
	})
}

func (h *HTTP) stateAt(ctx context.Context, address string, spec *failover.Spec) (serviceapi.State, error) {
	s, err := h.reach(ctx, address, spec.Connect, 0)
	if err != nil {
		return serviceapi.State{}, err
	}
	defer s.Close()
	return s.State(ctx)
}

// judge says what is wrong with the server to which a route led. same looks whether it is the primary's.
func (want Arrival) judge(route failover.Route, at arrivedAt, same func() (bool, error)) []Problem {
	whom := fmt.Sprintf("through route %s (%s) clients reach ", route.Name, route.VerifyAddress)
	own := ""
	if at.address != "" {
		own = fmt.Sprintf(" (it says that its address is %s)", at.address)
	}
	problem := Problem{Member: want.Primary, Blocks: true}
	switch {
	case want.SystemID != "" && at.systemID != want.SystemID:
		problem.What = fmt.Sprintf("%sanother database system%s: its identifier is %s, the group's is %s", whom, own, at.systemID, want.SystemID)
		problem.Fix = "give the route the address of this group's router (verify_address), or mend the router's servers: clients may be writing into another database"
	case at.standby:
		problem.What = fmt.Sprintf("%sa standby%s, and the primary is %s", whom, own, want.Primary)
		problem.Fix = "see whom the router sends them to: a server in the wrong state or at the wrong address, a load balancer for reading, or another listener than that of verify_address"
	case at.epoch > want.Epoch:
		problem.What = fmt.Sprintf("%sa primary%s whose epoch row says %d, and the group's epoch is %d", whom, own, at.epoch, want.Epoch)
		problem.Fix = "find out who promoted it: other arbiters, or these before they were restored (docs/operations.md)"
	default:
		is, err := same()
		switch {
		case err != nil:
			problem.Blocks = false // that it can't be asked is a finding by itself
			problem.What = fmt.Sprintf("%sa primary%s; whether it is %s can't be told, which can't be asked itself", whom, own, want.Primary)
			problem.Fix = fmt.Sprintf("mend what keeps this arbiter from asking %s", want.Primary)
		case !is:
			problem.What = fmt.Sprintf("%sanother server that accepts writes%s, not %s", whom, own, want.Primary)
			problem.Fix = "keep clients away from it at once: what they write there is not in the group's primary; then mend the router"
		case at.rowless != "":
			problem.Blocks = false
			problem.What = fmt.Sprintf("%s%s%s; under which epoch is not told: %s", whom, want.Primary, own, at.rowless)
			problem.Fix = "see whether the route leads to the database of the group's spec (connect), and run the schema there again (arbiterctl schema): only so a newer epoch than the group's would be seen"
		default:
			return nil
		}
	}
	return []Problem{problem}
}

// notThrough says what kept a connection through a route from reaching any server. Without a primary the route may well lead nowhere, and only
// that there is no way to its address is worth a word.
func (want Arrival) notThrough(route failover.Route, err error) []Problem {
	evidence := postgres.Classify(err)
	dead := failover.ClassOf(evidence.Reason) == failover.EvidenceDead
	problem := Problem{Member: want.Primary, Blocks: want.Primary != "", Unreachable: dead}
	missing := dead || errors.As(err, new(*net.DNSError))
	if want.Primary == "" && (!missing || evidence.Reason == failover.ReasonReset) {
		return nil
	}
	what, fix := wayWords(route.VerifyAddress, err, evidence)
	problem.What = fmt.Sprintf("through route %s clients reach nobody: %s", route.Name, what)
	problem.Fix = fix
	return []Problem{problem}
}

// forsaken says that a route led to somebody who let the arbiter log in, and then gave no answer: a server that hangs, or a connection pool without one.
func (want Arrival) forsaken(route failover.Route, err error) []Problem {
	became := "closed the connection"
	if evidence := postgres.Classify(err); evidence.Reason == failover.ReasonTimeout {
		became = "gave no answer in time"
	} else if postgres.SQLState(err) != "" { // its last words
		became += ": " + evidence.Detail
	}
	return []Problem{{
		Member: want.Primary, Blocks: true, Unreachable: true,
		What: fmt.Sprintf("through route %s clients get no answer: %s let this arbiter log in, and then %s", route.Name, route.VerifyAddress, became),
		Fix:  fmt.Sprintf("see whether %s answers; if it does, see the router: a connection pool logs clients in by itself, also where it reaches no server", want.Primary),
	}}
}

// untold says that a route led to a server that let the arbiter log in, so that clients reach it, and that it didn't say who it is.
func (want Arrival) untold(route failover.Route, err error) []Problem {
	evidence := postgres.Classify(err)
	return []Problem{{
		Member: want.Primary, Blocks: true,
		What: fmt.Sprintf("through route %s (%s) clients reach a server that doesn't say who it is: %s", route.Name, route.VerifyAddress, evidence.Detail),
		Fix:  fmt.Sprintf("find out whom the router sends them to, and whether it is %s: clients may be writing into another database", want.Primary),
	}}
}

// wayWords are what went wrong on the way to a routed address, and what to do.
func wayWords(address string, err error, evidence failover.Evidence) (what, fix string) {
	var answer *postgres.ServerError
	switch {
	case errors.As(err, new(*net.DNSError)):
		return nameWords(address, evidence)
	case errors.As(err, &answer):
		return fmt.Sprintf("the server behind %s says: %s (SQLSTATE %s)", address, answer.Message, answer.Code),
			"let the arbiters log in through the route as they do directly: pg_hba.conf must know the address that the router comes from (docs/postgres.md, Logging in)"
	case evidence.Reason == failover.ReasonRefused:
		return "nobody listens at " + address, "start the router, or mend verify_address in the group's spec"
	case evidence.Reason == failover.ReasonTimeout:
		return "no answer in time from " + address, "open the way from this arbiter to the address that clients use, and see whether the router's server answers"
	case evidence.Reason == failover.ReasonNoRoute:
		return "there is no network route to " + address, "see who has that address now, and open the way to it from this arbiter"
	case evidence.Reason == failover.ReasonReset:
		return "the connection to " + address + " was taken and closed again", "see the router: it has no server to which it would send clients, or does not let this arbiter in"
	case evidence.Reason == failover.ReasonBadConfiguration, evidence.Reason == failover.ReasonBadCredentials:
		return evidence.Detail, "arbiters log in through the route with the spec's connect: with sslmode verify-full the servers' certificates must be for the routed name too"
	case evidence.Reason == failover.ReasonArbiterTrouble:
		return evidence.Detail, "the trouble is on this arbiter's machine: look at its log, its limits and its network"
	}
	return evidence.Detail, "find out what answers at " + address
}

// nameWords are the same where the name in the address could not be looked up: nothing of the route was reached.
func nameWords(address string, evidence failover.Evidence) (what, fix string) {
	switch evidence.Reason {
	case failover.ReasonNameNotFound:
		return "the name of " + address + " is not found", "mend verify_address in the group's spec, or the name in what this arbiter's machine resolves names by (DNS, /etc/hosts)"
	case failover.ReasonBadConfiguration:
		return address + " has neither a name nor an IP address", "mend verify_address in the group's spec"
	}
	return fmt.Sprintf("the name of %s can't be looked up: %s", address, evidence.Detail),
		"see why this arbiter's name server does not answer, or give verify_address an IP address in the group's spec: a failover could not prove the route from here"
}
