package config

import (
	"fmt"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/keys"
)

// ArbiterFile is what one arbiter is told: who it is, where it listens, who the others are.
type ArbiterFile struct {
	// Node is this arbiter's id: a key of Arbiters.
	Node string
	// Zone is the failure domain that it stands in.
	Zone string
	// Data is the folder of its Raft log and snapshots.
	Data string
	// RaftListen and GRPCListen are host:port to listen on; the host may be empty or [::] for all addresses.
	RaftListen, GRPCListen string
	// Arbiters are all arbiters, this one included, sorted by id.
	Arbiters []Arbiter
	TLS      TLSFiles
	// InsecurePlaintext runs both ports without TLS: everybody who reaches them may fence and promote.
	InsecurePlaintext bool
	// Timing is "lan" or "wan": how soon the arbiters elect another leader.
	Timing string
	// LogLevel is "debug", "info", "warn" or "error"; LogFormat is "text" or "json".
	LogLevel, LogFormat string
	// FenceAgentDirs are searched for fence agents, in this order; empty for those where agents usually are (fenceagent.DefaultDirectories).
	FenceAgentDirs []string
	// ReferencePoints are further host:port by which this arbiter tells its own trouble from its targets'. The other arbiters are
	// reference points anyway.
	ReferencePoints []string
}

// Arbiter is one line of the list of arbiters. The list must be the same in every arbiter's file.
type Arbiter struct {
	ID string
	// Raft and GRPC are the host:port under which the others, and operators, reach it.
	Raft, GRPC string
	Zone       string
}

// TLSFiles are paths of PEM files.
type TLSFiles struct {
	CA, Cert, Key string
}

// Empty says whether no file is named.
func (t TLSFiles) Empty() bool { return t == TLSFiles{} }

// ParseArbiterFile reads an arbiter's file, fills in the defaults and checks it. Warnings are about what is allowed but
// unwise. On faults the file is nil and the error is [Faults].
func ParseArbiterFile(file string, text []byte) (*ArbiterFile, Faults, error) {
	root, doc := readDocument(file, text)
	source := &Source{File: file, lines: doc.lines}
	f := &ArbiterFile{}
	switch {
	case isGroupSpec(text):
		doc.faults = []Fault{{Message: notArbiterFile}}
	case root != nil:
		readArbiterFile(doc.object(root), f)
	}
	if len(doc.faults) > 0 {
		return nil, nil, source.Locate(doc.faults)
	}
	arbiterFileDefaults(f)
	if faults := f.faults(); len(faults) > 0 {
		return nil, nil, source.Locate(faults)
	}
	return f, source.Locate(f.warnings()), nil
}

func readArbiterFile(o *object, f *ArbiterFile) {
	o.text("node", &f.Node)
	o.text("zone", &f.Zone)
	o.text("data", &f.Data)
	o.inner("raft", func(raft *object) { raft.text("listen", &f.RaftListen) })
	o.inner("grpc", func(grpc *object) { grpc.text("listen", &f.GRPCListen) })
	o.each("arbiters", func(id string, one *object) {
		a := Arbiter{ID: id}
		one.text("raft", &a.Raft)
		one.text("grpc", &a.GRPC)
		one.text("zone", &a.Zone)
		f.Arbiters = append(f.Arbiters, a)
	})
	o.inner("tls", func(tls *object) { readTLSFiles(tls, &f.TLS) })
	o.truth("insecure_plaintext", &f.InsecurePlaintext)
	o.text("timing", &f.Timing)
	o.inner("log", func(log *object) {
		log.text("level", &f.LogLevel)
		log.text("format", &f.LogFormat)
	})
	o.texts("fence_agent_dirs", &f.FenceAgentDirs)
	o.texts("reference_points", &f.ReferencePoints)
	if http := o.get("http"); http != nil {
		o.fault(http, "is reserved for the web page and the metrics, which this release doesn't have; leave it out")
	}
	o.end()
}

func readTLSFiles(o *object, t *TLSFiles) {
	o.text("ca", &t.CA)
	o.text("cert", &t.Cert)
	o.text("key", &t.Key)
}

// arbiterFileDefaults fills in what the file leaves out. It is the only place where defaults of an arbiter are, but for where fence agents are
// looked for, which arbiterctl knows too.
func arbiterFileDefaults(f *ArbiterFile) {
	setText(&f.Data, "/var/lib/arbiter")
	setText(&f.RaftListen, "[::]:7400")
	setText(&f.GRPCListen, "[::]:7401")
	setText(&f.Timing, "lan")
	setText(&f.LogLevel, "info")
	setText(&f.LogFormat, "text")
	for i := range f.Arbiters {
		if f.Arbiters[i].ID == f.Node {
			setText(&f.Arbiters[i].Zone, f.Zone)
			setText(&f.Zone, f.Arbiters[i].Zone)
		}
	}
	slices.SortFunc(f.Arbiters, func(a, b Arbiter) int { return strings.Compare(a.ID, b.ID) })
}

// Self is this arbiter's own line of the list.
func (f *ArbiterFile) Self() Arbiter {
	i := slices.IndexFunc(f.Arbiters, func(a Arbiter) bool { return a.ID == f.Node })
	if i < 0 {
		return Arbiter{ID: f.Node, Zone: f.Zone}
	}
	return f.Arbiters[i]
}

// faults are the relations between the values of a file.
func (f *ArbiterFile) faults() []Fault {
	faults := f.identityFaults()
	for _, listen := range []struct{ path, address, example string }{{"raft.listen", f.RaftListen, raftExample}, {"grpc.listen", f.GRPCListen, grpcExample}} {
		if why := listenFault(listen.address, listen.example); why != "" {
			faults = append(faults, Fault{Path: listen.path, Message: why})
		}
	}
	if f.RaftListen == f.GRPCListen && !strings.HasSuffix(f.RaftListen, ":0") {
		faults = append(faults, Fault{Path: "grpc.listen", Message: f.GRPCListen + " is raft.listen too; each needs a port of its own"})
	}
	faults = append(faults, f.listFaults()...)
	faults = append(faults, f.tlsFaults()...)
	for _, choice := range []struct {
		path, value string
		allowed     []string
	}{
		{"timing", f.Timing, []string{"lan", "wan"}},
		{"log.level", f.LogLevel, []string{"debug", "info", "warn", "error"}},
		{"log.format", f.LogFormat, []string{"text", "json"}},
	} {
		if !slices.Contains(choice.allowed, choice.value) {
			faults = append(faults, Fault{Path: choice.path, Message: fmt.Sprintf("%q can't be used here; it can be %s", choice.value, strings.Join(choice.allowed, " or "))})
		}
	}
	for i, dir := range f.FenceAgentDirs {
		if !absolute(dir) {
			faults = append(faults, Fault{Path: fmt.Sprintf("fence_agent_dirs[%d]", i), Message: fmt.Sprintf("%q must be an absolute path", dir)})
		}
	}
	return append(faults, f.referenceFaults()...)
}

// referenceFaults are about reference points: each must be able to answer, and to be silent when the network is gone.
func (f *ArbiterFile) referenceFaults() []Fault {
	var faults []Fault
	seen := map[string]string{}
	for _, a := range f.Arbiters {
		seen[a.Raft], seen[a.GRPC] = "arbiters."+a.ID+".raft", "arbiters."+a.ID+".grpc"
	}
	for i, address := range f.ReferencePoints {
		where := fmt.Sprintf("reference_points[%d]", i)
		host, _, _ := net.SplitHostPort(address)
		ip := net.ParseIP(host)
		if why := addressFault(address, referenceExample); why != "" {
			faults = append(faults, Fault{Path: where, Message: why})
		} else if other, twice := seen[address]; twice && strings.HasPrefix(other, "arbiters.") {
			faults = append(faults, Fault{Path: where, Message: fmt.Sprintf("%s is %s; the other arbiters are reference points anyway, and this one is none; leave it out", address, other)})
		} else if twice {
			faults = append(faults, Fault{Path: where, Message: fmt.Sprintf("%s is %s too", address, other)})
		} else if host == "localhost" || ip.IsLoopback() || ip.IsUnspecified() {
			faults = append(faults, Fault{Path: where, Message: fmt.Sprintf("%s is this machine, which it reaches whatever has become of its network; name another one", address)})
		}
		seen[address] = where
	}
	return faults
}

func (f *ArbiterFile) identityFaults() []Fault {
	var faults []Fault
	if f.Node == "" {
		faults = append(faults, Fault{Path: "node", Message: "is missing; it says which of the arbiters this one is"})
	} else if !slices.ContainsFunc(f.Arbiters, func(a Arbiter) bool { return a.ID == f.Node }) {
		faults = append(faults, Fault{Path: "node", Message: fmt.Sprintf("%q is not in arbiters (%s)", f.Node, joinWords(f.ids()))})
	}
	if !absolute(f.Data) {
		faults = append(faults, Fault{Path: "data", Message: fmt.Sprintf("%q must be an absolute path", f.Data)})
	}
	if own := f.Self(); own.Zone != f.Zone {
		faults = append(faults, Fault{Path: "zone", Message: fmt.Sprintf("is %s here and %s in arbiters.%s.zone", f.Zone, own.Zone, f.Node)})
	}
	return faults
}

func (f *ArbiterFile) listFaults() []Fault {
	var faults []Fault
	if n := len(f.Arbiters); n != 1 && n != 3 && n != 5 {
		faults = append(faults, Fault{Path: "arbiters", Message: fmt.Sprintf(
			"there are %d; use 3, which bear the loss of one, or 5, which bear the loss of two (an even number bears no more than the odd one below it)", n)})
	}
	seen := map[string]string{}
	for _, a := range f.Arbiters {
		if why := keys.NameFault(a.ID); why != "" {
			faults = append(faults, Fault{Path: "arbiters", Message: why})
		}
		for _, address := range []struct{ key, value, example string }{{"raft", a.Raft, raftExample}, {"grpc", a.GRPC, grpcExample}} {
			where := "arbiters." + a.ID + "." + address.key
			if why := addressFault(address.value, address.example); why != "" {
				faults = append(faults, Fault{Path: where, Message: why})
			} else if other, twice := seen[address.value]; twice {
				faults = append(faults, Fault{Path: where, Message: fmt.Sprintf("%s is %s too", address.value, other)})
			} else if host, _, err := net.SplitHostPort(address.value); err == nil && (host == "::" || host == "0.0.0.0") {
				faults = append(faults, Fault{Path: where, Message: fmt.Sprintf("%s is no address that others can reach; name the host", address.value)})
			}
			seen[address.value] = where
		}
	}
	return faults
}

func (f *ArbiterFile) tlsFaults() []Fault {
	if f.InsecurePlaintext {
		if !f.TLS.Empty() {
			return []Fault{{Path: "insecure_plaintext", Message: "can't be true beside tls; leave one of them out"}}
		}
		return nil
	}
	if f.TLS.Empty() {
		return []Fault{{Path: "tls", Message: "is missing; make certificates with `arbiterctl pki init` and `arbiterctl pki issue`, and name ca, cert and key"}}
	}
	var faults []Fault
	for _, file := range []struct{ key, value string }{{"ca", f.TLS.CA}, {"cert", f.TLS.Cert}, {"key", f.TLS.Key}} {
		if file.value == "" {
			faults = append(faults, Fault{Path: "tls." + file.key, Message: "is missing"})
		}
	}
	return faults
}

// warnings are about what is allowed but unwise.
func (f *ArbiterFile) warnings() []Fault {
	var warnings []Fault
	if len(f.Arbiters) == 1 {
		trouble := ""
		if len(f.ReferencePoints) == 0 {
			trouble = ", and without reference_points can't tell its own trouble from its targets'"
		}
		warnings = append(warnings, Fault{Path: "arbiters", Message: "a single arbiter protects against nothing that happens to itself" + trouble + "; use 3 or 5"})
	}
	if f.InsecurePlaintext {
		warnings = append(warnings, Fault{Path: "insecure_plaintext", Message: "everybody who reaches these ports may fence and promote"})
	}
	zones := map[string]string{}
	for _, a := range f.Arbiters {
		if other, twice := zones[a.Zone]; twice && a.Zone != "" {
			warnings = append(warnings, Fault{Path: "arbiters." + a.ID, Message: fmt.Sprintf("is in zone %s like %s: losing that zone loses both votes", a.Zone, other)})
		}
		zones[a.Zone] = a.ID
	}
	return warnings
}

func (f *ArbiterFile) ids() []string {
	ids := make([]string, len(f.Arbiters))
	for i, a := range f.Arbiters {
		ids[i] = a.ID
	}
	return ids
}

// listenFault says what is wrong with an address to listen on: as addressFault, but the host may be left out and the
// port may be 0 (any free one, for tests).
func listenFault(address, example string) string {
	host, port, err := net.SplitHostPort(address)
	if err == nil && host == "" {
		host = "::"
	}
	if err == nil && port == "0" {
		port = "1"
	}
	if err != nil {
		return addressFault(address, example)
	}
	return addressFault(net.JoinHostPort(host, port), example)
}

// absolute accepts both a path of this machine and one of the (Unix) machine that the file is for.
func absolute(name string) bool { return path.IsAbs(name) || filepath.IsAbs(name) }
