package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
)

// UnknownField finds a field, at any depth, that this build's .proto files do not have, and says which; "" if there is none. Passing
// over it would be silent divergence. data are the bytes that the message was read from: reading them once more without
// unknown fields tells quickly whether there are any; only then does it matter which, for the message to the operator.
func UnknownField(message proto.Message, data []byte) string {
	known := message.ProtoReflect().New().Interface()
	err := proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, known)
	if err == nil && proto.Size(known) == proto.Size(message) {
		return ""
	}
	where := "a field somewhere" // if the walk does not visit it
	_ = protorange.Options{Stable: true}.Range(message.ProtoReflect(), func(path protopath.Values) error {
		last := path.Index(-1)
		if last.Step.Kind() != protopath.UnknownAccessStep {
			return nil
		}
		number, _, _ := protowire.ConsumeTag(last.Value.Bytes())
		where = fmt.Sprintf("field %d at %v", number, path.Path)
		return protorange.Terminate
	}, nil)
	return where
}
