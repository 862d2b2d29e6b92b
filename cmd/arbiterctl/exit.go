package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

// The exit statuses. They are a promise to scripts: see exitStatusHelp.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitUnavailable = 5
	exitAttention   = 6
	exitUnknown     = 7
	exitNotPossible = 8
)

const exitStatusHelp = `What the exit statuses of arbiterctl mean:

  0  done, or answered
  1  an error that is none of the following
  2  wrong usage, a bad file or a bad value; nothing was changed
  3  the group, operation, member or context doesn't exist
  4  refused: by a safety rule, by a precondition, or because the certificate doesn't allow it; nothing was changed
  5  no arbiter leads or none can be reached; for reads, also when only a stale answer could be had, or
     one of an arbiter that was restarted and waits for a majority
  6  status --check: a group needs attention (held, primary degraded, not armed, not adopted, no standby, ...),
     nothing is heard from an arbiter, too few have a view that counts, so that nothing is failed over, or
     certificates of arbiters end soon;
     check: something blocks a failover, nobody may be writing, or an arbiter did not answer
  7  the answer was lost: the change may or may not have been made (repeat it with the same --request-id)
  8  failover --dry-run: as things are the failover would be refused, for a fence that is not armed, a router, or whoever may be
     promoted, or it would be held; the answer says why
`

// usageError is a mistake in how the program was called, or in a file that it was given.
type usageError struct{ error }

// Unwrap returns the mistake.
func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// notFoundError is something local that doesn't exist, such as a context.
type notFoundError struct{ error }

// statusError ends the program with an exit status after everything that there is to say was said.
type statusError int

// Error is never shown.
func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// report writes an error and what to do about it, and returns the exit status.
func (a *app) report(err error) int {
	status := exitStatus(err)
	var quiet statusError
	if err == nil || errors.As(err, &quiet) {
		return status
	}
	fmt.Fprintf(a.stderr, "arbiterctl: %v\n", err)
	if next := advice(err); next != "" {
		fmt.Fprintf(a.stderr, "next: %s\n", next)
	}
	return status
}

func exitStatus(err error) int {
	var (
		quiet    statusError
		wrong    usageError
		faults   config.Faults
		notFound notFoundError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &quiet):
		return int(quiet)
	case errors.Is(err, client.ErrUnknownOutcome):
		return exitUnknown
	case errors.As(err, &wrong), errors.As(err, &faults), errors.Is(err, client.ErrInvalid):
		return exitUsage
	case errors.Is(err, client.ErrNotFound), errors.As(err, &notFound):
		return exitNotFound
	case errors.Is(err, client.ErrRejected), errors.Is(err, client.ErrDenied):
		return exitRefused
	case errors.Is(err, client.ErrNoLeader), errors.Is(err, client.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	}
	return exitError
}

// advice says what to do about an error.
func advice(err error) string {
	var (
		rejected *client.RejectedError
		unknown  *client.UnknownOutcomeError
	)
	switch {
	case errors.As(err, &rejected):
		return rejected.Next
	case errors.As(err, &unknown):
		return fmt.Sprintf("look with `arbiterctl status`, then repeat the command with --request-id %s: it is done at most once", unknown.RequestID)
	case errors.Is(err, client.ErrNotJoined):
		return "start the arbiters that are waited for: a new cluster begins when all of its arbiters answer each other; what keeps one of them is in its log (journalctl -u arbiterd)"
	case errors.Is(err, client.ErrNoLeader):
		return "arbiters are electing a leader, or too few are up: arbiterctl arbiters --stale"
	case errors.Is(err, pki.ErrOtherCluster), errors.Is(err, pki.ErrUntrusted), errors.Is(err, pki.ErrExpired), errors.Is(err, pki.ErrWrongRole):
		return "use a certificate that the authority of this cluster issued (arbiterctl contexts; arbiterctl pki issue)"
	case errors.Is(err, client.ErrPlaintextThere):
		return "if the arbiters run with insecure_plaintext, say so: --insecure-plaintext, for good with `arbiterctl contexts set NAME --insecure-plaintext`; if not, these are not their addresses"
	case errors.Is(err, client.ErrTLSThere):
		return "leave --insecure-plaintext out and name your certificate: --ca, --cert and --key, for good with `arbiterctl contexts set NAME`; and see that each address has the port of the arbiter's grpc.listen, not that of raft.listen"
	case errors.Is(err, client.ErrOtherPort):
		return "give each address the port of the arbiter's grpc.listen, not that of raft.listen (--address, `arbiterctl contexts set NAME --address`)"
	case errors.Is(err, client.ErrUnavailable):
		return "check the addresses and certificates of the context (arbiterctl contexts), and that arbiterd runs there"
	case errors.Is(err, client.ErrUnsupported):
		return "upgrade the arbiters, one by one: arbiterctl arbiters shows the release of each"
	case errors.Is(err, client.ErrDenied):
		return "use a certificate that allows it; whoever keeps the authority makes one: arbiterctl pki issue, with the right --role, --verb and --group"
	}
	return ""
}
