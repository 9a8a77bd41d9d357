package storagefake

import (
	"context"
	"io/fs"
	"maps"
	"path"
	"slices"
)

// at finds the file system that a path is on, and its place there; locked.
func (i Images) at(p string) (*fileSystem, string) {
	d, name := i.locate(p)
	if d == nil {
		return nil, ""
	}
	return d.Super[fileSystemKey].(*fileSystem), name
}

// FileSystem implements snapshot.Files.
func (i Images) FileSystem(p string) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if f, _ := i.at(p); f != nil {
		return f.kind, nil
	}
	return "overlay", nil
}

// Clone implements snapshot.Files.
func (i Images) Clone(ctx context.Context, from, to string, attributes map[string]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return i.change("clone "+from+" to "+to, func() error {
		f, old := i.at(from)
		g, name := i.at(to)
		if f == nil || f != g || f.kind != "xfs" && f.kind != "btrfs" {
			return fails("clone", 1, "operation not supported")
		}
		size, there := f.files[old]
		if !there {
			return &fs.PathError{Op: "open", Path: from, Err: fs.ErrNotExist}
		}
		if _, taken := f.files[name]; taken {
			return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
		}
		if f.attributes == nil {
			f.attributes = map[string]map[string]string{}
		}
		f.files[name], f.attributes[name] = size, maps.Clone(attributes)
		i.files[to] = nil
		return nil
	})
}

// Attributes implements snapshot.Files.
func (i Images) Attributes(p string) (map[string]string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f, name := i.at(p)
	if f == nil {
		return nil, nil
	}
	return maps.Clone(f.attributes[name]), nil
}

// Names implements snapshot.Files.
func (i Images) Names(dir string) ([]string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f, below := i.at(dir + "/x")
	if f == nil {
		return nil, nil
	}
	var names []string
	for p := range f.files {
		if path.Dir(p) == path.Dir(below) {
			names = append(names, path.Base(p))
		}
	}
	slices.Sort(names)
	return names, nil
}
