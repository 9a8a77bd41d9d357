package storagefake

import (
	"context"
	"hash/fnv"
	"io/fs"
	"path"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Images are the image files in the machine's file systems, as host.Files has
// them. Where nothing is mounted, a directory is in memory.
type Images struct{ *Machine }

// locate finds the file system that a path is on, and its place there; locked.
func (m *Machine) locate(p string) (*Device, string) {
	for dir := path.Dir(p); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if d := m.mountedAt(dir); d != nil {
			return d, strings.TrimPrefix(p, dir+"/")
		}
	}
	return nil, ""
}

func number(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

// Stat implements vdisk.Files.
func (i Images) Stat(p string) (host.FileInfo, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if d := i.find(p); d != nil {
		return host.FileInfo{Path: p, Size: d.Size, Allocated: d.Size, Block: true, ID: host.FileID{Device: number(d.Name)}}, nil
	}
	if d, name := i.locate(p); d != nil {
		if size, ok := d.Super[fileSystemKey].(*fileSystem).files[name]; ok {
			return host.FileInfo{Path: p, Size: size, Allocated: size / 4, ID: host.FileID{Device: number(d.Name), Inode: number(name)}}, nil
		}
	}
	return host.FileInfo{}, &fs.PathError{Op: "look at", Path: p, Err: fs.ErrNotExist}
}

// Create implements vdisk.Files. A file made where nothing is mounted would be
// in memory: in the imitation that is an error.
func (i Images) Create(_ context.Context, p string, size int64, _ bool, progress func(int64)) error {
	if _, err := i.Stat(p); err == nil {
		return &fs.PathError{Op: "create", Path: p, Err: fs.ErrExist}
	}
	if err := i.Store(p, size); err != nil {
		return err
	}
	if progress != nil {
		progress(size)
	}
	return nil
}

// Grow implements vdisk.Files.
func (i Images) Grow(_ context.Context, p string, size int64, _ bool, progress func(int64)) error {
	fi, err := i.Stat(p)
	if err != nil {
		return err
	}
	if fi.Size >= size {
		return nil
	}
	if err := i.Store(p, size); err != nil {
		return err
	}
	if progress != nil {
		progress(size)
	}
	return nil
}

// Remove implements vdisk.Files.
func (i Images) Remove(p string) error {
	return i.change("remove "+p, func() error {
		if d, name := i.locate(p); d != nil {
			delete(d.Super[fileSystemKey].(*fileSystem).files, name)
		}
		delete(i.files, p)
		return nil
	})
}

// Volatile implements vdisk.Files.
func (i Images) Volatile(dir string) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if d, _ := i.locate(dir + "/x"); d != nil {
		return "", nil
	}
	return "overlay", nil
}
