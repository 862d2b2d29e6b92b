package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/client"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// changing is what all changes share.
type changing struct {
	reason    string
	requestID string
	yes       bool
}

func (c *changing) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.reason, "reason", "", "why; recorded with your name")
	cmd.Flags().StringVar(&c.requestID, "request-id", "", "repeat a change whose answer was lost: with the same id it is done at most once")
	cmd.PreRunE = func(*cobra.Command, []string) error { return c.checkID() }
}

// addConfirmation is for changes that can't be undone.
func (c *changing) addConfirmation(cmd *cobra.Command) {
	c.addFlags(cmd)
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "don't ask to type the group's name")
}

// change is the header of a request.
func (c *changing) change() *arbiterv1.Change {
	if c.requestID == "" {
		c.requestID = client.NewRequestID()
	}
	return &arbiterv1.Change{RequestId: c.requestID, Reason: c.reason}
}

// checkID refuses an id that arbiters would refuse, in the words of the flag.
func (c *changing) checkID() error {
	const shortest, longest = 8, 64
	if n := len(c.requestID); n > 0 && (n < shortest || n > longest) {
		return usage("--request-id must have %d to %d characters", shortest, longest)
	}
	return nil
}

// needReason refuses to do without a reason what somebody will ask about later.
func (c *changing) needReason(what string) error {
	if strings.TrimSpace(c.reason) == "" {
		return usage("%s can't be undone, so it needs a reason: add --reason \"...\"", what)
	}
	return nil
}

// confirm has the operator type the group's name, after saying what will happen.
func (a *app) confirm(c *changing, group, consequence string) error {
	if c.yes {
		return nil
	}
	fmt.Fprintf(a.stderr, "%s\nType the group's name to go on: ", strings.TrimSpace(consequence))
	line, err := a.readLine()
	if !isTerminal(a.stdin) || !strings.HasSuffix(line, "\n") { // nobody's Enter has ended the line of the question
		fmt.Fprintln(a.stderr)
	}
	if err != nil {
		return err
	}
	if typed := strings.TrimSpace(line); typed != group {
		if typed == "" {
			return usage("nothing was done: it was not confirmed (type %s, or add --yes)", group)
		}
		return usage("nothing was done: %q is not %s", typed, group)
	}
	return nil
}
