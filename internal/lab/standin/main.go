package standin

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Main runs the program: one service, as its arguments say.
func Main(ctx context.Context, args []string) error {
	var o Options
	var follow, names string
	flags := flag.NewFlagSet("standin", flag.ContinueOnError)
	flags.StringVar(&o.Name, "name", "", "name of the member")
	flags.StringVar(&o.Dir, "dir", "", "directory of its log")
	flags.StringVar(&o.Listen, "listen", "", "address to serve at, host:port")
	flags.StringVar(&follow, "follow", "", "be a standby of this primary, NAME=HOST:PORT, whatever it was before")
	flags.IntVar(&o.Members, "members", 1, "be so many members, at as many ports from that of -listen on")
	flags.IntVar(&o.Sync.Need, "sync", 0, "as primary, wait for so many of -standbys before an order is acknowledged")
	flags.StringVar(&names, "standbys", "", "names of the synchronous standbys, with commas between them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.Name == "" || o.Dir == "" || o.Listen == "" {
		return fmt.Errorf("standin needs -name, -dir and -listen; standin -h lists its flags")
	}
	if follow != "" {
		name, address, found := strings.Cut(follow, "=")
		if !found {
			return fmt.Errorf("-follow %q: want NAME=HOST:PORT", follow)
		}
		o.Follow = &serviceapi.Peer{Name: name, Address: address}
	}
	if names != "" {
		o.Sync.Names = strings.Split(names, ",")
	}
	if o.Sync.Need > len(o.Sync.Names) {
		return fmt.Errorf("-sync %d needs as many names in -standbys", o.Sync.Need)
	}
	return Run(ctx, o)
}

// Args are the arguments for which Main runs these options.
func (o Options) Args() []string {
	args := []string{"-name", o.Name, "-dir", o.Dir, "-listen", o.Listen}
	if o.Members > 1 {
		args = append(args, "-members", fmt.Sprint(o.Members))
	}
	if o.Follow != nil {
		args = append(args, "-follow", o.Follow.Name+"="+o.Follow.Address)
	}
	if o.Sync.Need > 0 {
		args = append(args, "-sync", fmt.Sprint(o.Sync.Need), "-standbys", strings.Join(o.Sync.Names, ","))
	}
	return args
}
