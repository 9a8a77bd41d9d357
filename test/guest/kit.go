package guest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Kit is the files of some packages and a kernel, for tests that put a root
// and an initramfs of their own together. Nobody writes to it.
type Kit struct {
	Root    string // what the packages hold
	Kernel  string // file
	Release string // of the kernel
	stage   string // the kernel's package
}

// kitRecipe is raised by hand when a change of this code changes kits.
const kitRecipe = "1"

// Unpack returns the files of packages, and of what they depend on, keeping
// them in cache as Build does. One of the packages has to be a kernel.
func Unpack(ctx context.Context, cache string, packages []string, progress io.Writer) (Kit, error) {
	dir := filepath.Join(cache, "guest")
	if err := os.MkdirAll(filepath.Join(dir, "debs", "partial"), 0o755); err != nil {
		return Kit{}, fmt.Errorf("unpack packages: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return Kit{}, fmt.Errorf("unpack packages: %w", err)
	}
	defer unlock()
	apt := aptCache{dir: dir}
	debs, err := apt.resolve(ctx, packages)
	if err != nil {
		return Kit{}, fmt.Errorf("unpack packages: %w", err)
	}
	h := sha256.New()
	fmt.Fprintln(h, kitRecipe, excluded, skipped)
	for _, d := range debs {
		fmt.Fprintln(h, d.file)
	}
	final := filepath.Join(dir, "kit-"+hex.EncodeToString(h.Sum(nil)[:8]))
	if _, err := os.Stat(final); err == nil {
		return kitIn(final)
	}
	fmt.Fprintf(progress, "guest: %d packages, %d MB\n", len(debs), totalSize(debs)>>20)
	if err := apt.download(ctx, packages); err != nil {
		return Kit{}, fmt.Errorf("unpack packages: %w", err)
	}
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return Kit{}, fmt.Errorf("unpack packages: %w", err)
	}
	defer os.RemoveAll(work)
	r := root{dir: filepath.Join(work, "kit", "root"), stage: filepath.Join(work, "kit", "kernel")}
	if err := r.unpack(ctx, apt, debs); err != nil {
		return Kit{}, err
	}
	if _, _, err := r.prepareKernel(ctx); err != nil {
		return Kit{}, err
	}
	if err := os.Rename(filepath.Join(work, "kit"), final); err != nil {
		return Kit{}, fmt.Errorf("unpack packages: %w", err)
	}
	return kitIn(final)
}

func kitIn(dir string) (Kit, error) {
	k := Kit{Root: filepath.Join(dir, "root"), stage: filepath.Join(dir, "kernel")}
	var err error
	k.Kernel, k.Release, err = root{dir: k.Root, stage: k.stage}.kernel()
	return k, err
}

// CopyModules copies modules and what they need into the tree at dir, and
// makes the lists of depmod there.
func (k Kit) CopyModules(ctx context.Context, dir string, names []string) error {
	return root{dir: k.Root, stage: k.stage}.copyModules(ctx, dir, k.Release, names)
}

// WriteInitramfs writes the tree at dir as an archive that the kernel takes,
// not compressed, with a console for the first process.
func WriteInitramfs(dir, name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &cpioWriter{w: f}
	var paths []string
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		if err := w.add(path, strings.TrimPrefix(path, dir+"/")); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	w.node("dev/console", 5, 1)
	if err := w.close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.Close()
}

// add copies a file, a directory or a link.
func (c *cpioWriter) add(path, name string) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	switch st.Mode().Type() {
	case fs.ModeDir:
		c.dir(name)
	case fs.ModeSymlink:
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		c.link(name, to)
	case 0:
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c.file(name, int(st.Mode().Perm()), data)
	}
	return nil
}
