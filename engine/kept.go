package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// keepFor is how long an idle session is kept for the next step of its operation: to open one costs the server a process, and as much
// time as all that a step asks of it.
const keepFor = 5 * time.Second

// wakeBound is what the first statement on a kept session gets. One that doesn't answer in that time is given up, and a new one opened: the
// network between may have forgotten its flow.
const wakeBound = 250 * time.Millisecond

// sessionKey names what a session may be kept for: the same member, log-in and epoch.
type sessionKey struct {
	address string
	connect failover.Connect
	epoch   failover.Epoch
}

// keptSessions are the idle sessions of one engine. They hold no lock, and nothing of what was done on them: only that they are open is saved, so
// that whoever takes one has to look, lock and compare tokens as on a new one (S9).
type keptSessions struct {
	keepFor   time.Duration // and wakeBound: the constants, but in tests
	wakeBound time.Duration

	mutex  sync.Mutex
	idle   map[sessionKey][]keptSession
	closed bool           // nothing is kept any more
	open   sync.WaitGroup // counts sessions that were put here, until they were handed out again or closed
}

type keptSession struct {
	conn   *postgres.Conn
	expiry *time.Timer
}

// take returns an idle session that has answered just now, or nil. If the newest one doesn't, the others of its kind are not tried.
func (k *keptSessions) take(ctx context.Context, key sessionKey) *postgres.Conn {
	conn := k.pop(key)
	if conn == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, k.wakeBound)
	defer cancel()
	_, err := conn.Exec(bounded, "SELECT set_config('statement_timeout', $1, false)", statementTimeout(ctx))
	if err == nil {
		k.open.Done()
		return conn
	}
	for ; conn != nil; conn = k.pop(key) {
		go k.end(conn) // to say goodbye to who doesn't answer takes time
	}
	return nil
}

// end closes a session that was put here.
func (k *keptSessions) end(conn *postgres.Conn) {
	defer k.open.Done()
	conn.Close()
}

// close closes the idle sessions and those to come, and returns when all are closed.
func (k *keptSessions) close() {
	k.mutex.Lock()
	k.closed = true
	for _, sessions := range k.idle {
		for _, s := range sessions {
			if s.expiry.Stop() {
				go k.end(s.conn)
			}
		}
	}
	clear(k.idle)
	k.mutex.Unlock()
	k.open.Wait()
}

func (k *keptSessions) pop(key sessionKey) *postgres.Conn {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for n := len(k.idle[key]); n > 0; n = len(k.idle[key]) {
		newest := k.idle[key][n-1]
		k.set(key, k.idle[key][:n-1])
		if newest.expiry.Stop() {
			return newest.conn
		}
	}
	return nil
}

// put keeps a session that an action is done with, or closes it if it can't be used again or nothing is kept any more.
func (k *keptSessions) put(key sessionKey, conn *postgres.Conn) {
	if !conn.Reset() {
		conn.Close()
		return
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.closed {
		conn.Close()
		return
	}
	k.open.Add(1)
	k.set(key, append(k.idle[key], keptSession{conn: conn, expiry: time.AfterFunc(k.keepFor, func() { k.expire(key, conn) })}))
}

// expire closes a session that nobody has taken.
func (k *keptSessions) expire(key sessionKey, conn *postgres.Conn) {
	k.mutex.Lock()
	k.set(key, slices.DeleteFunc(k.idle[key], func(s keptSession) bool { return s.conn == conn }))
	k.mutex.Unlock()
	k.end(conn)
}

// set is called with the mutex held.
func (k *keptSessions) set(key sessionKey, idle []keptSession) {
	if len(idle) == 0 {
		delete(k.idle, key)
		return
	}
	k.idle[key] = idle
}
