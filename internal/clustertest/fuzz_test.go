package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// rawCodec sends bytes as they are, so that a request need not be a message at all.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	data, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return *data, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	into, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is not bytes", v)
	}
	*into = append([]byte(nil), data...)
	return nil
}

// methods are the calls of both services, in the order of the schema.
func methods() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	services := arbiterv1.File_arbiter_v1_api_proto.Services()
	for i := range services.Len() {
		of := services.Get(i).Methods()
		for j := range of.Len() {
			all = append(all, of.Get(j))
		}
	}
	return all
}

// words are what a likely request says in the fields of these names.
var words = map[protoreflect.Name]string{
	"group": "pay", "request_id": "request-fuzz", "reason": "fuzz", "member": "db2", "candidate": "db2", "operation": "1", "node": "az-b", "to": "az-b",
}

// fillRequest makes a likely request: the group is there, and every field that is not a list has a value.
func fillRequest(m protoreflect.Message) {
	if spec, ok := m.Interface().(*arbiterv1.GroupSpec); ok {
		proto.Merge(spec, writtenSpec("pay"))
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		word, known := words[field.Name()]
		switch {
		case field.IsList() || field.IsMap():
		case field.Message() != nil:
			if field.ContainingOneof() == nil {
				fillRequest(m.Mutable(field).Message())
			}
		case field.Kind() == protoreflect.EnumKind:
			m.Set(field, protoreflect.ValueOfEnum(1))
		case field.Kind() == protoreflect.StringKind && known:
			m.Set(field, protoreflect.ValueOfString(word))
		}
	}
}

// likely is a request that could be meant.
func likely(t testing.TB, method protoreflect.MethodDescriptor) []byte {
	t.Helper()
	request := empty(method)
	fillRequest(request.ProtoReflect())
	data, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// empty is a new request of a call, of its generated type.
func empty(method protoreflect.MethodDescriptor) proto.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		panic(err) // the schema is compiled in
	}
	return kind.New().Interface()
}

// unreadable says whether a request is no message: gRPC itself refuses it, as an internal error.
func unreadable(method protoreflect.MethodDescriptor, request []byte) bool {
	return proto.Unmarshal(request, empty(method)) != nil
}

// breaksRules says whether the schema's field rules refuse a request.
func breaksRules(method protoreflect.MethodDescriptor, request []byte) bool {
	message := empty(method)
	return proto.Unmarshal(request, message) != nil || protovalidate.Validate(message) != nil
}

// answerLimit is far more than any call takes that ends by itself; watchLimit is for calls that don't.
const (
	answerLimit = 20 * time.Second
	watchLimit  = 50 * time.Millisecond
)

// call sends one request and reads what comes back, until the call ends, or a stream has given its first answer.
func call(connection *grpc.ClientConn, method protoreflect.MethodDescriptor, request []byte) error {
	limit := answerLimit
	if method.IsStreamingServer() {
		limit = watchLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name()), grpc.ForceCodec(rawCodec{}), grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	// The end of a stream that the other side has closed is told by RecvMsg.
	if err := stream.SendMsg(&request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var answer []byte
	if err := stream.RecvMsg(&answer); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// FuzzRequests: whatever bytes any caller sends as the request of any call, the arbiter lives, answers in time, never with an error that
// nobody thought of, and takes nothing that breaks the rules of the fields. All pass the real interceptors, over TLS.
func FuzzRequests(f *testing.F) {
	c := startProtecting(f)
	leader, all := c.leader(), methods()
	var callers []*grpc.ClientConn
	for _, who := range []pki.Request{
		{Role: pki.RoleOperator, Name: "alice"}, {Role: pki.RoleArbiter, Name: "az-b"}, {Role: pki.RoleViewer, Name: "eve", Groups: []string{"pay"}},
	} {
		callers = append(callers, c.dial(leader, c.certificate(who)))
	}
	for i, method := range all {
		request := likely(f, method)
		for caller := range callers {
			f.Add(uint8(caller), uint8(i), request)
		}
		f.Add(uint8(0), uint8(i), []byte{})
		f.Add(uint8(1), uint8(i), []byte{0xff, 0xff, 0xff})
	}
	f.Fuzz(func(t *testing.T, caller, number uint8, request []byte) {
		method := all[int(number)%len(all)]
		err := call(callers[int(caller)%len(callers)], method, request)
		switch code := status.Code(err); {
		case code == codes.DeadlineExceeded && method.IsStreamingServer():
		case code == codes.Internal && unreadable(method, request):
		case code == codes.DeadlineExceeded, code == codes.Unknown, code == codes.Internal:
			t.Fatalf("%s: %v", method.Name(), err)
		case code == codes.OK && breaksRules(method, request):
			t.Fatalf("%s took what the rules of its fields refuse: %x", method.Name(), request)
		}
	})
}
