package standin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Paths beside the contract: of clients, of the laboratory's counting, and of standbys.
const (
	appendPath    = "/append"    // POST {writer, number}: commit one order
	ordersPath    = "/orders"    // GET ?writer=: the numbers of its orders that are here
	beatPath      = "/beat"      // POST: a write that needs this member's disk only; says when it was made
	replicatePath = "/replicate" // GET ?name=&from=&timeline=&system=: the log from a position on
)

// largestBody bounds what is read of a request, in bytes.
const largestBody = 64 << 10

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+serviceapi.Prefix+string(serviceapi.VerbState), func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.state(), nil)
	})
	for verb, do := range acts {
		mux.HandleFunc("POST "+serviceapi.Prefix+string(verb), func(w http.ResponseWriter, r *http.Request) { s.serveAct(w, r, do) })
	}
	mux.HandleFunc("POST "+serviceapi.Prefix+string(serviceapi.VerbProbe), s.serveProbe)
	mux.HandleFunc("POST "+serviceapi.Prefix+string(serviceapi.VerbEndSessions), s.serveEndSessions)
	mux.HandleFunc("GET "+serviceapi.Prefix+string(serviceapi.VerbProof), s.serveProof)
	mux.HandleFunc("POST "+appendPath, s.serveAppend)
	mux.HandleFunc("GET "+ordersPath, s.serveOrders)
	mux.HandleFunc("POST "+beatPath, s.serveBeat)
	mux.HandleFunc("GET "+replicatePath, s.serveReplicate)
	return mux
}

// answer sends a document, or the refusal that an error is.
func answer(w http.ResponseWriter, document any, err error) {
	status := http.StatusOK
	if err != nil {
		refusal := asRefusal(err)
		document, status = refusal, statusOf(refusal.Code)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // whoever asked has gone
}

func statusOf(code serviceapi.Code) int {
	switch code {
	case serviceapi.CodeBadOrder:
		return http.StatusBadRequest
	case serviceapi.CodeDiskFull, serviceapi.CodeWriteUnderWay:
		return http.StatusServiceUnavailable
	case "failed":
		return http.StatusInternalServerError
	}
	return http.StatusConflict
}

func readBody(r *http.Request, into any) error {
	text, err := io.ReadAll(io.LimitReader(r.Body, largestBody))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return refuse(serviceapi.CodeBadOrder, err.Error())
	}
	return nil
}

// errGone says that whoever asked has hung up, so that nothing is begun for it.
var errGone = errors.New("the caller has gone")

// serveAct does one thing under an epoch, alone.
func (s *service) serveAct(w http.ResponseWriter, r *http.Request, do act) {
	var o serviceapi.Order
	err := readBody(r, &o)
	if err == nil {
		err = s.actAlone(r.Context(), o, do)
	}
	answer(w, s.state(), err)
}

func (s *service) actAlone(ctx context.Context, o serviceapi.Order, do act) error {
	s.acting.Lock()
	defer s.acting.Unlock()
	if ctx.Err() != nil {
		return errGone
	}
	if err := s.admit(o); err != nil {
		return err
	}
	return do(s, o)
}

func (s *service) serveProbe(w http.ResponseWriter, r *http.Request) {
	var o serviceapi.Order
	err := readBody(r, &o)
	if err == nil {
		err = s.probe(prober{arbiter: o.Arbiter, address: localAddress(r)})
	}
	st := s.state()
	st.AcceptsWrites = err == nil
	answer(w, st, err)
}

// localAddress is the address that a request was sent to.
func localAddress(r *http.Request) string {
	if address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return address.String()
	}
	return ""
}

func (s *service) serveEndSessions(w http.ResponseWriter, r *http.Request) {
	var o serviceapi.Order
	ended := 0
	err := readBody(r, &o)
	if err == nil {
		err = s.actAlone(r.Context(), o, func(s *service, _ serviceapi.Order) error {
			ended = s.endSessions()
			return nil
		})
	}
	st := s.state()
	st.Ended = ended
	answer(w, st, err)
}

func (s *service) serveProof(w http.ResponseWriter, r *http.Request) {
	answer(w, s.journal.summary().proofs[r.URL.Query().Get("route")], nil)
}

// acknowledged is the answer to an order.
type acknowledged struct {
	Member string `json:"member"`
}

// serveAppend commits one order: on this disk, and on those of the standbys that the rule asks for.
func (s *service) serveAppend(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := readBody(r, &o); err != nil {
		answer(w, nil, err)
		return
	}
	if s.role() != serviceapi.RolePrimary {
		answer(w, nil, refuse(serviceapi.CodeNotPrimary, ""))
		return
	}
	s.noteSession(r.Context())
	end, err := s.write(record{Order: &o})
	if err == nil {
		err = s.awaitStandbys(r.Context(), end)
	}
	answer(w, acknowledged{Member: s.options.Name}, err)
}

func (s *service) serveOrders(w http.ResponseWriter, r *http.Request) {
	answer(w, s.journal.ordersOf(r.URL.Query().Get("writer")), nil)
}

// made is the answer to a beat: the wall time just before the write.
type made struct {
	Executed time.Time `json:"executed"`
}

func (s *service) serveBeat(w http.ResponseWriter, _ *http.Request) {
	if s.role() != serviceapi.RolePrimary {
		answer(w, nil, refuse(serviceapi.CodeNotPrimary, ""))
		return
	}
	m := made{Executed: time.Now()}
	_, err := s.write(record{Beat: "truth"})
	answer(w, m, err)
}

type connKey struct{}

// rememberConn lets a request's handler find its connection.
func rememberConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// noteSession makes the connection of a request one of a client.
func (s *service) noteSession(ctx context.Context) {
	if conn, ok := ctx.Value(connKey{}).(net.Conn); ok {
		s.mu.Lock()
		s.sessions[conn] = true
		s.mu.Unlock()
	}
}

func (s *service) connState(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		s.mu.Lock()
		delete(s.sessions, conn)
		s.mu.Unlock()
	}
}

func (s *service) endSessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.sessions {
		_ = conn.Close() // it ends either way
	}
	ended := len(s.sessions)
	clear(s.sessions)
	return ended
}
