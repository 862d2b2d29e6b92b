package probe

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// said is a connection to a server that has said all it will say, and listens to nothing.
type said struct {
	net.Conn
	rest io.Reader
}

func (s said) Read(p []byte) (int, error)  { return s.rest.Read(p) }
func (s said) Write(p []byte) (int, error) { return len(p), nil }

// messages is what a server says, in the protocol's bytes.
func messages(f *testing.F, all ...pgproto3.BackendMessage) []byte {
	f.Helper()
	var data []byte
	for _, message := range all {
		var err error
		if data, err = message.Encode(data); err != nil {
			f.Fatal(err)
		}
	}
	return data
}

// FuzzSession: whatever a server says while a session logs in and asks, both end with its last byte, and an answer is only taken from a
// server that said that it was ready twice.
func FuzzSession(f *testing.F) {
	ready, row := &pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.DataRow{Values: [][]byte{[]byte("t"), nil}}
	f.Add(messages(f, &pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "a", Value: "b"}, &pgproto3.BackendKeyData{SecretKey: []byte("1234")}, ready, row, ready))
	f.Add(messages(f, &pgproto3.AuthenticationSASL{AuthMechanisms: []string{scramPlain}}, &pgproto3.AuthenticationSASLContinue{Data: []byte(rfcChallenge)}))
	f.Add(messages(f, &pgproto3.AuthenticationOk{}, ready, &pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01", Message: "terminating"}))
	f.Add(messages(f, &pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}}))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte{'D', 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, bytesOfServer []byte) {
		conn := said{rest: bytes.NewReader(bytesOfServer)}
		s := &session{conn: conn, frontend: pgproto3.NewFrontend(conn, conn)}
		s.frontend.SetMaxBodyLen(largestMessage)
		if err := s.logIn(login{password: rfcPassword, keys: &scramKeys{}}); err != nil {
			return
		}
		_, err := s.ask("select 1")
		if err == nil && bytes.Count(bytesOfServer, []byte{'Z', 0, 0, 0, 5}) < 2 {
			t.Fatalf("an answer from %q", bytesOfServer)
		}
	})
}

// FuzzScram: no challenge makes a client panic, work without bound, or believe a server that doesn't prove itself.
func FuzzScram(f *testing.F) {
	f.Add(rfcChallenge, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
	f.Add("r="+rfcNonce+"x,s=AA==,i=1", "v=")
	f.Add("r="+rfcNonce+"x,s=AA==,i=99999999999999999999", "e=other-error")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, challenge, final string) {
		s := &scram{keys: &scramKeys{}, password: rfcPassword, mechanism: scramPlain, gs2: "n,,", nonce: rfcNonce}
		proof, err := s.proof(challenge)
		if err != nil {
			if !errors.Is(err, errScram) {
				t.Fatalf("got %v", err)
			}
		} else if !strings.HasPrefix(proof, "c=biws,r="+rfcNonce) {
			t.Fatalf("proof %q is for another nonce", proof)
		}
		// A fuzzer doesn't guess the server's key.
		if err := s.verify(final); !errors.Is(err, errScram) && !errors.Is(err, errNotTheServer) {
			t.Fatalf("%q was believed: %v", final, err)
		}
	})
}
