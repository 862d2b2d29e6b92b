package arbiter

import (
	"context"
	"errors"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// validator refuses requests that break a field rule of the .proto, and names each field.
type validator struct {
	rules protovalidate.Validator
}

func (v validator) check(request any) error {
	message, ok := request.(proto.Message)
	if !ok {
		return nil
	}
	err := v.rules.Validate(message)
	var violations *protovalidate.ValidationError
	if !errors.As(err, &violations) {
		return err
	}
	var fields invalidFields
	for _, one := range violations.Violations {
		fields.add(protovalidate.FieldPathString(one.Proto.GetField()), one.Proto.GetMessage())
	}
	return fields.refusal()
}

// fieldFaults is an error that lists what is wrong, field by field.
type fieldFaults interface {
	Each(visit func(path, message string))
}

// refusedSpec is the answer to a spec that is wrong.
func refusedSpec(err error) error {
	var faults fieldFaults
	if !errors.As(err, &faults) {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	var fields invalidFields
	faults.Each(fields.add)
	return fields.refusal()
}

// invalidFields are the wrong fields of a request.
type invalidFields []*errdetails.BadRequest_FieldViolation

// An answer goes where headers go, whatever the request says: it has at most mostFaults fields, and of each at most so many bytes of
// the path and of the message.
const (
	mostFaults     = 64
	longestPath    = 512
	longestMessage = 2048
)

func (f *invalidFields) add(path, message string) {
	switch len(*f) {
	case mostFaults + 1:
	case mostFaults:
		*f = append(*f, &errdetails.BadRequest_FieldViolation{Description: "and more"})
	default:
		*f = append(*f, &errdetails.BadRequest_FieldViolation{Field: clipped(path, longestPath), Description: clipped(message, longestMessage)})
	}
}

func clipped(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}

// refusal names each field twice: in words, and in the details for programs.
func (f *invalidFields) refusal() error {
	var texts []string
	for _, one := range *f {
		texts = append(texts, strings.TrimPrefix(one.Field+": "+one.Description, ": "))
	}
	text := strings.Join(texts, "; ")
	refused, err := status.New(codes.InvalidArgument, text).WithDetails(&errdetails.BadRequest{FieldViolations: *f})
	if err != nil {
		return status.Error(codes.InvalidArgument, text)
	}
	return refused.Err()
}

func (v validator) unary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := v.check(request); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (v validator) stream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(server, &validatedStream{ServerStream: stream, validator: v})
}

type validatedStream struct {
	grpc.ServerStream
	validator validator
}

func (s *validatedStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	return s.validator.check(message)
}
