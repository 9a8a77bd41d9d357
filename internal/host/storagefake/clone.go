package storagefake

import (
	"context"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// attributes are the extended attributes of the files on a file system, by
// their paths on it; locked.
func (m *Machine) attributes(p string) map[string]map[string]string {
	for _, n := range m.order {
		d := m.devs[n]
		for _, at := range d.Mounts {
			if strings.HasPrefix(p, at+"/") {
				list, ok := d.Super["attributes"].(map[string]map[string]string)
				if !ok {
					list = map[string]map[string]string{}
					d.Super["attributes"] = list
				}
				return list
			}
		}
	}
	return map[string]map[string]string{}
}

// FileSystem implements host.Files'.
func (f Images) FileSystem(p string) (string, error) {
	f.Machine.mu.Lock()
	defer f.Machine.mu.Unlock()
	return f.Machine.fileSystem(p), nil
}

func (m *Machine) fileSystem(p string) string {
	for _, n := range m.order {
		for _, at := range m.devs[n].Mounts {
			if (p == at || strings.HasPrefix(p, at+"/")) && len(m.devs[n].Content) > 0 {
				return m.devs[n].Content[0].Type
			}
		}
	}
	return "tmpfs"
}

// Clone implements host.Files'.
func (f Images) Clone(ctx context.Context, from, to string, attributes map[string]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.Machine.change("clone "+from+" to "+to, func() error {
		list, at := f.Machine.images(from)
		size, there := list[strings.TrimPrefix(from, at)]
		other, otherAt := f.Machine.images(to)
		_, taken := other[strings.TrimPrefix(to, otherAt)]
		kind := f.Machine.fileSystem(from)
		switch {
		case !there:
			return &fs.PathError{Op: "open", Path: from, Err: fs.ErrNotExist}
		case taken:
			return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
		case at != otherAt || kind != "xfs" && kind != "btrfs":
			return fails("clone", 1, "operation not supported")
		}
		other[strings.TrimPrefix(to, otherAt)] = size
		f.Machine.attributes(to)[strings.TrimPrefix(to, otherAt)] = maps.Clone(attributes)
		return nil
	})
}

// Attributes implements host.Files'.
func (f Images) Attributes(p string) (map[string]string, error) {
	f.Machine.mu.Lock()
	defer f.Machine.mu.Unlock()
	_, at := f.Machine.images(p)
	return maps.Clone(f.Machine.attributes(p)[strings.TrimPrefix(p, at)]), nil
}

// Names implements host.Files'.
func (f Images) Names(dir string) ([]string, error) {
	f.Machine.mu.Lock()
	defer f.Machine.mu.Unlock()
	list, at := f.Machine.images(dir + "/x")
	var names []string
	for p := range list {
		if path.Dir(at+p) == dir {
			names = append(names, path.Base(p))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Linux is a machine whose image files are on its mounted file systems.
type Linux struct {
	*Machine
	Files Images
}

// Real is a path without symbolic links, "" if it leads nowhere.
func (l Linux) Real(p string) string {
	if real := l.Machine.Real(p); real != "" {
		return real
	}
	if _, err := l.Files.Stat(p); err == nil {
		return p
	}
	if names, _ := l.Files.Names(p); len(names) > 0 {
		return p
	}
	return ""
}
