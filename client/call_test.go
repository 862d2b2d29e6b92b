package client

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Every call of the API is classified on purpose: what carries a Change and reaches the log is a change, what asks for a
// consistency or changes nothing is a read. A new call that nobody classified would never be repeated; this test says so.
func TestKinds_CoverTheAPI(t *testing.T) {
	methods := arbiterv1.File_arbiter_v1_api_proto.Services().ByName("ArbiterService").Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		name := "/arbiter.v1.ArbiterService/" + string(method.Name())
		if method.IsStreamingServer() || name == arbiterv1.ArbiterService_TransferLeadership_FullMethodName {
			continue
		}
		want := read
		if method.Input().Fields().ByName("change") != nil {
			want = change
		}
		if got, known := kinds[name]; !known || got != want {
			t.Errorf("%s is of kind %d (known: %v), want %d", name, got, known, want)
		}
		if says := method.Output().Fields().ByName("freshness") != nil; says != (want == read) {
			t.Errorf("the answer of %s says how fresh it is: %t", name, says) // ofLeader goes by it
		}
	}
	if kinds["/arbiter.v1.ArbiterService/NewCall"] != once {
		t.Error("a call that this version doesn't know may be repeated")
	}
}

func TestNewCall_KeepsTheCallersIDAndMessage(t *testing.T) {
	mine := &arbiterv1.PauseRequest{Group: "g", Change: &arbiterv1.Change{RequestId: "chosen-by-me", Reason: "why"}}
	if c := newCall(arbiterv1.ArbiterService_Pause_FullMethodName, mine, nil, nil); c.requestID != "chosen-by-me" || c.request != protoreflect.ProtoMessage(mine) {
		t.Errorf("call is %+v", c)
	}
	none := &arbiterv1.PauseRequest{Group: "g", Change: &arbiterv1.Change{Reason: "why"}}
	c := newCall(arbiterv1.ArbiterService_Pause_FullMethodName, none, nil, nil)
	sent, ok := c.request.(*arbiterv1.PauseRequest)
	if !ok || len(sent.Change.RequestId) != 32 || sent.Change.Reason != "why" || sent.Group != "g" || none.Change.RequestId != "" {
		t.Errorf("sent %v, caller's message is %v", c.request, none)
	}
}

func TestOfLeader_OnlyLinearizableAnswersAre(t *testing.T) {
	for name, test := range map[string]struct {
		reply any
		want  bool
	}{
		"a change":            {&arbiterv1.PauseResponse{}, true},
		"a linearizable read": {&arbiterv1.GetStatusResponse{Freshness: &arbiterv1.Freshness{Linearizable: true}}, true},
		"a stale read":        {&arbiterv1.GetStatusResponse{Freshness: &arbiterv1.Freshness{Node: "az-b"}}, false},
		"an unlabelled read":  {&arbiterv1.GetStatusResponse{}, false},
	} {
		if got := ofLeader(test.reply); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
