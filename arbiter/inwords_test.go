package arbiter

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestErrorsOfPeersAreSaidInWords(t *testing.T) {
	dial := `connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.2:7401: connect: connection refused"`
	other := `connection error: desc = "transport: authentication handshake failed: certificate of another cluster: it is of arbiter \"b\" in cluster \"other\""`
	for want, err := range map[string]error{
		"dial tcp 10.0.0.2:7401: connect: connection refused":                     fmt.Errorf("ask az-b: %w", status.Error(codes.Unavailable, dial)),
		`certificate of another cluster: it is of arbiter "b" in cluster "other"`: status.Error(codes.Unavailable, other),
		"no answer in time":           status.Error(codes.DeadlineExceeded, "context deadline exceeded"),
		"its certificate has expired": status.Error(codes.Unauthenticated, "its certificate has expired"),
		"disk is full":                errors.New("disk is full"),
	} {
		if got := inWords(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
