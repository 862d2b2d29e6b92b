package virtual

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Run runs a test in a bubble of virtual time of its own. Make the cluster inside, and everything else that waits. Goroutines that are left
// at the end are a failure, but for those that wait for Raft: it never answers some of the questions that its own shutdown overtakes.
func Run(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	bubble := ""
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if left := leftIn(bubble); len(left) > 0 || !strings.Contains(panicText(fault), "blocked goroutines remain") {
			t.Logf("left in the bubble:\n%s", strings.Join(left, "\n\n"))
			panic(fault)
		}
	}()
	name := make(chan string, 1)
	stands := time.AfterFunc(realLimit, func() { hangs(<-name, fmt.Sprintf("%v of real time", realLimit)) })
	defer stands.Stop()
	synctest.Test(t, func(t *testing.T) {
		bubble = ownBubble()
		name <- bubble
		goesOn := time.AfterFunc(virtualLimit, func() { hangs(bubble, fmt.Sprintf("%v of virtual time", virtualLimit)) })
		t.Cleanup(func() { goesOn.Stop() })
		test(t)
	})
}

// A bubble that doesn't come to its end ends the tests, and shows who waits. Where somebody waits for what never comes, the others go on
// beside, and virtual time runs as fast as the processors can; where somebody waits for a lock, or never waits, it stands still.
const (
	virtualLimit = 2 * time.Hour
	realLimit    = 8 * time.Minute
)

func hangs(bubble, after string) {
	panic(fmt.Sprintf("%s has not ended after %s; in it are:\n%s", bubble, after, strings.Join(leftIn(bubble), "\n\n")))
}

func panicText(fault any) string {
	if err, ok := fault.(error); ok {
		return err.Error()
	}
	text, _ := fault.(string)
	return text
}

var bubbleName = regexp.MustCompile(`synctest bubble \d+\b`)

// ownBubble names the bubble of the caller, as the runtime does in the heads of stacks.
func ownBubble() string {
	buffer := make([]byte, 1<<10)
	return string(bubbleName.Find(buffer[:runtime.Stack(buffer, false)]))
}

// leavings are who waits for an answer of Raft, and who waits for them at the end.
var leavings = []string{"raft.(*deferError).Error(", "(*RaftNode).settle.func1("}

// leftIn are the stacks of the goroutines of a bubble that nobody knows of.
func leftIn(bubble string) []string {
	buffer := make([]byte, 64<<20)
	buffer = buffer[:runtime.Stack(buffer, true)]
	var left []string
	for _, stack := range strings.Split(string(bytes.TrimSpace(buffer)), "\n\n") {
		head, _, _ := strings.Cut(stack, "\n")
		if bubble == "" || bubbleName.FindString(head) == bubble && !known(stack) {
			left = append(left, stack)
		}
	}
	return left
}

func known(stack string) bool {
	for _, l := range leavings {
		if strings.Contains(stack, l) {
			return true
		}
	}
	return false
}
