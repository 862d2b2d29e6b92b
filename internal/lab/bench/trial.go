package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// workshop makes the template that all labs of a bench share, in a directory that is removed even after a crash.
func workshop(ctx context.Context, options *lab.Options) (close func(), err error) {
	if options.Service == lab.Builtin {
		return func() {}, nil
	}
	site, err := hosts.Open(ctx, hosts.Options{Dir: options.Dir})
	if err != nil {
		return nil, err
	}
	if options.Template, err = database.NewTemplate(ctx, filepath.Join(site.Dir(), "template")); err != nil {
		return nil, errors.Join(err, site.Close())
	}
	return func() { _ = site.Close() }, nil // what it could not remove, the next Open does
}

// trial does one piece of work in a lab of its own with arbiters that lead, bounded by patience. When it fails without
// having been stopped, evidence is written to progress before the lab goes.
func trial(parent context.Context, options lab.Options, patience time.Duration, progress io.Writer, work func(context.Context, *lab.Lab) error) (err error) {
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	l, err := lab.Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && parent.Err() == nil {
			fmt.Fprintf(progress, "failed: %v\n", err)
			l.Evidence(progress, lab.Group)
		}
		err = errors.Join(err, l.Close())
	}()
	if err := l.StartArbiters(ctx); err != nil {
		return err
	}
	return work(ctx, l)
}
