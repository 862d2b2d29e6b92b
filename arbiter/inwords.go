package arbiter

import (
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// inWords is an error of a call as people say it, without what gRPC puts around it.
func inWords(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	if s.Code() == codes.DeadlineExceeded || s.Code() == codes.Canceled {
		return "no answer in time"
	}
	text := s.Message()
	if i := strings.LastIndex(text, "desc = "); i >= 0 {
		text = text[i+len("desc = "):]
		if quoted, err := strconv.Unquote(text); err == nil {
			text = quoted
		}
	}
	for _, wrapping := range []string{"transport: ", "Error while dialing: ", "authentication handshake failed: "} {
		text = strings.TrimPrefix(text, wrapping)
	}
	return text
}
