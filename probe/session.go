package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// largestMessage bounds one message of a server, in bytes.
const largestMessage = 1 << 20

var (
	// errOtherMethod says that the server wants to be logged in to in a way that only the full library knows.
	errOtherMethod = errors.New("the server asks for another method of authentication")
	// errNoTLS says that the server refused TLS.
	errNoTLS = errors.New("server refused TLS connection")
	// errUnexpected says that the server's answer is not one of PostgreSQL's.
	errUnexpected = errors.New("unexpected message")
)

// connectedError is what went wrong after the server's machine had accepted the connection.
type connectedError struct{ error }

func (e connectedError) Unwrap() error { return e.error }

// session is one connection to a server that speaks the PostgreSQL protocol. Thousands are opened per hour, so it does no more
// than a look needs: no types, no prepared statements, keys derived once per password. It belongs to one goroutine.
type session struct {
	conn     net.Conn
	socket   net.Conn // the same, or what is below its TLS
	frontend *pgproto3.Frontend
	unbind   func() bool // stops context from ending the session
}

// login is how to open a session.
type login struct {
	network, address string
	parameters       map[string]string // user and database among them
	password         string
	keys             *scramKeys
}

// openSession connects and logs in. The session ends with ctx until it is unbound.
func openSession(ctx context.Context, l login, channel *tls.Config) (*session, error) {
	dialer := net.Dialer{KeepAlive: -1} // see outlive
	conn, err := dialer.DialContext(ctx, l.network, l.address)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, socket: conn}
	s.bind(ctx)
	if channel != nil {
		if err := s.encrypt(ctx, channel); err != nil {
			s.close()
			return nil, connectedError{err}
		}
	}
	s.frontend = pgproto3.NewFrontend(s.conn, s.conn)
	s.frontend.SetMaxBodyLen(largestMessage)
	if err := s.logIn(l); err != nil {
		s.close()
		if channel != nil && len(channel.Certificates) > 0 {
			err = postgres.DoubtCertificate(err)
		}
		return nil, connectedError{err}
	}
	return s, nil
}

// bind makes the session's reads and writes fail once ctx ends.
func (s *session) bind(ctx context.Context) {
	s.unbind = context.AfterFunc(ctx, func() { _ = s.socket.SetDeadline(time.Unix(1, 0)) })
}

// encrypt asks for TLS and shakes hands.
func (s *session) encrypt(ctx context.Context, channel *tls.Config) error {
	request, err := (&pgproto3.SSLRequest{}).Encode(nil)
	if err != nil {
		return fmt.Errorf("ask for TLS: %w", err)
	}
	if _, err := s.conn.Write(request); err != nil {
		return fmt.Errorf("ask for TLS: %w", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(s.conn, answer[:]); err != nil {
		return fmt.Errorf("ask for TLS: %w", err)
	}
	if answer[0] != 'S' {
		return errNoTLS
	}
	encrypted := tls.Client(s.conn, channel)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("shake hands: %w", err)
	}
	s.conn = encrypted
	return nil
}

func (s *session) logIn(l login) error {
	startup := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: l.parameters}
	if err := s.send(startup); err != nil {
		return err
	}
	for {
		message, err := s.frontend.Receive()
		if err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		switch m := message.(type) {
		case *pgproto3.AuthenticationOk, *pgproto3.ParameterStatus, *pgproto3.NoticeResponse, *pgproto3.BackendKeyData:
		case *pgproto3.ReadyForQuery:
			return nil
		case *pgproto3.ErrorResponse:
			return fmt.Errorf("log in: %w", pgconn.ErrorResponseToPgError(m))
		case *pgproto3.AuthenticationSASL:
			if err := s.prove(l, m.AuthMechanisms); err != nil {
				return fmt.Errorf("log in: %w", err)
			}
		case *pgproto3.AuthenticationCleartextPassword, *pgproto3.AuthenticationMD5Password, *pgproto3.AuthenticationGSS:
			return errOtherMethod
		default:
			return fmt.Errorf("log in: %w %T", errUnexpected, message)
		}
	}
}

// prove exchanges proofs of the password.
func (s *session) prove(l login, offered []string) error {
	channel, _ := s.conn.(*tls.Conn)
	exchange, err := newScram(l.keys, l.password, offered, channel)
	if err != nil {
		return err
	}
	if err := s.send(&pgproto3.SASLInitialResponse{AuthMechanism: exchange.mechanism, Data: []byte(exchange.first())}); err != nil {
		return err
	}
	message, err := s.receive()
	if err != nil {
		return err
	}
	challenge, ok := message.(*pgproto3.AuthenticationSASLContinue)
	if !ok {
		return fmt.Errorf("%w %T", errUnexpected, message)
	}
	proof, err := exchange.proof(string(challenge.Data))
	if err != nil {
		return err
	}
	if err := s.send(&pgproto3.SASLResponse{Data: []byte(proof)}); err != nil {
		return err
	}
	if message, err = s.receive(); err != nil {
		return err
	}
	final, ok := message.(*pgproto3.AuthenticationSASLFinal)
	if !ok {
		return fmt.Errorf("%w %T", errUnexpected, message)
	}
	return exchange.verify(string(final.Data))
}

// ask sends one statement and returns the texts of its first row (nil where it is NULL), nil if there is none.
func (s *session) ask(statement string) ([][]byte, error) {
	if err := s.send(&pgproto3.Query{String: statement}); err != nil {
		return nil, err
	}
	var a answer
	err := s.await(&a)
	return a.row, err
}

// await reads the rest of an answer. After its time was up it may be called again with the same answer.
func (s *session) await(a *answer) error {
	for {
		message, err := s.frontend.Receive()
		if err != nil {
			if words := a.lastWords(); words != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return words // the server said why before it left
			}
			return fmt.Errorf("wait for the answer: %w", err)
		}
		complete, err := a.add(message)
		if err != nil {
			return err
		}
		if complete {
			return a.failure
		}
	}
}

// answer is what a server says to one statement.
type answer struct {
	row      [][]byte
	failure  error
	farewell error // a warning that the server is about to end the session; it counts once the session has ended
}

// lastWords is why the server has ended the session, nil if it didn't say.
func (a *answer) lastWords() error {
	if a.failure != nil {
		return a.failure
	}
	return a.farewell
}

// add takes in one message; complete is true for the last one.
func (a *answer) add(message pgproto3.BackendMessage) (complete bool, err error) {
	switch m := message.(type) {
	case *pgproto3.DataRow:
		if a.row == nil {
			a.row = copyRow(m.Values)
		}
	case *pgproto3.ErrorResponse:
		a.failure = pgconn.ErrorResponseToPgError(m)
	case *pgproto3.NoticeResponse:
		if warning := pgconn.ErrorResponseToPgError((*pgproto3.ErrorResponse)(m)); postgres.EndsSession(warning) {
			a.farewell = warning
		}
	case *pgproto3.ReadyForQuery:
		return true, nil
	case *pgproto3.RowDescription, *pgproto3.CommandComplete, *pgproto3.EmptyQueryResponse, *pgproto3.ParameterStatus:
	default:
		return false, fmt.Errorf("%w %T", errUnexpected, message)
	}
	return false, nil
}

// copyRow copies values that the next message overwrites.
func copyRow(values [][]byte) [][]byte {
	row := make([][]byte, len(values))
	for i, value := range values {
		if value != nil {
			row[i] = append([]byte{}, value...)
		}
	}
	return row
}

func (s *session) send(message pgproto3.FrontendMessage) error {
	s.frontend.Send(message)
	if err := s.frontend.Flush(); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// receive returns the next message; an error that the server reports is returned as one.
func (s *session) receive() (pgproto3.BackendMessage, error) {
	message, err := s.frontend.Receive()
	if err != nil {
		return nil, err
	}
	if answer, failed := message.(*pgproto3.ErrorResponse); failed {
		return nil, pgconn.ErrorResponseToPgError(answer)
	}
	return message, nil
}

// outlive frees the session from the context that it was opened under, and lets it notice by itself when the other machine is
// gone. It returns false if the context ended before.
func (s *session) outlive() bool {
	intime := s.unbind()
	if !intime {
		_ = s.socket.SetDeadline(time.Time{}) // the one that the context's end has set
	}
	postgres.NoticeLoss(s.socket)
	return intime
}

// close closes the connection without a farewell: PostgreSQL takes that as the ordinary end of an idle session, and it saves
// both sides a message.
func (s *session) close() {
	s.unbind()
	_ = s.conn.Close() // nothing is lost with it
}
