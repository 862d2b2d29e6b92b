package traffic

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// pgSession is a client's connection to PostgreSQL.
type pgSession struct{ conn *pgx.Conn }

// openPostgres connects as the options say.
func (o WriterOptions) openPostgres(ctx context.Context) (Session, error) {
	var hosts, ports []string
	for address := range strings.SplitSeq(o.Address, ",") {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("parse address: %w", err)
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	// Named settings keep pgx from reading the environment of this process.
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%s target_session_attrs=%s sslmode=disable application_name=writer",
		strings.Join(hosts, ","), strings.Join(ports, ","), wanted(len(hosts))))
	if err != nil {
		return nil, fmt.Errorf("configure client: %w", err)
	}
	config.User, config.Password, config.Database = o.User, o.Password, o.Database
	if o.Dial != nil {
		config.DialFunc = o.Dial
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return pgSession{conn}, nil
}

// wanted is what a client of so many addresses asks of a server: whom it finds behind a single one is the router's business.
func wanted(addresses int) string {
	if addresses > 1 {
		return "read-write"
	}
	return "any"
}

func (s pgSession) Append(ctx context.Context, writer string, number int64) (member string, err error) {
	err = s.conn.QueryRow(ctx, "INSERT INTO orders (writer, number) VALUES ($1, $2) RETURNING member", writer, number).Scan(&member)
	return member, err
}

func (s pgSession) Drop() { drop(s.conn) }

// drop closes a connection without a farewell: the server may be gone, and waiting for it would add to the outage.
func drop(conn *pgx.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = conn.Close(ctx)
}

// pgSubject is a PostgreSQL server of the ground truth.
type pgSubject struct{ Member }

func (s pgSubject) Door(ctx context.Context) (Door, error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SET synchronous_commit = local"); err != nil {
		drop(conn)
		return nil, err
	}
	return pgDoor{pgSession{conn}}, nil
}

type pgDoor struct{ pgSession }

// Beat asks a standby only whether it still is one: writes that it refuses would fill its log.
func (d pgDoor) Beat(ctx context.Context) (executed time.Time, accepted bool, err error) {
	var standby bool
	if err := d.conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
		return executed, false, fmt.Errorf("ask for role: %w", err)
	}
	if standby {
		return executed, false, nil
	}
	err = d.conn.QueryRow(ctx, "UPDATE truth SET beat = beat + 1 RETURNING clock_timestamp()").Scan(&executed)
	return executed, err == nil, err
}
