package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

func upCommand() *cobra.Command {
	var options lab.Options
	bare := false
	c := &cobra.Command{
		Use: "up", Short: "Open a lab and keep it until Ctrl-C", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkLab(options); err != nil {
				return err
			}
			l, err := lab.Open(c.Context(), options)
			if err != nil {
				return err
			}
			defer l.Close()
			if !bare {
				if err := protect(c, l); err != nil {
					return err
				}
			}
			describe(c, l)
			<-c.Context().Done()
			return l.Close()
		},
	}
	labFlags(c, &options)
	c.Flags().BoolVar(&bare, "bare", false, "without arbiters")
	return c
}

// protect starts the arbiters and hands them the group.
func protect(c *cobra.Command, l *lab.Lab) error {
	if err := l.StartArbiters(c.Context()); err != nil {
		return err
	}
	if err := l.Protect(c.Context(), lab.Spec{}); err != nil {
		return err
	}
	tools, err := l.WriteTools()
	if err != nil {
		return err
	}
	c.Printf("operator  %s/arbiterctl status\n", tools)
	return nil
}

// describe says where everything is.
func describe(c *cobra.Command, l *lab.Lab) {
	for _, h := range l.Site.Hosts() {
		c.Printf("host      %-8s %-15s %s\n", h.Name(), h.Addr(), h.Dir())
	}
	c.Printf("clients   %s\npower     %s\n", l.RoutedAddress(), l.PowerSocket())
	if l.Site.Kind() == hosts.Namespaces {
		c.Printf("enter     nsenter --net=/run/netns/%s-HOST\n", l.Site.ID())
	}
	c.Println("Ctrl-C removes everything.")
}

func sweepCommand() *cobra.Command {
	return &cobra.Command{
		Use: "sweep", Short: "Remove what crashed labs left behind", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			swept, err := hosts.Sweep(c.Context())
			for _, id := range swept {
				c.Println("removed", id)
			}
			return err
		},
	}
}

func fenceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "fence", Short: "The fence agent of the power switch: key=value lines on standard input", DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if status := fenceagent.Run(args, os.Stdin, os.Stdout, os.Stderr); status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
}

// exitStatus is the status of an agent that has said all there is to say.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
