package postgres

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// dialError says why no connection came about as the server, the name server or the kernel said it. pgx says the same after the address,
// three times, the user and the database, and once for each try: too long for a timeline.
type dialError struct {
	err      error
	accepted bool // the kernel of the server's machine accepted a connection first
}

func (e dialError) Error() string {
	var (
		server *pgconn.PgError
		name   *net.DNSError
		kernel syscall.Errno
	)
	switch {
	case errors.As(e.err, &server):
		return fmt.Sprintf("the server says: %s", server)
	case errors.As(e.err, &name):
		return name.Error()
	case errors.As(e.err, &kernel):
		return kernel.Error()
	}
	return e.err.Error()
}

func (e dialError) Unwrap() error { return e.err }

// Accepted says of an error of Dial that the machine at the address had accepted a connection, whatever came of the login.
func Accepted(err error) bool {
	var e dialError
	return errors.As(err, &e) && e.accepted
}
