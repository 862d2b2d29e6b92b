package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// grpcurl builds the pinned client that knows nothing of Arbiter: what it learns, it learns by reflection.
func grpcurl(t *testing.T) string {
	t.Helper()
	path := filepath.Join(workshop.Dir(), "grpcurl")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools.mod", "-o", path, "github.com/fullstorydev/grpcurl/cmd/grpcurl")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build grpcurl: %v\n%s", err, out)
	}
	return path
}

// TestGrpcurl uses the API as somebody does who has only a certificate and grpcurl: health, reflection, a read, bad requests.
func TestGrpcurl(t *testing.T) {
	program := grpcurl(t) // before the scenario's time begins
	s := enter(t, plan{idle: true})
	leader, err := s.Leader(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	tls := filepath.Join(s.Site.Dir(), "tls", "operator")
	call := func(arguments ...string) (string, error) {
		// -insecure: the certificates of a lab name arbiters, not addresses; the arbiter checks ours all the same.
		all := append([]string{"-insecure", "-cert", tls + ".crt", "-key", tls + ".key"}, arguments...)
		out, err := s.Site.Host(lab.ClientHost).Run(s.ctx, hosts.Command{Name: "grpcurl", Path: program, Args: all})
		return string(out), err
	}
	if out, err := call(leader.Address(), "grpc.health.v1.Health/Check"); err != nil || !strings.Contains(out, "SERVING") {
		t.Errorf("health: %v\n%s", err, out)
	}
	if out, err := call(leader.Address(), "list"); err != nil || !strings.Contains(out, "arbiter.v1.ArbiterService") {
		t.Errorf("reflection: %v\n%s", err, out)
	}
	out, err := call("-d", `{"group": "`+lab.Group+`"}`, leader.Address(), "arbiter.v1.ArbiterService/GetStatus")
	if err != nil {
		t.Fatalf("status: %v\n%s", err, out)
	}
	var status struct {
		Groups []struct{ Group, Primary string }
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil || len(status.Groups) != 1 || status.Groups[0].Primary != s.primary.Name() {
		t.Errorf("status says %+v (%v)", status, err)
	}
	_, err = call("-d", `{"group": "`+lab.Group+`"}`, leader.Address(), "arbiter.v1.ArbiterService/Pause")
	if err == nil || !strings.Contains(err.Error(), "change") {
		t.Errorf("a pause without a request id was not refused by the name of its field: %v", err)
	}
	_, err = call("-d", `{"group": "`+lab.Group+`", "member": "pg-b", "change": {"request_id": "grpcurl-1", "reason": "it is off"}}`,
		leader.Address(), "arbiter.v1.ArbiterService/Attest")
	if err == nil || !strings.Contains(err.Error(), "groups.operation.id in the answer of GetStatus") || !strings.Contains(err.Error(), "groups.operation.turn") {
		t.Errorf("a word that doesn't say what it is about was not refused with where that is found: %v", err)
	}
}
