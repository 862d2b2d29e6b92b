package lab

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/internal/lab/report"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func TestPhasesFollowOneAnotherAndSumToTheOutage(t *testing.T) {
	fault := Moment{Wall: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	step := func(name string, began, took time.Duration) *arbiterv1.Step {
		return &arbiterv1.Step{
			Name: name, Began: timestamppb.New(fault.Wall.Add(began * time.Millisecond)), Took: durationpb.New(took * time.Millisecond),
		}
	}
	tests := map[string]struct {
		steps []*arbiterv1.Step
		want  report.Phases
		err   error
	}{
		"as documented": {
			steps: []*arbiterv1.Step{
				step("fault", 0, 0), step("verdict", 31, 0), step("lease", 33, 0), step("isolate", 34, 83), step("promote", 117, 59), step("route", 176, 3),
			},
			want: report.Phases{Detect: 31, Decide: 3, Fence: 83, Promote: 59, Route: 3, FirstWrite: 52},
		},
		"second try counts": {
			steps: []*arbiterv1.Step{
				step("verdict", 31, 0), step("isolate", 34, 10), step("isolate", 60, 10), step("promote", 70, 10), step("route", 80, 1),
			},
			want: report.Phases{Detect: 31, Decide: 29, Fence: 10, Promote: 10, Route: 1, FirstWrite: 150},
		},
		"the client was faster than the record": {
			steps: []*arbiterv1.Step{step("verdict", 31, 0), step("isolate", 31, 100), step("promote", 131, 60), step("route", 191, 60)},
			want:  report.Phases{Detect: 31, Fence: 100, Promote: 60, Route: 40},
		},
		"no route": {
			steps: []*arbiterv1.Step{step("verdict", 31, 0), step("isolate", 31, 100), step("promote", 131, 60)},
			err:   ErrIncompleteRecord,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := PhasesOf(&arbiterv1.Operation{Steps: test.steps}, fault, traffic.Outage{Length: 231 * time.Millisecond})
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v", err)
			}
			if err == nil && *got != test.want {
				t.Errorf("got %+v", *got)
			}
		})
	}
}
