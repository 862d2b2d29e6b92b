package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Classify says what an error from Dial or from a statement is evidence of; no error is evidence of an answer.
//
// What the server itself said counts first, then this arbiter's own trouble (which says nothing of the server), then what
// the network said. An error that is none of these can't tell anything.
func Classify(err error) failover.Evidence {
	if err == nil {
		return failover.Evidence{Reason: failover.ReasonAnswered}
	}
	return failover.Evidence{Reason: reasonOf(err), Detail: oneLine(err)}
}

func reasonOf(err error) failover.Reason {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return reasonOfAnswer(answer)
	}
	for _, rule := range []func(error) failover.Reason{reasonHere, reasonOfTLS, reasonOfSocket, reasonOfProtocol} {
		if reason := rule(err); reason != "" {
			return reason
		}
	}
	return failover.ReasonArbiterTrouble
}

// reasonHere knows what is wrong on this arbiter: its configuration, its names, its own limits, or a caller that stopped
// waiting.
func reasonHere(err error) failover.Reason {
	var name *net.DNSError
	var parse *pgconn.ParseConfigError
	switch {
	case errors.Is(err, secret.ErrNotInTime):
		return failover.ReasonArbiterTrouble
	case errors.Is(err, ErrUnusableSettings), errors.As(err, &parse):
		return failover.ReasonBadConfiguration
	case errors.Is(err, context.Canceled), errors.Is(err, os.ErrPermission):
		return failover.ReasonArbiterTrouble
	case errors.As(err, &name):
		return reasonOfName(name)
	case errors.Is(err, syscall.ENETUNREACH) && !routed(err):
		return failover.ReasonArbiterTrouble
	}
	for _, trouble := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.ENETDOWN, syscall.EADDRNOTAVAIL,
		syscall.EADDRINUSE, syscall.EAFNOSUPPORT, syscall.EINVAL,
	} {
		if errors.Is(err, trouble) {
			return failover.ReasonArbiterTrouble
		}
	}
	return ""
}

// routed says whether this machine has a route to the address that an error is about. Without one the kernel refuses to connect by
// ENETUNREACH, but a router may say the same, which has lost its way to the member. To connect by UDP sends nothing: the kernel just looks for a
// route.
func routed(err error) bool {
	var failed *net.OpError
	if !errors.As(err, &failed) || failed.Addr == nil {
		return false
	}
	conn, err := net.Dial("udp", failed.Addr.String())
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was sent
	return true
}

// reasonOfName knows what a failed look-up says. Package net calls a name not found for more than a name server's word that it doesn't
// exist: also where it exists without an address, where only a file of hosts is asked and has no line for it, and where nobody is asked, as what
// is to be looked up can't be a name at all. The last one is a fault of the spec.
func reasonOfName(err *net.DNSError) failover.Reason {
	switch {
	case !err.IsNotFound, err.IsTimeout, err.IsTemporary:
		return failover.ReasonArbiterTrouble // also when it is a time-out: what is silent is the name server
	case !isName(err.Name):
		return failover.ReasonBadConfiguration
	}
	return failover.ReasonNameNotFound
}

var label = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

// isName says whether name servers may be asked for a name: 10.0.0.999 is none either.
func isName(name string) bool {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	return len(name) <= 254 && strings.Trim(name, "0123456789.") != "" && !slices.ContainsFunc(labels, func(l string) bool { return !label.MatchString(l) })
}

// reasonOfTLS knows certificates: the server answered, but one of the two sides doesn't trust the other.
func reasonOfTLS(err error) failover.Reason {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		alert        *net.OpError
		header       tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, ErrCertificateDoubt):
		return failover.ReasonBadCredentials
	case errors.As(err, &verification), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid):
		return failover.ReasonBadConfiguration
	case errors.As(err, &alert) && alert.Op == "remote error":
		return failover.ReasonBadCredentials // crypto/tls: an alert from the server, which refused our certificate or wants one
	case errors.As(err, &header):
		return failover.ReasonWrongAnswer
	case strings.Contains(err.Error(), "server refused TLS connection"):
		// pgx has no type for this one. The server has no TLS, or is not PostgreSQL.
		return failover.ReasonBadConfiguration
	}
	return ""
}

func reasonOfSocket(err error) failover.Reason {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return failover.ReasonRefused // ENOENT: the file of a socket in a folder is missing
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return failover.ReasonReset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTDOWN):
		return failover.ReasonNoRoute
	case isTimeout(err):
		return failover.ReasonTimeout
	}
	return ""
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || pgconn.Timeout(err) ||
		errors.As(err, &network) && network.Timeout()
}

// reasonOfProtocol knows answers that are not PostgreSQL's.
func reasonOfProtocol(err error) failover.Reason {
	var length *pgproto3.ExceededMaxBodyLenErr
	if errors.As(err, &length) {
		return failover.ReasonWrongAnswer
	}
	// pgx has no types for these.
	for _, text := range []string{"unknown message type", "unexpected message", "invalid message", "protocol error"} {
		if strings.Contains(err.Error(), text) {
			return failover.ReasonWrongAnswer
		}
	}
	return ""
}

// reasonOfAnswer sorts what the server says by its SQLSTATE. A server that reports an error is alive.
func reasonOfAnswer(answer *pgconn.PgError) failover.Reason {
	if reason, known := reasonByState()[answer.Code]; known {
		return reason
	}
	switch answer.Code {
	case "57P03":
		return reasonNotYetConnecting(answer)
	case "57P01":
		return reasonOfTermination(answer)
	}
	class := answer.Code
	if len(class) > 2 {
		class = class[:2]
	}
	switch class {
	case "28": // no entry in pg_hba.conf, wrong password, role that may not log in
		return failover.ReasonBadCredentials
	case "42", "3D", "3F", "0A", "22": // missing schema or grant, unknown database: our set-up, not the server's health
		return failover.ReasonBadConfiguration
	}
	return failover.ReasonWrongAnswer
}

func reasonByState() map[string]failover.Reason {
	return map[string]failover.Reason{
		"53300": failover.ReasonTooManyConnections, // also: only slots for superusers are left
		"53100": failover.ReasonDiskFull,
		"25006": failover.ReasonReadOnly,      // read_only_sql_transaction: a standby, or default_transaction_read_only
		"57P02": failover.ReasonCrashRecovery, // crash_shutdown: another of its processes crashed
		"57014": failover.ReasonSlow,          // query_canceled: the server was able to keep its own statement_timeout
		"55P03": failover.ReasonSlow,          // lock_not_available: waiting for a lock is not a stall
		"40P01": failover.ReasonSlow,
		"40001": failover.ReasonSlow,
		"57P04": failover.ReasonBadConfiguration, // the database was dropped
		"57P05": failover.ReasonBadConfiguration, // idle_session_timeout ends connections that are held open
	}
}

// reasonNotYetConnecting tells the kinds of cannot_connect_now (57P03) apart. The server gives all of them one SQLSTATE, so
// only the text is left; in another language than English (lc_messages) they are all "starting up", which counts for the
// same.
func reasonNotYetConnecting(answer *pgconn.PgError) failover.Reason {
	switch {
	case strings.Contains(answer.Message, "in recovery mode"):
		return failover.ReasonCrashRecovery
	case strings.Contains(answer.Message, "shutting down"):
		return failover.ReasonShuttingDown
	}
	// "starting up", "not yet accepting connections", "not accepting connections" (hot_standby is off)
	return failover.ReasonStartingUp
}

// reasonOfTermination tells the kinds of admin_shutdown (57P01) apart. A session gets it when it is terminated, when the server shuts down, and
// when it notices that the main process is gone: then nobody will answer any more. Only the text says so, and all its translations name
// the "postmaster".
func reasonOfTermination(answer *pgconn.PgError) failover.Reason {
	if strings.Contains(strings.ToLower(answer.Message), "postmaster") {
		return failover.ReasonReset
	}
	return failover.ReasonShuttingDown
}

// EndsSession says whether a server announces the end of a session. Shut down at once (pg_ctl stop -m immediate), or when another of its
// processes has crashed, it does so by a warning, not by an error.
func EndsSession(notice *ServerError) bool {
	switch notice.Code {
	case "57P01", "57P02", "57P03":
		return true
	}
	return false
}

// SQLState returns the code of the server's answer within err, or "" if it is not one.
func SQLState(err error) string {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}

// oneLine joins the lines of an error; pgx puts one per address that it tried.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
