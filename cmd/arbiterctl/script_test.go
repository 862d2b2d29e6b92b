package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/client/clienttest"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/sample"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"arbiterctl": main})
}

// TestScripts runs the sessions in testdata/script: the real program as its own process, against a double of three
// arbiters over TCP. The commands below drive the double.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error { return setUp(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"lead":    func(ts *testscript.TestScript, _ bool, args []string) { cluster(ts).Lead(strings.Join(args, "")) },
			"lose":    lose,
			"forget":  forget,
			"follow":  follow,
			"changes": changes,
			"restart": func(ts *testscript.TestScript, _ bool, _ []string) {
				cluster(ts).Lead("")
				ts.Value(arbiterKey{}).(*arbiter).restart()
			},
			"secure": func(ts *testscript.TestScript, _ bool, args []string) { secure(t, ts, args[0]) },
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

type (
	clusterKey struct{}
	arbiterKey struct{}
)

func cluster(ts *testscript.TestScript) *clienttest.Cluster {
	c, ok := ts.Value(clusterKey{}).(*clienttest.Cluster)
	if !ok {
		ts.Fatalf("the script has no cluster")
	}
	return c
}

func setUp(t *testing.T, env *testscript.Env) error {
	double := newArbiter()
	c := clienttest.New(t, clienttest.Options{Nodes: []string{"az-a", "az-b", "az-c"}, TCP: true, Answer: double.answer})
	env.Values[arbiterKey{}] = double
	c.Happen(sample.Events()...)
	env.Values[clusterKey{}] = c
	contexts := &config.Contexts{Current: "test"}
	contexts.Set(config.Context{Name: "test", Addresses: c.Addresses(), InsecurePlaintext: true})
	file := filepath.Join(env.WorkDir, "contexts.yaml")
	env.Setenv("ARBITER_CONFIG", file)
	env.Setenv("ADDRESSES", strings.Join(c.Addresses(), ","))
	return os.WriteFile(file, config.FormatContexts(contexts), 0o600)
}

// exits N COMMAND...: the command must end with this exit status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("exits: %v", err)
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status is %d, want %d", got, want)
	}
}

// lose: every answer is lost after the change was done, until "lose nothing".
func lose(ts *testscript.TestScript, _ bool, args []string) {
	for _, n := range cluster(ts).Nodes {
		if len(args) > 0 {
			n.Fail(nil, nil)
			continue
		}
		n.Fail(nil, func(method string) error {
			if strings.HasSuffix(method, "/GetStatus") {
				return nil
			}
			return status.Error(codes.Unavailable, "the connection broke")
		})
	}
}

// follow COUNT TEXT...: follows events while one with each text happens, with a new leader before each, and ends when COUNT
// were printed. What was printed is the standard output.
func follow(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("follow: %v", err)
	}
	c := cluster(ts)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out := &lineCounter{want: want, enough: cancel}
	go func() {
		for i, text := range args[1:] {
			c.Lead([]string{"az-b", "az-c"}[i%2])
			c.Happen(&arbiterv1.Event{Kind: "armed-changed", Group: "orders-db", Text: text})
		}
	}()
	var errs strings.Builder
	env := []string{"events", "--follow", "--after", "31", "--address", strings.Join(c.Addresses(), ","), "--insecure-plaintext"}
	if status := run(ctx, env, strings.NewReader(""), out, &errs); status != 0 {
		ts.Fatalf("exit status %d: %s", status, errs.String())
	}
	fmt.Fprint(ts.Stdout(), out.text.String())
}

// lineCounter ends a program once it has printed enough.
type lineCounter struct {
	text   strings.Builder
	want   int
	enough func()
}

func (l *lineCounter) Write(p []byte) (int, error) {
	n, err := l.text.Write(p)
	if strings.Count(l.text.String(), "\n") >= l.want {
		l.enough()
	}
	return n, err
}

// forget COUNT: so many of the first events are no longer kept.
func forget(ts *testscript.TestScript, _ bool, args []string) {
	count, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		ts.Fatalf("forget: %v", err)
	}
	cluster(ts).Forget(count)
}

// changes NAME...: these changes were done, in this order, and no others.
func changes(ts *testscript.TestScript, _ bool, args []string) {
	var got []string
	for _, method := range cluster(ts).Changes() {
		got = append(got, method[strings.LastIndexByte(method, '/')+1:])
	}
	if strings.Join(got, " ") != strings.Join(args, " ") {
		ts.Fatalf("changes were %v, want %v", got, args)
	}
}

// secure DIR: starts three more arbiters, with the certificates az-a, az-b and az-c in a folder; $SECURE is where they are.
func secure(t *testing.T, ts *testscript.TestScript, folder string) {
	folder = ts.MkAbs(folder)
	c := clienttest.New(t, clienttest.Options{
		Nodes: []string{"az-a", "az-b", "az-c"}, TCP: true, Answer: newArbiter().answer,
		Credentials: func(node string) credentials.TransportCredentials {
			reloader, err := pki.NewReloader(pki.Files{
				Authorities: filepath.Join(folder, "ca.crt"), Certificate: filepath.Join(folder, node+".crt"), Key: filepath.Join(folder, node+".key"),
			})
			if err != nil {
				ts.Fatalf("load certificates of %s: %v", node, err)
			}
			return credentials.NewTLS(reloader.Server(pki.Peer{Roles: []pki.Role{pki.RoleOperator}}))
		},
	})
	ts.Setenv("SECURE", strings.Join(c.Addresses(), ","))
}

// arbiter answers with samples, and remembers the specs that were applied.
type arbiter struct {
	mutex     sync.Mutex
	specs     map[string]*arbiterv1.GroupSpec
	restarted bool // and waits for a majority
}

func (a *arbiter) restart() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.restarted = true
}

// answerRestarted is what an arbiter can say that came back alone: of groups it knows nothing.
func answerRestarted(request proto.Message) (proto.Message, error) {
	const why = "az-a was restarted and waits for a majority"
	switch r := request.(type) {
	case *arbiterv1.GetStatusRequest:
		if r.Group == "" {
			return &arbiterv1.GetStatusResponse{Freshness: sample.Restarted(), Arbiters: sample.Arbiters()}, nil
		}
	case *arbiterv1.ListOperationsRequest:
		return &arbiterv1.ListOperationsResponse{Freshness: sample.Restarted()}, nil
	case *arbiterv1.ListArbitersRequest:
		return &arbiterv1.ListArbitersResponse{Freshness: sample.Restarted(), Arbiters: sample.Arbiters()}, nil
	}
	failure, err := status.New(codes.FailedPrecondition, why).WithDetails(&arbiterv1.NotLeader{LogOnDisk: sample.Restarted().LogOnDisk})
	if err != nil {
		return nil, err
	}
	return nil, failure.Err()
}

func newArbiter() *arbiter { return &arbiter{specs: map[string]*arbiterv1.GroupSpec{}} }

func (a *arbiter) answer(node, _ string, request proto.Message) (proto.Message, error) {
	if c, ok := request.(interface{ GetChange() *arbiterv1.Change }); ok && c.GetChange().GetReason() == "refuse me" {
		return nil, clienttest.Reject("S2", "pg-a may still be writing", "arbiterctl attest orders-db pg-a --reason \"...\"")
	}
	a.mutex.Lock()
	restarted := a.restarted
	a.mutex.Unlock()
	if restarted {
		return answerRestarted(request)
	}
	switch r := request.(type) {
	case *arbiterv1.GetStatusRequest:
		return statusAnswer(node, r)
	case *arbiterv1.ExplainRequest:
		answer := sample.Explain()
		age(answer.Freshness, node, r)
		return found(r.Group, answer)
	case *arbiterv1.GetEpochsRequest:
		answer := sample.Epochs()
		age(answer.Freshness, node, r)
		return found(r.Group, answer)
	case *arbiterv1.GetOperationRequest:
		op := sample.Failover()
		if r.Group == "billing" {
			op = sample.HeldFailover()
			op.Id, op.Group, op.Turn = "billing-9120", r.Group, sample.Billing().Operation.Turn
		}
		answer := &arbiterv1.GetOperationResponse{Freshness: sample.Status().Freshness, Operation: op}
		age(answer.Freshness, node, r)
		return found(r.Group, answer)
	case *arbiterv1.ListOperationsRequest:
		return &arbiterv1.ListOperationsResponse{Freshness: sample.Status().Freshness, Operations: []*arbiterv1.Operation{sample.Failover()}}, nil
	case *arbiterv1.ListAttestationsRequest:
		return &arbiterv1.ListAttestationsResponse{Freshness: sample.Status().Freshness, Attestations: sample.Attestations(), More: r.Before == 0}, nil
	case *arbiterv1.ListArbitersRequest:
		return sample.ListArbiters(), nil
	case *arbiterv1.CheckGroupRequest:
		return checkAnswer(node, r)
	case *arbiterv1.CheckSpecRequest:
		return &arbiterv1.CheckSpecResponse{Freshness: sample.Status().Freshness, Group: r.Spec.Group, Arbiters: sample.Checks()}, nil
	case *arbiterv1.FailoverRequest:
		if r.Candidate == "pg-z" {
			return nil, status.Errorf(codes.NotFound, "%s has no member %q; there are pg-a, pg-b, pg-c", r.Group, r.Candidate)
		}
		if r.DryRun {
			return found(r.Group, planned(r))
		}
		return &arbiterv1.FailoverResponse{Operation: "orders-db-8814", Plan: "asked for " + r.Candidate}, nil
	}
	if answer := a.answerChange(request); answer != nil {
		return answer, nil
	}
	return a.answerSpec(request)
}

// planned is the plan of a failover: to pg-c a router doesn't answer, and with findings set aside somebody is unfit all the same.
func planned(r *arbiterv1.FailoverRequest) *arbiterv1.FailoverResponse {
	switch {
	case r.Candidate == "pg-c" && !r.IgnoreRouters:
		return sample.Refused()
	case r.IgnoreUnarmed && r.IgnoreFindings:
		return sample.Unfit()
	}
	return sample.Plan()
}

// answerChange echoes what a change was about.
func (a *arbiter) answerChange(request proto.Message) proto.Message {
	switch r := request.(type) {
	case *arbiterv1.AbortRequest:
		return &arbiterv1.AbortResponse{Result: "aborted " + r.Operation}
	case *arbiterv1.ReinstateRequest:
		return &arbiterv1.ReinstateResponse{Result: fmt.Sprintf("reinstating by %s, seen %d", r.Operation, r.Seen)}
	case *arbiterv1.ReleaseRequest:
		return &arbiterv1.ReleaseResponse{Result: fmt.Sprintf("released %s, seen %d, loss %v %d, unknown %v", r.Operation, r.Seen, r.AcceptLoss, r.AcceptLossBytes, r.AcceptUnknownLoss)}
	case *arbiterv1.AttestRequest:
		return &arbiterv1.AttestResponse{Result: fmt.Sprintf("attested %s, seen %d", r.Member, r.Seen)}
	case *arbiterv1.PauseRequest:
		return &arbiterv1.PauseResponse{Result: "paused: " + r.Change.Reason}
	case *arbiterv1.ResumeRequest:
		if r.DryRun {
			acts := r.Group == "rogue"
			return &arbiterv1.ResumeResponse{Acts: acts, Plan: map[bool]string{true: "pg-2 accepts writes without authority, and is fenced at once.", false: "Nothing waits for it."}[acts]}
		}
		return &arbiterv1.ResumeResponse{}
	case *arbiterv1.AdoptRequest:
		answer := &arbiterv1.AdoptResponse{Member: orElse(r.Member, "pg-a"), Epoch: 1}
		if len(r.Attest) > 0 {
			answer.Notes = []string{fmt.Sprintf("seen %d", r.Seen)}
		}
		return answer
	case *arbiterv1.TransferLeadershipRequest:
		return &arbiterv1.TransferLeadershipResponse{Leader: r.To}
	}
	return nil
}

func (a *arbiter) answerSpec(request proto.Message) (proto.Message, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	switch r := request.(type) {
	case *arbiterv1.ApplyGroupRequest:
		if len(r.Spec.Routes) > 0 && r.Spec.Routes[0].Settings["backend"].GetLiteral() == "refused" {
			return nil, refuseFields("routes[0].backend", "is refused by whoever knows better", "spec.members[1].fence[0][0].plug", "is no plug that the agent knows")
		}
		if len(r.Spec.Routes) > 0 && r.Spec.Routes[0].Settings["backend"].GetLiteral() == "late" && !r.DryRun {
			return nil, refuseFields("members[0].address", "is a server of another group since a moment ago")
		}
		result := "created"
		if a.specs[r.Spec.Group] != nil {
			result = "changed"
		}
		if r.ExpectedVersion != nil && r.GetExpectedVersion() != 1 {
			return nil, clienttest.Reject("", "the spec has version 1", "look with `arbiterctl get`")
		}
		if !r.DryRun {
			a.specs[r.Spec.Group] = r.Spec
		}
		return &arbiterv1.ApplyGroupResponse{Version: 1, Result: result, Notes: []string{"adopt it next: arbiterctl adopt " + r.Spec.Group}}, nil
	case *arbiterv1.GetGroupRequest:
		spec := a.specs[r.Group]
		if spec == nil {
			return nil, status.Error(codes.NotFound, "there is no group "+r.Group)
		}
		if r.Defaults {
			spec = config.Defaults(spec)
		}
		return &arbiterv1.GetGroupResponse{Freshness: sample.Status().Freshness, Spec: spec, Version: 1}, nil
	case *arbiterv1.DiffGroupRequest:
		before, version := &arbiterv1.GroupSpec{}, uint64(0)
		if present := a.specs[r.Spec.Group]; present != nil {
			before, version = config.Defaults(present), 1
		}
		return &arbiterv1.DiffGroupResponse{Freshness: sample.Status().Freshness, Differences: config.Differences(before, config.Defaults(r.Spec)), Version: version}, nil
	case *arbiterv1.DeleteGroupRequest:
		delete(a.specs, r.Group)
		return &arbiterv1.DeleteGroupResponse{Epoch: 4}, nil
	}
	return nil, status.Errorf(codes.Unimplemented, "%T", request)
}

// refuseFields answers as arbiters do to a spec whose settings can't work.
func refuseFields(fields ...string) error {
	detail := &errdetails.BadRequest{}
	for i := 0; i < len(fields); i += 2 {
		detail.FieldViolations = append(detail.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: fields[i], Description: fields[i+1]})
	}
	refused, err := status.New(codes.InvalidArgument, "refused").WithDetails(detail)
	if err != nil {
		return err
	}
	return refused.Err()
}

// age makes it what a node knew last, if a request takes that.
func age(f *arbiterv1.Freshness, node string, r interface{ GetConsistency() arbiterv1.Consistency }) {
	if r.GetConsistency() == arbiterv1.Consistency_CONSISTENCY_STALE {
		f.Linearizable, f.Node, f.Leader = false, node, ""
	}
}

func statusAnswer(node string, r *arbiterv1.GetStatusRequest) (proto.Message, error) {
	answer := sample.Status()
	age(answer.Freshness, node, r)
	switch r.Group {
	case "":
		if !answer.Freshness.Linearizable && r.AskArbiters {
			answer.Arbiters[1].Readiness, answer.Arbiters[2].Readiness = arbiterv1.Readiness_READINESS_SILENT, arbiterv1.Readiness_READINESS_SILENT
		}
		return answer, nil
	case "unfenced", "rogue", "promoting": // held where a release lets somebody be fenced
		answer.Groups = []*arbiterv1.GroupStatus{heldAt(r.Group)}
		return answer, nil
	case "ending": // a group that is well, and an arbiter that has something to say of its certificates when it is asked
		well := sample.Orders()
		well.Group, answer.Groups = r.Group, []*arbiterv1.GroupStatus{well}
		if !r.AskArbiters {
			for _, a := range answer.Arbiters {
				a.Release, a.Certificates, a.Readiness = "", nil, arbiterv1.Readiness_READINESS_UNSPECIFIED
			}
		} else {
			answer.Arbiters[1].Certificates.Concern = "its certificate az-b.crt ends soon"
		}
		return answer, nil
	case "silent": // a group that is well, and an arbiter that nothing is heard from
		well := sample.Orders()
		well.Group, answer.Groups = r.Group, []*arbiterv1.GroupStatus{well}
		answer.Arbiters[2].ViewCurrent = false
		return answer, nil
	case "in-doubt": // a group that is well, and arbiters of which two of three doubt themselves
		well := sample.Orders()
		well.Group, answer.Groups = r.Group, []*arbiterv1.GroupStatus{well}
		answer.Arbiters[1].Doubt, answer.Arbiters[2].Doubt = "ran 712ms late itself", "ran 780ms late itself"
		return answer, nil
	}
	for _, g := range answer.Groups {
		if g.Group == r.Group {
			answer.Groups = []*arbiterv1.GroupStatus{g}
			return answer, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "there is no group %q; see arbiterctl status", r.Group)
}

// heldAt is a group whose failover waits for the fence of its primary, or for its candidate, or one that has a rogue to be fenced by hand.
func heldAt(what string) *arbiterv1.GroupStatus {
	g := sample.Billing()
	g.Group, g.Operation.Group = what, what
	switch what {
	case "unfenced":
		g.Members[0].Authority, g.Operation.HeldReason, g.Operation.HeldDetail = "WRITER", "cool-down", "the last automatic failover was 9s ago, and 71345678 bytes may be lost"
	case "rogue":
		g.Members[1].Authority, g.Operation.Kind, g.Operation.From = "REVOKED", "refence", "pg-2"
	case "promoting":
		g.Members[1].Authority, g.Operation.To, g.Operation.HeldReason = "WRITER", "pg-2", "promote"
	}
	return g
}

// checkAnswer finds something in billing, and nothing in orders-db.
func checkAnswer(node string, r *arbiterv1.CheckGroupRequest) (proto.Message, error) {
	answer := sample.Check()
	if r.Group == "billing" {
		answer = sample.BlockedCheck()
		answer.Group = r.Group
	}
	if r.Group == "outage" { // nothing blocks a failover of it, and its primary is down
		return sample.DownCheck(), nil
	}
	age(answer.Freshness, node, r)
	return found(r.Group, answer)
}

func found(group string, answer proto.Message) (proto.Message, error) {
	if group == "orders-db" || group == "billing" {
		return answer, nil
	}
	return nil, status.Errorf(codes.NotFound, "there is no group %q; see arbiterctl status", group)
}
