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
