// Package pki makes, reads and checks the certificates by which arbiters, operators, viewers and agents know each other.
//
// A certificate carries an Identity as a URI: arbiter://<cluster>/<role>/<name>, and optionally the groups and verbs that
// its holder is limited to. One authority belongs to one cluster and names it.
//
// Guarantees: every connection is TLS 1.3 and authenticated on both sides. The peer's chain, validity, cluster and role
// are checked on every handshake against the files as last reloaded; a reload that would not work changes nothing and says
// why. A private key is written with mode 0600 and never over an existing file unless that was asked for. An identity with
// a limit that this program does not know is refused, not widened.
//
// Limits: names in DNS are not part of the trust. The peer is known by its identity, so a wrong record leads to a refused
// connection, not to a wrong peer, and certificates outlive changes of address. Host names and addresses can be added to a
// certificate all the same, for browsers. There is no revocation list: to shut out a lost key, replace the authority (the
// file of authorities may hold the old and the new one during the change). Connections that are open during a reload go
// on with what was checked when they began.
//
// Goroutines: those of the reads of a Reloader, which go on while a file system hangs (package secret). A Reloader may be used from any.
package pki
