package medium

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// mke2fsConfig takes the place of /etc/mke2fs.conf, which differs from machine
// to machine. metadata_csum_seed: a copy of the medium gets a UUID of its own
// by a few bytes.
const mke2fsConfig = `[defaults]
	base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
	default_mntopts = acl,user_xattr
	enable_periodic_fsck = 0
	blocksize = 4096
	inode_size = 256
	inode_ratio = 16384
[fs_types]
	ext4 = {
		features = has_journal,extent,huge_file,flex_bg,metadata_csum,metadata_csum_seed,64bit,dir_nlink,extra_isize
	}
`

// extFS is one ext4 file system to make.
type extFS struct {
	part    Partition
	journal int // MiB
	inodes  int // 0: by size
	// fill writes what is in it; nil leaves it empty.
	fill func(*tar.Writer) error
}

// maker makes file systems on one target.
type maker struct {
	plan   Plan
	target string
	work   string // a directory for small files
}

// command is a tool's, with nothing of the machine's in its way.
func (m maker) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return m.plan.toolCommand(ctx, name, m.work, args...)
}

func (p Plan) toolCommand(ctx context.Context, name, work string, args ...string) *exec.Cmd {
	cmd := p.Tools.Command(ctx, name, args...)
	env := cmd.Env
	if env == nil {
		env = os.Environ()
	}
	cmd.Env = append(env, "LC_ALL=C", "TZ=UTC", "SOURCE_DATE_EPOCH="+strconv.FormatInt(p.Time, 10),
		"MKE2FS_CONFIG="+filepath.Join(work, "mke2fs.conf"), "MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1")
	return cmd
}

// ext4 runs mke2fs. The tree comes in as an archive: owners, times and order
// are then ours, not those of a directory on the building machine.
func (m maker) ext4(ctx context.Context, fs extFS) error {
	id := m.plan.Identity
	args := []string{"-q", "-F", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-L", fs.part.Label,
		"-U", id.UUID("fs/" + fs.part.Label).String(), "-J", "size=" + strconv.Itoa(fs.journal),
		// All tables are written now: what is lazy depends on the kernel that
		// runs, and leaves work to the first mount.
		"-E", fmt.Sprintf("offset=%d,hash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard",
			fs.part.Start, id.UUID("hash/"+fs.part.Label))}
	if fs.inodes > 0 {
		args = append(args, "-N", strconv.Itoa(fs.inodes))
	}
	var in *io.PipeReader
	written := make(chan error, 1)
	if fs.fill == nil {
		written <- nil
	} else {
		args = append(args, "-d", "-")
		var out *io.PipeWriter
		in, out = io.Pipe()
		go func() {
			w := tar.NewWriter(out)
			err := fs.fill(w)
			if err == nil {
				err = w.Close()
			}
			out.CloseWithError(err)
			written <- err
		}()
	}
	cmd := m.command(ctx, "mke2fs", append(args, m.target, strconv.FormatInt(fs.part.Size/4096, 10))...)
	if in != nil {
		cmd.Stdin = in
	}
	err := run(cmd, "mke2fs")
	if in != nil {
		// It may have ended before all was read.
		in.CloseWithError(errors.New("mke2fs reads no more"))
	}
	if werr := <-written; werr != nil && err == nil {
		err = werr
	} else if werr != nil && !errors.Is(werr, io.ErrClosedPipe) && !strings.Contains(werr.Error(), "mke2fs reads no more") {
		err = fmt.Errorf("%w (%w)", werr, err)
	}
	if err != nil {
		return fmt.Errorf("make the file system %s on %s: %w", fs.part.Label, m.target, err)
	}
	return nil
}

// fatFile is a file to put into the FAT file system.
type fatFile struct{ from, to string }

// fat makes the FAT file system and fills it. Directories come before what is
// in them.
func (m maker) fat(ctx context.Context, part Partition, dirs []string, files []fatFile) error {
	fail := func(err error) error {
		return fmt.Errorf("make the file system %s on %s: %w", part.Label, m.target, err)
	}
	mkfs := m.command(ctx, "mkfs.vfat", "-I", "--invariant", "-F", "32", "-s", strconv.Itoa(fatCluster(part.Size)),
		"-n", part.Label, "-i", fmt.Sprintf("%08x", m.plan.Identity.volume()), "-h", strconv.FormatInt(part.Start/SectorSize, 10),
		"--offset", strconv.FormatInt(part.Start/SectorSize, 10), m.target, strconv.FormatInt(part.Size/1024, 10))
	if err := run(mkfs, "mkfs.vfat"); err != nil {
		return fail(err)
	}
	image := fmt.Sprintf("%s@@%d", m.target, part.Start)
	for _, dir := range dirs {
		if err := run(m.command(ctx, "mmd", "-i", image, "::/"+dir), "mmd"); err != nil {
			return fail(err)
		}
	}
	for _, f := range files {
		if err := run(m.command(ctx, "mcopy", "-i", image, f.from, "::/"+f.to), "mcopy "+f.to); err != nil {
			return fail(err)
		}
	}
	return nil
}

// fatCluster is the sectors of a cluster: 4 KiB where that leaves as many
// clusters as FAT32 must have (65525), less in a small file system.
func fatCluster(size int64) int {
	for n := 8; n > 1; n /= 2 {
		if size/int64(n*SectorSize) > 66000 {
			return n
		}
	}
	return 1
}

// addFile puts a file of the host into the archive.
func addFile(w *tar.Writer, p Plan, from, to string, mode int64, copied func(n int64)) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: to, Size: st.Size(), Mode: mode, ModTime: p.time(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	buf := make([]byte, mib)
	for {
		n, err := f.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if copied != nil {
				copied(int64(n))
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", from, err)
		}
	}
}

func addDir(w *tar.Writer, p Plan, name string, mode int64) error {
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: p.time(), Format: tar.FormatPAX})
}

// addTree puts what is below dir into the archive, in the order of names.
// Owner is root: who built the image is nobody on the appliance.
func addTree(w *tar.Writer, p Plan, dir, to string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(filepath.Join(to, rel))
		st, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return addDir(w, p, name, int64(st.Mode().Perm()))
		case st.Mode().IsRegular():
			return addFile(w, p, path, name, int64(st.Mode().Perm()), nil)
		case st.Mode()&os.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: link, Mode: 0o777, ModTime: p.time(), Format: tar.FormatPAX})
		}
		return fmt.Errorf("first settings: %s is neither a file, a directory nor a symbolic link", path)
	})
}

func joined(words []string) string { return strings.Join(words, " ") }
