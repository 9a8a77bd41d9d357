package storagefake

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
)

// fileSystem is the superblock of a file system, and what lies in it.
type fileSystem struct {
	kind, uuid, label string
	span              int64                        // bytes of the device
	files             map[string]int64             // sizes by the path below the mount point
	attributes        map[string]map[string]string // extended ones, by the same
	options           string                       // it is mounted with
	readOnly          bool                         // by the kernel, after an error
	damaged           bool                         // what a check finds that it does not repair
}

const fileSystemKey = "filesystem"

// mkfsTools are what makes, checks and grows file systems.
func mkfsTools(m *Machine) {
	for _, kind := range []string{"xfs", "ext4", "btrfs"} {
		m.tools["mkfs."+kind] = func(m *Machine, args []string, _ string) (string, error) { return mkfs(m, kind, args) }
	}
	m.tools["e2fsck"] = e2fsck
	m.tools["xfs_repair"] = xfsRepair
	m.tools["xfs_growfs"] = xfsGrow
	m.tools["dumpe2fs"] = dumpe2fs
	m.tools["resize2fs"] = resize2fs
	m.tools["btrfs"] = btrfs
}

// mkfs makes a file system. Of the three, only mkfs.ext4 overwrites what has a
// signature if nobody sits at a terminal; what has none, all of them do.
func mkfs(m *Machine, kind string, args []string) (string, error) {
	name, p := "mkfs."+kind, args[len(args)-1]
	d := m.find(p)
	if d == nil {
		return "", fails(name, 1, "%s: No such file or directory", p)
	}
	if why := m.busy(d); why != "" {
		return "", fails(name, 1, "%s contains a mounted filesystem: %s", p, why)
	}
	if slices.ContainsFunc(d.Content, func(c block.Content) bool { return c.Type != block.Unknown }) && kind != "ext4" {
		return "", fails(name, 1, "%s appears to contain an existing filesystem (%s).\nUse the -f option to force overwrite.", p, d.Content[0].Type)
	}
	if kind == "xfs" && d.Size < 300<<20 {
		return "", fails(name, 1, "Filesystem must be larger than 300MB.")
	}
	uuid, label := flagged(args, "-U"), flagged(args, "-L")
	for o := range strings.SplitSeq(flagged(args, "-m"), ",") {
		if u, ok := strings.CutPrefix(o, "uuid="); ok {
			uuid = u
		}
	}
	if kind == "xfs" && len(label) > 12 {
		return "", fails(name, 1, "Invalid value %s for -L option. Value is too long.", label)
	}
	m.overwrite(d)
	d.Content = []block.Content{{Type: kind, Label: label, UUID: uuid}}
	d.Owner = "filesystem/" + label
	d.Super[fileSystemKey] = &fileSystem{kind: kind, uuid: uuid, label: label, span: d.Size - d.Size%4096, files: map[string]int64{}}
	return "", nil
}

// flagged is the word after a flag.
func flagged(args []string, flag string) string {
	if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

// on is the file system of a kind on a device, or mounted at a directory.
func (m *Machine) on(p, kind string) (*Device, *fileSystem) {
	d := m.find(p)
	if d == nil {
		d = m.mountedAt(p)
	}
	if d == nil {
		return nil, nil
	}
	fs, ok := d.Super[fileSystemKey].(*fileSystem)
	if !ok || fs.kind != kind {
		return d, nil
	}
	return d, fs
}

func e2fsck(m *Machine, args []string, _ string) (string, error) {
	p := args[len(args)-1]
	d, fs := m.on(p, "ext4")
	switch {
	case fs == nil:
		return "", fails("e2fsck", 8, "Bad magic number in super-block while trying to open %s", p)
	case len(d.Mounts) > 0:
		return "", fails("e2fsck", 8, "%s is mounted.", p)
	case fs.damaged:
		return "", fails("e2fsck", 4, "%s: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.", p)
	}
	return "", nil
}

func xfsRepair(m *Machine, args []string, _ string) (string, error) {
	if _, fs := m.on(args[len(args)-1], "xfs"); fs == nil || fs.damaged {
		return "", fails("xfs_repair", 1, "bad primary superblock")
	}
	return "", nil
}

func xfsGrow(m *Machine, args []string, _ string) (string, error) {
	p := args[len(args)-1]
	d, fs := m.on(p, "xfs")
	if fs == nil || len(d.Mounts) == 0 {
		return "", fails("xfs_growfs", 1, "%s is not a mounted XFS filesystem", p)
	}
	if !slices.Contains(args, "-n") {
		if fs.readOnly {
			return "", fails("xfs_growfs", 1, "XFS_IOC_FSGROWFSDATA xfsctl failed: Read-only file system")
		}
		fs.span = d.Size - d.Size%4096
	}
	return fmt.Sprintf("meta-data=/dev/%s isize=512 agcount=4\ndata     =                       bsize=4096   blocks=%d, imaxpct=25\n", d.Name, fs.span/4096), nil
}

func dumpe2fs(m *Machine, args []string, _ string) (string, error) {
	p := args[len(args)-1]
	_, fs := m.on(p, "ext4")
	if fs == nil {
		return "", fails("dumpe2fs", 1, "Bad magic number in super-block while trying to open %s", p)
	}
	return fmt.Sprintf("Filesystem state:         clean\nBlock count:              %d\nBlock size:               4096\n", fs.span/4096), nil
}

func resize2fs(m *Machine, args []string, _ string) (string, error) {
	p := args[len(args)-1]
	d, fs := m.on(p, "ext4")
	if fs == nil {
		return "", fails("resize2fs", 1, "Bad magic number in super-block while trying to open %s", p)
	}
	fs.span = d.Size - d.Size%4096
	return "", nil
}

func btrfs(m *Machine, args []string, _ string) (string, error) {
	p := args[len(args)-1]
	d, fs := m.on(p, "btrfs")
	if fs == nil || len(d.Mounts) == 0 {
		return "", fails("btrfs", 1, "ERROR: not a btrfs filesystem: %s", p)
	}
	if slices.Contains(args, "resize") {
		fs.span = d.Size - d.Size%4096
		return "", nil
	}
	return fmt.Sprintf("Label: %q  uuid: %s\n\tTotal devices 1 FS bytes used 147456\n\tdevid    1 size %d used 92274688 path /dev/%s\n", fs.label, fs.uuid, fs.span, d.Name), nil
}
