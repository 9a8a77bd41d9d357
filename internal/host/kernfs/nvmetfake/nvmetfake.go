// Package nvmetfake imitates the configfs tree of the kernel's NVMe target in
// memory, as drivers/nvme/target/configfs.c and core.c have it: which files an
// object comes with, what each accepts and when, which links and removals are
// refused. Hosts connect to it, and are told what real ones are. It counts
// every request that changes something.
package nvmetfake

import (
	"strings"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
)

// Options say which kernel is imitated.
type Options struct {
	// NoAuth: built without CONFIG_NVME_TARGET_AUTH.
	NoAuth bool
	// NoDebug: it tells of no controllers (before Linux 6.11).
	NoDebug bool
	// Lacks are names of attributes that this kernel does not have.
	Lacks []string
	// Foreign are addresses that are not this machine's.
	Foreign []string
}

// Tree is nvmet's tree. Its methods are kernfs.Tree's.
type Tree struct {
	imitation.Configfs
	k   *imitation.Objects
	opt Options

	discovered map[string]bool  // subsystems that a host has seen
	sizes      map[string]int64 // of enabled namespaces, by their directory
	hosts      []*Connection
	next       int // controller
	made       int // namespaces so far
}

// New makes the tree of a kernel that has just loaded nvmet.
func New(opt Options) *Tree {
	t := &Tree{opt: opt, k: imitation.NewObjects(opt.Lacks), discovered: map[string]bool{}, sizes: map[string]int64{}}
	t.Configfs = imitation.NewConfigfs(t.k, imitation.Rules{
		Make: t.make, Removed: t.removed, Relate: t.relate,
		Secret: func(p string) bool { return strings.HasSuffix(p, "_key") },
	})
	for _, dir := range []string{"hosts", "ports", "subsystems"} {
		t.k.Dir(dir)
	}
	t.k.File("discovery_nqn", discoveryNQN, 'b', nil)
	return t
}

const discoveryNQN = "nqn.2014-08.org.nvmexpress.discovery"
