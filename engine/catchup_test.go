package engine

import (
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// What a standby has received is certain only when two looks in a row agree: its walreceiver may be about to start again.
func TestStoppedInPartTakesTwoLooks(t *testing.T) {
	receiving := standbyLook{Receiver: true, Received: 90, Replayed: 50}
	stopped := standbyLook{Received: 100, Replayed: 50}
	paused := standbyLook{Received: 100, Replayed: 50, Paused: "paused"}
	restarted := standbyLook{Received: 40, Replayed: 50}
	for name, test := range map[string]struct {
		looks twoLooks
		want  bool
	}{
		"none":                      {twoLooks{receiving, receiving}, false},
		"one":                       {twoLooks{receiving, stopped}, false},
		"one, with replay paused":   {twoLooks{receiving, paused}, false},
		"two":                       {twoLooks{stopped, stopped}, true},
		"two, while replay goes on": {twoLooks{stopped, {Received: 100, Replayed: 60}}, true},
		"two, with replay paused":   {twoLooks{paused, paused}, true},
		"two that differ":           {twoLooks{{Received: 90, Replayed: 50}, stopped}, false},
		"it has started again":      {twoLooks{stopped, receiving}, false},
		"two, soon after a restart": {twoLooks{restarted, restarted}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var position failover.MemberPosition
			if err := stoppedInPart(test.looks, &position); position.Answered != test.want || (err == nil) != test.want {
				t.Errorf("answered: %v, %v; want %v", position.Answered, err, test.want)
			}
		})
	}
}

func TestReplayEnded(t *testing.T) {
	for name, test := range map[string]struct {
		look standbyLook
		want bool
	}{
		"it has replayed what was received":       {standbyLook{Received: 100, Replayed: 100}, true},
		"the same, paused":                        {standbyLook{Received: 100, Replayed: 100, Waits: "RecoveryPause"}, true},
		"it has more":                             {standbyLook{Received: 100, Replayed: 90}, false},
		"the last record arrived in part":         {standbyLook{Received: 100, Replayed: 90, Waits: "RecoveryWalStream"}, true},
		"it restores from an archive":             {standbyLook{Received: 100, Replayed: 200, Waits: "RestoreCommand"}, false},
		"it replays what it restored":             {standbyLook{Received: 100, Replayed: 200}, false},
		"it is paused in what it restored":        {standbyLook{Received: 100, Replayed: 200, Waits: "RecoveryPause"}, false},
		"the archive has no more":                 {standbyLook{Received: 100, Replayed: 200, Waits: "RecoveryRetrieveRetryInterval"}, true},
		"it has received nothing since its start": {standbyLook{Replayed: 100}, false},
		"the same, and waits":                     {standbyLook{Replayed: 100, Waits: "RecoveryWalStream"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.look.replayEnded(); got != test.want {
				t.Errorf("%+v: ended: %v; want %v", test.look, got, test.want)
			}
		})
	}
}
