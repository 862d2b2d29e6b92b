package arbiter

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

// markFile holds what an arbiter has promised, beside the folder of its Raft log.
const (
	markFile   = "cluster.json"
	markFormat = 1
	markMode   = 0o600
)

// mark is what an arbiter has on disk about its cluster.
type mark struct {
	Format    int             `json:"format"`
	Node      failover.NodeID `json:"node"`
	ClusterID string          `json:"cluster_id"`
	// ClusterName is the cluster of the arbiters' certificates. It is written once another arbiter has accepted this one's; until then, and
	// without TLS, it is empty.
	ClusterName string         `json:"cluster_name,omitempty"`
	State       BootstrapState `json:"state"`
	ListHash    string         `json:"list_hash"`
	List        string         `json:"list"`
}

// markKeeper keeps an arbiter's mark. Write returns once it is on disk, whole.
type markKeeper interface {
	read() (m mark, found bool, err error)
	write(m mark) error
}

// ErrBadMark says that the mark can't be read, or does not fit what else is on disk.
var ErrBadMark = errors.New("bad cluster mark")

// fileMark keeps the mark in a folder.
type fileMark struct {
	folder string
}

func (f fileMark) path() string { return filepath.Join(f.folder, markFile) }

func (f fileMark) read() (mark, bool, error) {
	data, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, false, nil
	}
	if err != nil {
		return mark{}, false, fmt.Errorf("read the cluster mark: %w", err)
	}
	var m mark
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return mark{}, false, fmt.Errorf("%w: %s can't be read (%w); don't repair or restore it: %s", ErrBadMark, f.path(), err, fsm.LostArbiter)
	}
	if m.Format != markFormat {
		return mark{}, false, fmt.Errorf("%w: %s has format %d, and this version knows %d; start the version that wrote it", ErrBadMark, f.path(), m.Format, markFormat)
	}
	if m.Node == "" || m.ClusterID == "" || m.State != BootstrapPrepared && m.State != BootstrapMember {
		return mark{}, false, fmt.Errorf("%w: %s lacks a node, a cluster or a known state; don't repair or restore it: %s", ErrBadMark, f.path(), fsm.LostArbiter)
	}
	return m, true, nil
}

func (f fileMark) write(m mark) error {
	m.Format = markFormat
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the cluster mark: %w", err)
	}
	if err := pki.WriteFile(f.path(), append(data, '\n'), markMode, true); err != nil {
		return storageError(f.path(), err)
	}
	return nil
}

// Kept is what an arbiter keeps in its data directory, and must be able to read and write with all that is below.
func Kept(data string) []string {
	return []string{fileMark{folder: data}.path(), filepath.Join(data, raftFolder)}
}

// CheckData refuses a data directory that is of another arbiter, or of another cluster than the certificate, before anything is opened or
// started. One without a mark is new.
func CheckData(folder string, node failover.NodeID, certificate *pki.Reloader) error {
	m, found, err := fileMark{folder: folder}.read()
	if err != nil || !found {
		return err
	}
	return m.fits(folder, node, certificate)
}

// fits refuses the mark of another arbiter or of another cluster, as found in a folder. The certificate is nil without TLS.
func (m mark) fits(folder string, node failover.NodeID, certificate *pki.Reloader) error {
	if m.Node != node {
		return fmt.Errorf("%w: by %s the data directory is of arbiter %s, and this is %s; "+
			"configure the directory of %s as `data`, or an empty one if it never ran",
			ErrBadMark, fileMark{folder}.path(), m.Node, node, node)
	}
	if certificate == nil || m.ClusterName == "" || m.ClusterName == certificate.Identity().Cluster {
		return nil
	}
	return fmt.Errorf("the data directory %s %w: it is of cluster %q, and %s is a certificate of cluster %q; check which of the two is meant, and issue the certificate from the authority of its cluster: arbiterctl pki issue --role arbiter %s",
		folder, ErrOtherClusterID, m.ClusterName, certificate.Files().Certificate, certificate.Identity().Cluster, node)
}

// goesWith refuses a mark and a storage of which one is lost while the other is there, or is of another cluster: what the arbiter voted for can't
// be known then. An arbiter that is only prepared has never voted, so its log may be missing.
func (m mark) goesWith(folder string, found bool, held contents) error {
	file := fileMark{folder}.path()
	switch {
	case !found && !held.empty:
		return fmt.Errorf("%w: %s is gone, which says whose the Raft log in %s is; don't repair or restore it: %s",
			ErrBadMark, file, held.path, fsm.LostArbiter)
	case !found:
		return nil
	case held.clusterID != "" && held.clusterID != m.ClusterID:
		return fmt.Errorf("%w: the Raft log in %s %w: %s, and not %s as %s says; configure as `data` a directory whose parts belong together",
			ErrBadMark, held.path, ErrOtherClusterID, held.clusterID, m.ClusterID, file)
	case m.State == BootstrapMember && held.clusterID == "":
		return fmt.Errorf("%w: by %s this arbiter is a member of cluster %s, and its Raft log %s is gone, with its votes; don't repair or restore it: %s",
			ErrBadMark, file, m.ClusterID, held.path, fsm.LostArbiter)
	}
	return nil
}

// goesWithoutLog is goesWith for a Raft folder in which there is no log: snapshots at most. Those that can't be read are not taken for none.
func (m mark) goesWithoutLog(data string, found bool) error {
	folder := filepath.Join(data, raftFolder)
	entries, err := os.ReadDir(filepath.Join(folder, snapshotsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("whether this arbiter has been part of a cluster is not known (%w): make its snapshots readable, and start it again", err)
	}
	return m.goesWith(data, found, contents{path: filepath.Join(folder, logFile), empty: len(entries) == 0})
}

// describeList gives a list of arbiters as text that is the same for the same list, in whatever order it was written.
func describeList(list []Peer) string {
	lines := make([]string, len(list))
	for i, peer := range list {
		lines[i] = fmt.Sprintf("%s (raft %s, grpc %s)", peer.Node, peer.Raft, peer.GRPC)
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func hashList(described string) string {
	sum := sha256.Sum256([]byte(described))
	return hex.EncodeToString(sum[:16])
}

// checkList refuses a list in which this arbiter is missing, or two arbiters share a name or an address.
func checkList(self failover.NodeID, list []Peer) error {
	seen := map[string]failover.NodeID{}
	for _, peer := range list {
		for _, key := range []string{"name " + string(peer.Node), "raft address " + peer.Raft, "grpc address " + peer.GRPC} {
			if other, twice := seen[key]; twice {
				return fmt.Errorf("check the list of arbiters: %s and %s have the same %s", other, peer.Node, key)
			}
			seen[key] = peer.Node
		}
	}
	if _, ok := seen["name "+string(self)]; !ok {
		return fmt.Errorf("check the list of arbiters: this one, %s, is not on it: %s", self, describeList(list))
	}
	return nil
}
