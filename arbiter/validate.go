package arbiter

import (
	"context"
	"errors"

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
	detail := &errdetails.BadRequest{}
	text := ""
	for _, one := range violations.Violations {
		field := protovalidate.FieldPathString(one.Proto.GetField())
		detail.FieldViolations = append(detail.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field, Description: one.Proto.GetMessage()})
		if text != "" {
			text += "; "
		}
		text += field + ": " + one.Proto.GetMessage()
	}
	refused, err := status.New(codes.InvalidArgument, text).WithDetails(detail)
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
