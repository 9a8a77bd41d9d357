package storagefake

import (
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Files are the image files on the machine's mounted file systems, and its
// block devices, with the methods of host.Files. A file below no mounted file
// system is in memory.
type Files struct{ M *Machine }

// images are the sizes of the files by their paths on the file system that is
// mounted above a path, and what that is mounted at; locked.
func (m *Machine) images(p string) (map[string]int64, string) {
	for _, n := range m.order {
		d := m.devs[n]
		for _, at := range d.Mounts {
			if strings.HasPrefix(p, at+"/") {
				list, ok := d.Super["images"].(map[string]int64)
				if !ok {
					list = map[string]int64{}
					d.Super["images"] = list
				}
				return list, at
			}
		}
	}
	if m.memory == nil {
		m.memory = map[string]int64{}
	}
	return m.memory, ""
}

// Stat implements vdisk.Files.
func (f Files) Stat(p string) (host.FileInfo, error) {
	m := f.M
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.find(p); d != nil && strings.HasPrefix(p, "/") {
		return host.FileInfo{Path: p, Size: d.Size, Allocated: d.Size, Block: true, ID: host.FileID{Device: number(d.Name)}}, nil
	}
	list, at := m.images(p)
	size, ok := list[strings.TrimPrefix(p, at)]
	if !ok {
		return host.FileInfo{}, &fs.PathError{Op: "look at", Path: p, Err: fs.ErrNotExist}
	}
	return host.FileInfo{Path: p, Size: size, Allocated: size / 2, ID: host.FileID{Device: number(at), Inode: number(p)}}, nil
}

func number(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64() | 1
}

// Create implements vdisk.Files.
func (f Files) Create(_ context.Context, p string, size int64, _ bool, _ func(int64)) error {
	return f.M.change("create image "+p, func() error {
		list, at := f.M.images(p)
		if _, ok := list[strings.TrimPrefix(p, at)]; ok {
			return &fs.PathError{Op: "create", Path: p, Err: fs.ErrExist}
		}
		list[strings.TrimPrefix(p, at)] = size
		return nil
	})
}

// Grow implements vdisk.Files.
func (f Files) Grow(_ context.Context, p string, size int64, _ bool, _ func(int64)) error {
	return f.M.change("grow image "+p, func() error {
		list, at := f.M.images(p)
		if _, ok := list[strings.TrimPrefix(p, at)]; !ok {
			return &fs.PathError{Op: "grow", Path: p, Err: fs.ErrNotExist}
		}
		list[strings.TrimPrefix(p, at)] = max(size, list[strings.TrimPrefix(p, at)])
		return nil
	})
}

// Remove implements vdisk.Files.
func (f Files) Remove(p string) error {
	return f.M.change("remove image "+p, func() error {
		list, at := f.M.images(p)
		if _, ok := list[strings.TrimPrefix(p, at)]; ok {
			f.M.lost = append(f.M.lost, fmt.Sprintf("file %s", p))
			delete(list, strings.TrimPrefix(p, at))
		}
		return nil
	})
}

// Volatile implements vdisk.Files.
func (f Files) Volatile(dir string) (string, error) {
	f.M.mu.Lock()
	defer f.M.mu.Unlock()
	if _, at := f.M.images(dir + "/x"); at == "" {
		return "tmpfs", nil
	}
	return "", nil
}
