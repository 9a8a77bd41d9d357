// Package library is the image files and ISO files of an array: those on its
// mounted file systems and in its data directory. It lists, copies, receives
// and deletes them, and never reaches outside of these.
package library

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
)

// DataName is what the data directory is called beside the file systems.
const DataName = "-"

// ISODir is the directory of a file system where ISO files are put.
const ISODir = "iso"

// Library is the files of an array.
type Library struct {
	// MountDir is where file systems are mounted, each in a directory of its
	// name; DataDir is where relative paths of devices are below.
	MountDir, DataDir string
	// InMemory says that a directory whose file system is in memory holds
	// nothing that outlives a reboot: files are not put there.
	InMemory bool
	Files    host.Files
	// Mounted says whether a file system is mounted at a directory (host.Files).
	Mounted func(dir string) (bool, error)
}

// File is one file.
type File struct {
	Path       string // absolute
	FileSystem string // its name; DataName for the data directory
	Kind       string // iso or image
	Size       int64
	Allocated  int64 // bytes of space that it takes
	Users      []string
}

// RefusedError says why something is not done as things are.
type RefusedError struct{ Why string }

// Error is the reason.
func (e *RefusedError) Error() string { return e.Why }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// root is a directory tree with files.
type root struct{ name, dir string }

// roots are the mounted file systems and the data directory.
func (l Library) roots() ([]root, error) {
	all := []root{{DataName, l.DataDir}}
	entries, err := os.ReadDir(l.MountDir)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the file systems: %w", err)
	}
	for _, e := range entries {
		dir := filepath.Join(l.MountDir, e.Name())
		mounted, err := l.Mounted(dir)
		if err != nil {
			return nil, err
		}
		if e.IsDir() && mounted {
			all = append(all, root{e.Name(), dir})
		}
	}
	return all, nil
}

// place is where a file is: a path below a root.
type place struct {
	dir, path string
	fs        string
}

// object is what is named to have a file deleted: image/FILESYSTEM/PATH.
func (p place) object() string { return "image/" + p.fs + "/" + p.path }

func (p place) full() string { return filepath.Join(p.dir, p.path) }

// locate finds the root that a path is below of. Paths are absolute, or
// relative to the data directory.
func (l Library) locate(path string) (place, error) {
	full := path
	if !filepath.IsAbs(path) {
		full = filepath.Join(l.DataDir, path)
	}
	full = filepath.Clean(full)
	roots, err := l.roots()
	if err != nil {
		return place{}, err
	}
	for _, r := range slices.Backward(roots) {
		below, err := filepath.Rel(r.dir, full)
		if err != nil || !filepath.IsLocal(below) || below == "." {
			continue
		}
		if r.name == DataName && config.Reserved(below) {
			return place{}, refuse("%s is where the array keeps its own state", path)
		}
		return place{dir: r.dir, path: below, fs: r.name}, nil
	}
	return place{}, refuse("%s is neither on a mounted file system (%s/NAME/...) nor in the data directory", path, l.MountDir)
}

// mostFiles and mostDepth bound what is looked through.
const (
	mostFiles = 10_000
	mostDepth = 5
)

// List lists the files, and what uses them.
func (l Library) List(doc *config.Document) ([]File, error) {
	roots, err := l.roots()
	if err != nil {
		return nil, err
	}
	var all []File
	var errs []error
	users := l.users(doc)
	for _, r := range roots {
		err := filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
			below, _ := filepath.Rel(r.dir, path)
			switch {
			case err != nil:
				errs = append(errs, err)
				return nil
			case below == ".":
				return nil
			case r.name == DataName && config.Reserved(below), strings.HasPrefix(e.Name(), "."), e.IsDir() && strings.Count(below, "/") >= mostDepth:
				if e.IsDir() {
					return fs.SkipDir
				}
				return nil
			case len(all) >= mostFiles:
				return fs.SkipAll
			case !e.Type().IsRegular():
				return nil
			}
			st, err := l.Files.Stat(path)
			if err != nil {
				return nil // it was deleted meanwhile
			}
			used := users[st.ID]
			if kind := kindOf(path); kind != "" || len(used) > 0 {
				all = append(all, File{Path: path, FileSystem: r.name, Kind: cmp.Or(kind, "image"), Size: st.Size, Allocated: st.Allocated, Users: used})
			}
			return nil
		})
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}

// kindOf tells what a file is by its name, "" if it is none of ours.
func kindOf(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".iso":
		return "iso"
	case ".img", ".raw", ".bin", ".vhd", ".vmdk", ".qcow2":
		return "image"
	}
	return ""
}

// users are the devices by the files that they use.
func (l Library) users(doc *config.Document) map[host.FileID][]string {
	users := map[host.FileID][]string{}
	for _, d := range doc.Devices {
		if d.Path == "" || d.Handler != config.FileIO && d.Handler != config.CDROM {
			continue
		}
		if st, err := l.Files.Stat(l.full(d.Path)); err == nil && !st.Block {
			users[st.ID] = append(users[st.ID], "device/"+d.Name)
		}
	}
	return users
}

func (l Library) full(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.DataDir, path)
}

// writtenBy names a device that initiators write to a file by.
func (l Library) writtenBy(doc *config.Document, full string) string {
	st, err := l.Files.Stat(full)
	if err != nil {
		return ""
	}
	for _, d := range doc.Devices {
		if d.Handler == config.FileIO && !d.ReadOnly && slices.Contains(l.users(&config.Document{Devices: []config.Device{d}})[st.ID], "device/"+d.Name) {
			return d.Name
		}
	}
	return ""
}

// room is how many bytes may be put on the file system of a directory: what is
// free but for a reserve, so that what is there can grow for a while.
func (l Library) room(dir string) (int64, error) {
	if l.InMemory {
		kind, err := l.Files.Volatile(dir)
		if err != nil {
			return 0, err
		}
		if kind != "" {
			return 0, refuse("what is in %s is in memory (%s) and gone at the next reboot: take a mounted file system, %s/NAME", dir, kind, l.MountDir)
		}
	}
	s, err := host.SpaceAt(dir)
	if err != nil {
		return 0, err
	}
	return max(0, s.Free-min(s.Total/20, mostReserve)), nil
}

// mostReserve is how much is left free at most.
const mostReserve = 10 << 30

// Copy copies a file. doc is asked for who uses it now, also before the copy
// gets its name.
func (l Library) Copy(ctx context.Context, doc func() *config.Document, from, to string, progress func(done, of int64)) error {
	source, err := l.locate(from)
	if err != nil {
		return err
	}
	if _, err := l.Files.Stat(source.full()); err != nil {
		return fmt.Errorf("copy %s: %w", from, notFound(err))
	}
	target, err := l.locate(to)
	if err != nil {
		return err
	}
	if hidden(target.path) {
		return refuse("%s: names that begin with a dot are for the array's own files", to)
	}
	most, err := l.room(target.dir)
	if err != nil {
		return err
	}
	o := host.CopyOptions{Most: most, Progress: progress}
	if d := l.writtenBy(doc(), source.full()); d != "" {
		o.ShareOnly = fmt.Sprintf("device %s serves it read-write", d)
	} else {
		o.Before = func() error {
			if d := l.writtenBy(doc(), source.full()); d != "" {
				return refuse("device %s serves %s read-write since it is copied", d, from)
			}
			return nil
		}
	}
	return exists(l.Files.Copy(ctx, source.dir, source.path, target.dir, target.path, o))
}

func hidden(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return strings.HasPrefix(s, ".") })
}

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no such file: %w", config.ErrNotFound)
	}
	return err
}

func exists(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; delete it first, or take another name", err)
	}
	return err
}

// Received is a file that was received.
type Received struct {
	Path, SHA256 string
	Size         int64
}

// Receive puts what r gives into a file of a file system: ISO files into its
// directory iso. length is how long it will be, -1 if nobody knows. sum is the
// SHA-256 that it must have, in hex, or "".
func (l Library) Receive(ctx context.Context, fileSystem, name string, r io.Reader, length int64, sum string) (Received, error) {
	if !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\\x00") || hidden(name) || len(name) > 200 {
		return Received{}, refuse("%q is no name of a file here: it has no slash and does not begin with a dot", name)
	}
	kind := kindOf(name)
	if kind == "" {
		return Received{}, refuse("%q: the name of a file that is received ends in .iso, .img, .raw, .bin, .vhd, .vmdk or .qcow2", name)
	}
	roots, err := l.roots()
	if err != nil {
		return Received{}, err
	}
	i := slices.IndexFunc(roots, func(r root) bool { return r.name == fileSystem })
	if i < 0 {
		return Received{}, fmt.Errorf("file system %q: %w; it must be mounted", fileSystem, config.ErrNotFound)
	}
	path := name
	switch {
	case kind == "iso":
		path = filepath.Join(ISODir, name)
	case fileSystem == DataName:
		path = filepath.Join("devices", name)
	}
	most, err := l.room(roots[i].dir)
	if err != nil {
		return Received{}, err
	}
	if length > most {
		return Received{}, refuse("%s has %s, and there is room for %s on file system %s", name, config.Size(length).Human(), config.Size(most).Human(), fileSystem)
	}
	n, got, err := l.Files.Receive(ctx, roots[i].dir, path, r, host.ReceiveOptions{Most: most, SHA256: strings.ToLower(sum)})
	if err != nil {
		return Received{}, exists(err)
	}
	return Received{Path: filepath.Join(roots[i].dir, path), SHA256: got, Size: n}, nil
}

// Deletion is a file that is to be deleted.
type Deletion struct {
	File
	Object string // what must be named for it
	place  place
}

// Deleting looks at a file that is to be deleted. One that a device uses is
// refused.
func (l Library) Deleting(doc *config.Document, path string) (Deletion, error) {
	p, err := l.locate(path)
	if err != nil {
		return Deletion{}, err
	}
	if hidden(p.path) {
		return Deletion{}, refuse("%s: snapshots are deleted with 'esos snapshot delete'", path)
	}
	st, err := l.Files.Stat(p.full())
	if err != nil {
		return Deletion{}, fmt.Errorf("delete %s: %w", path, notFound(err))
	}
	if used := l.users(doc)[st.ID]; len(used) > 0 {
		return Deletion{}, refuse("%s is used by %s; delete that first, or take it out of the drive", path, strings.Join(used, ", "))
	}
	return Deletion{File: File{Path: p.full(), FileSystem: p.fs, Kind: kindOf(path), Size: st.Size, Allocated: st.Allocated}, Object: p.object(), place: p}, nil
}

// Delete deletes a file.
func (l Library) Delete(d Deletion) error { return l.Files.RemoveBelow(d.place.dir, d.place.path) }
