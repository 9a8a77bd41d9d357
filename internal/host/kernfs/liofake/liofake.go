// Package liofake imitates the configfs tree of the kernel's target (LIO) in
// memory, as its sources document it: which files an object comes with, what
// each accepts and when, which links and removals are refused. It counts every
// request that changes something.
package liofake

import (
	"path"
	"strings"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
)

// Options say which kernel is imitated.
type Options struct {
	// RTPI: portal groups have a relative target port identifier that can be
	// set (Linux 6.5 and later).
	RTPI bool
	// NoTransitioning: the access state "transitioning" is not taken.
	NoTransitioning bool
	// Lacks are names of attributes that this kernel does not have.
	Lacks []string
	// Absent are modules that this machine does not have.
	Absent []string
	// Ports are those that it could serve at: GIDs as 0x and 32 hex digits,
	// WWPNs with colons.
	Ports []string
	// RDMA are addresses of RDMA devices.
	RDMA []string
	// SCSI are the types of its SCSI devices by HOST:CHANNEL:ID:LUN.
	SCSI map[string]int
}

// Tree is LIO's tree. Its methods are kernfs.Tree's.
type Tree struct {
	imitation.Configfs
	k   *imitation.Objects
	opt Options

	restored map[string][]string // registrations by storage object
	sid      int
	sessions []Session
	modules  map[string]bool
	looped   map[string]int  // LUNs that a loopback portal group counts
	devices  map[string]bool // its LUNs: whether its SCSI host made a device of them
}

// New makes the tree of a kernel that has just loaded target_core_mod.
func New(opt Options) *Tree {
	t := &Tree{
		opt: opt, k: imitation.NewObjects(opt.Lacks), restored: map[string][]string{},
		modules: map[string]bool{}, looped: map[string]int{}, devices: map[string]bool{},
	}
	t.Configfs = imitation.NewConfigfs(t.k, imitation.Rules{
		Make: t.make, Removed: t.removed, Relate: t.relate,
		Secret: func(p string) bool { return strings.Contains(path.Base(p), "password") },
	})
	for _, dir := range []string{"core", "core/alua", "core/alua/lu_gps", "core/alua/lu_gps/default_lu_gp"} {
		t.k.Dir(dir)
	}
	t.k.File("version", "Target Engine Core ConfigFS Infrastructure v5.0 on Linux/x86_64 on 6.12.0", 'r', nil)
	t.k.File("dbroot", "/var/target", 'b', t.setDBRoot)
	return t
}
