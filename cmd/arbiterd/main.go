// Command arbiterd is one arbiter: it reads its file, wires the parts together, runs until it is told to end, and drains. It
// takes no decision of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fence"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/pki"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/recording"
	"github.com/arbiter-ha/arbiter/internal/release"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Exit statuses.
const (
	// exitFailed says that it ended by an error that was logged: it may be started again. The Go runtime ends with 2 when it must: then too.
	exitFailed = 1
	// exitBadInput says that no start will go better before somebody has mended what is wrong: the command line, the file, the certificates,
	// or a data directory that is corrupt, was lost or is another cluster's (EX_CONFIG of sysexits.h).
	exitBadInput = 78
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	code := exitBadInput // until all that it was given is known to be right
	if err := postgres.ForgetService(); err != nil {
		report(stderr, err)
		return code
	}
	command := &cobra.Command{
		Use:           "arbiterd",
		Short:         "One arbiter: watches the protected services and, when it leads, fences and promotes",
		Version:       release.Name(),
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	path := command.Flags().String("config", "/etc/arbiter/arbiterd.yaml", "the arbiter's file")
	check := command.Flags().Bool("check", false, "read the file and the certificates, look whether the data directory is this arbiter's, can be written to (by a small file, if no arbiter runs there) and its log be opened, say what is wrong, and end; as the user of the service")
	record := command.Flags().String("record", "", "keep all that decisions are made of in this folder, for make replay; it grows without bound")
	command.RunE = func(*cobra.Command, []string) error {
		// Heard from the first moment: a SIGHUP before there is anything to reload must not end the process.
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		d, err := prepare(*path, stderr)
		if err == nil && *check {
			err = inTime(d.file.Data, storageLimit, func() error { return checkStorage(d.file.Data, stdout) })
		}
		if errors.Is(err, secret.ErrNotInTime) {
			code = exitFailed // the next start may find a file system that answers
		}
		if err != nil {
			return err
		}
		if *check {
			fmt.Fprintf(stdout, "%s is right: arbiter %s of %d%s\n", *path, d.file.Node, len(d.file.Arbiters), referencePoints(d.file))
			return nil
		}
		err = d.run(ctx, hangup, *record)
		code = exitStatus(err)
		return err
	}
	command.SetArgs(arguments)
	command.SetOut(stdout)
	command.SetErr(stderr)
	if err := command.Execute(); err != nil {
		report(stderr, err)
		return code
	}
	return 0
}

// exitStatus is how a process ends whose input was right by all that it could see of it. What may be mended elsewhere is tried again: other
// arbiters with other lists of arbiters, or with certificates that don't go with this one's (a start reads all files anew), a disk without room.
func exitStatus(err error) int {
	for _, forGood := range []error{arbiter.ErrStorageCorrupt, arbiter.ErrBadMark, arbiter.ErrClusterExists, arbiter.ErrOtherClusterID} {
		if errors.Is(err, forGood) {
			return exitBadInput
		}
	}
	return exitFailed
}

// report writes an error. Faults of a file stand one a line, as editors and people expect them, with nothing before them.
func report(stderr io.Writer, err error) {
	var faults config.Faults
	if !errors.As(err, &faults) {
		fmt.Fprintln(stderr, "arbiterd:", err)
		return
	}
	fmt.Fprintln(stderr, faults)
	fmt.Fprintf(stderr, "arbiterd: nothing was started; mend these (%d) and look again with arbiterd --check\n", len(faults))
}

// daemon is what was read and checked before anything is started.
type daemon struct {
	path string
	file *config.ArbiterFile
	tls  *pki.Reloader
	log  hclog.Logger
	// files reads what the process reads again while it runs.
	files *secret.Reader
}

func prepare(path string, stderr io.Writer) (*daemon, error) {
	files := new(secret.Reader)
	file, warnings, err := readFile(files, path)
	if err != nil {
		return nil, err
	}
	d := &daemon{path: path, file: file, files: files, log: hclog.New(&hclog.LoggerOptions{
		Name: "arbiterd", Level: hclog.LevelFromString(file.LogLevel),
		JSONFormat: file.LogFormat == "json", Output: stderr, Exclude: newRepeats(time.Now).exclude,
	})}
	for _, w := range warnings {
		d.log.Warn("arbiter file", "warning", w.String())
	}
	if err := inTime(file.Data, dataLimit, func() error { return checkWritable(file.Data) }); err != nil {
		return nil, err
	}
	if file.InsecurePlaintext {
		d.log.Warn("INSECURE: both ports are plaintext; everybody who reaches them may fence and promote", "key", "insecure_plaintext")
		return d, d.checkData()
	}
	d.tls, err = pki.NewReloader(pki.Files{Authorities: file.TLS.CA, Certificate: file.TLS.Cert, Key: file.TLS.Key})
	if err != nil {
		return nil, err
	}
	if who := d.tls.Identity(); who.Role != pki.RoleArbiter || who.Name != file.Node {
		return nil, fmt.Errorf("%s is the certificate of %s %s, and this is arbiter %s: issue one with arbiterctl pki issue --role arbiter %s",
			file.TLS.Cert, who.Role, who.Name, file.Node, file.Node)
	}
	d.warnOfExpiry()
	return d, d.checkData()
}

// checkData refuses the data directory of another arbiter or cluster.
func (d *daemon) checkData() error {
	return inTime(d.file.Data, dataLimit, func() error { return arbiter.CheckData(d.file.Data, failover.NodeID(d.file.Node), d.tls) })
}

// readLimit is how long the file system of the arbiter's file may take.
const readLimit = 5 * time.Second

func readFile(files *secret.Reader, path string) (*config.ArbiterFile, config.Faults, error) {
	ctx, cancel := secret.Within(context.Background(), readLimit)
	defer cancel()
	text, err := files.ReadFile(ctx, path)
	if err != nil {
		return nil, nil, fmt.Errorf("the arbiter's file: %w", err)
	}
	return config.ParseArbiterFile(path, text)
}

// run starts the node and reloads at each hangup until the context ends. A folder to record in may be empty: nothing is recorded.
func (d *daemon) run(ctx context.Context, hangup <-chan os.Signal, folder string) error {
	recorder, closeRecording, err := d.recorder(folder)
	if err != nil {
		return err
	}
	defer closeRecording()
	listener, err := net.Listen("tcp", d.file.GRPCListen)
	if err != nil {
		return fmt.Errorf("listen on grpc.listen: %w", err)
	}
	timing, err := arbiter.TimingProfile(d.file.Timing)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	c, secrets := clock.System(), d.files
	fencing := fence.New(fence.Options{Directories: d.file.FenceAgentDirs, Secrets: secrets})
	all, end := drivers(fencing, secrets)
	defer end()
	node, err := arbiter.New(arbiter.Options{
		Node: failover.NodeID(d.file.Node), Zone: d.file.Zone, Peers: peers(d.file), Data: d.file.Data, RaftListen: d.file.RaftListen, GRPC: listener,
		TLS: d.tls, Insecure: d.file.InsecurePlaintext, Timing: timing, Clock: c, Log: d.log,
		Drivers: all, NewProber: newProber(c, secrets, d.log), Specs: specs{fencing},
		Release: release.Name(), FencePathEvery: fencePathEvery, RoutesEvery: routesEvery, ReferencePoints: d.file.ReferencePoints, Record: recorder, Failpoint: failpointOfTests(),
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	ended := make(chan error, 1)
	d.log.Info("starting", "release", release.Name(), "node", d.file.Node, "arbiters", len(d.file.Arbiters), "raft", d.file.RaftListen, "grpc", listener.Addr())
	go func() { ended <- node.Run(ctx) }()
	return d.attend(ended, hangup)
}

// attend does what this process has to do beside its node, until that has ended.
func (d *daemon) attend(ended <-chan error, hangup <-chan os.Signal) error {
	daily := time.NewTicker(24 * time.Hour)
	defer daily.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-hangup:
			d.reload()
		case <-daily.C:
			d.warnOfExpiry()
		}
	}
}

// recorder is nil without a folder.
func (d *daemon) recorder(folder string) (*recording.Recorder, func(), error) {
	if folder == "" {
		return nil, func() {}, nil
	}
	file, err := recording.Create(folder, failover.NodeID(d.file.Node))
	if err != nil {
		return nil, nil, err
	}
	d.log.Warn("recording all that decisions are made of", "file", file.Name())
	failed := func(err error) { d.log.Error("the recording ends here", "error", err) }
	recorder := recording.NewRecorder(file, failed)
	return recorder, func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		if err := recorder.Close(ctx); err != nil {
			failed(err)
			return // the file is in use
		}
		if err := file.Close(); err != nil {
			failed(err)
		}
	}, nil
}

// closeLimit is how long the end of a recording is waited for.
const closeLimit = 2 * time.Second

func peers(file *config.ArbiterFile) []arbiter.Peer {
	list := make([]arbiter.Peer, len(file.Arbiters))
	for i, a := range file.Arbiters {
		list[i] = arbiter.Peer{Node: failover.NodeID(a.ID), Zone: a.Zone, Raft: a.Raft, GRPC: a.GRPC}
	}
	return list
}

// referencePoints says by what this arbiter tells its own trouble from its targets'.
func referencePoints(file *config.ArbiterFile) string {
	var points []string
	for _, a := range file.Arbiters {
		if a.ID != file.Node {
			points = append(points, a.ID)
		}
	}
	points = append(points, file.ReferencePoints...)
	if len(points) == 0 {
		return ", without reference points"
	}
	return "; reference points " + strings.Join(points, ", ")
}

// reload takes new certificates, from the same files, and the log level; whatever is wrong with them leaves the old ones in force.
func (d *daemon) reload() {
	file, _, err := readFile(d.files, d.path)
	if err != nil {
		d.log.Error("SIGHUP: the file is wrong, nothing was changed", "error", err)
		return
	}
	if d.needsRestart(file) {
		d.log.Warn("SIGHUP: the file has other changes than the log level; they are taken when arbiterd is started again", "file", d.path)
	}
	if d.tls == nil {
		d.log.SetLevel(hclog.LevelFromString(file.LogLevel))
		d.log.Info("SIGHUP: log level taken", "level", file.LogLevel)
		return
	}
	if err := d.tls.Reload(); err != nil {
		d.log.Error("SIGHUP: the certificates are wrong, the old ones stay in force, and the log level too", "error", err)
		return
	}
	d.log.SetLevel(hclog.LevelFromString(file.LogLevel))
	d.log.Info("SIGHUP: certificates and log level taken", "level", file.LogLevel, "cert", d.file.TLS.Cert, "until", d.tls.Expiry(time.Now()).Certificate)
	d.warnOfExpiry()
}

// warnOfExpiry says in the log what of the certificates in use ends soon: a cluster whose certificates have all ended can't even elect.
func (d *daemon) warnOfExpiry() {
	if d.tls == nil {
		return
	}
	if concern := d.tls.Expiry(time.Now()).Concern; concern != "" {
		d.log.Warn("certificates end soon", "concern", concern)
	}
}

// needsRestart says whether the file was changed, since arbiterd was started, in more than what reload takes.
func (d *daemon) needsRestart(now *config.ArbiterFile) bool {
	then := *d.file
	then.LogLevel = now.LogLevel
	return !reflect.DeepEqual(&then, now)
}
