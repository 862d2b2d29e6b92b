// Package postgres is what the parts that speak to PostgreSQL share: opening connections that never outlive their
// context, reading positions, rules and connection strings, sorting errors into evidence, and the SQL that a protected
// server needs.
//
// Guarantees: Dial opens a new connection each time, never reads the environment or the home directory of the process
// (no PGPASSWORD, no ~/.pgpass; of PGSERVICE a program rids itself by ForgetService), and neither Dial, nor a statement, nor
// Close blocks noticeably longer than its context or bound, whatever state the server is in: frozen, half open, or gone.
//
// Limits: a statement whose context ended is not cancelled on the server (that would need a second connection to a
// server that is in trouble); give Options.StatementTimeout where the server must give up by itself.
//
// Goroutines: none of its own. pgx finishes a broken connection in a goroutine, which this package bounds to
// closeBound.
package postgres
