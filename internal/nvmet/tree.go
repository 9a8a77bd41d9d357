package nvmet

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/esos-project/esos/internal/host/kernfs"
)

// tree is the kernel's tree with what is asked of it all the time.
type tree struct{ Kernel }

func number(n int) string { return strconv.Itoa(n) }

func portAt(id int) string          { return path.Join("ports", number(id)) }
func exposedAt(id int) string       { return path.Join("ports", number(id), "subsystems") }
func subsystemAt(nqn string) string { return path.Join("subsystems", nqn) }
func allowedAt(nqn string) string   { return path.Join("subsystems", nqn, "allowed_hosts") }
func hostAt(nqn string) string      { return path.Join("hosts", nqn) }
func namespaceAt(nqn string, n int) string {
	return path.Join("subsystems", nqn, "namespaces", number(n))
}

// exists says whether there is an object.
func (k tree) exists(p string) (bool, error) { return kernfs.Exists(k.Kernel, p) }

// list names what is in an object; nothing if it is not there.
func (k tree) list(p string) ([]string, error) { return kernfs.List(k.Kernel, p) }

// read reads a setting without the newline that the kernel puts behind it.
func (k tree) read(p string) (string, error) { return kernfs.Read(k.Kernel, p) }

// optional reads a setting that older kernels do not have; has is false then.
func (k tree) optional(p string) (text string, has bool, err error) {
	text, err = k.read(p)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return text, err == nil, err
}

// set writes a setting if it differs. Writing what is there already is not
// harmless: the kernel refuses some settings while an object is used, even if
// nothing would change. Nothing is added to the value: no newline.
func (k tree) set(p, value string) error {
	now, err := k.read(p)
	if errors.Is(err, fs.ErrNotExist) {
		return &missingError{p}
	}
	if err != nil {
		return err
	}
	if now == value {
		return nil
	}
	return k.WriteFile(p, value)
}

// missingError says that this kernel has no such setting.
type missingError struct{ setting string }

// Error says what to do.
func (e *missingError) Error() string {
	return fmt.Sprintf("this kernel's NVMe target has no setting %s: leave out what asks for it, or use a newer kernel", path.Base(e.setting))
}

// Unwrap lets errors.Is find fs.ErrNotExist.
func (e *missingError) Unwrap() error { return fs.ErrNotExist }

// mkdir makes an object unless it is there.
func (k tree) mkdir(p string) error {
	if err := k.Mkdir(p); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// rmdir ends an object, if it is there.
func (k tree) rmdir(p string) error {
	if err := k.Rmdir(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// link relates two objects unless they are related.
func (k tree) link(target, p string) error {
	if err := k.Symlink(target, p); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// leads names what the links in a directory lead to; what they are called is
// up to who made them.
func (k tree) leads(dir string) ([]string, error) {
	names, err := k.list(dir)
	if err != nil {
		return nil, err
	}
	to := make([]string, 0, len(names))
	for _, name := range names {
		target, err := k.Readlink(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		to = append(to, path.Base(target))
	}
	return to, nil
}

// related says whether a link in a directory leads to an object of that name.
func (k tree) related(dir, name string) (bool, error) {
	to, err := k.leads(dir)
	return slices.Contains(to, name), err
}

// part takes the links in a directory away that lead to an object of that name.
func (k tree) part(dir, name string) error {
	names, err := k.list(dir)
	if err != nil {
		return err
	}
	for _, link := range names {
		target, err := k.Readlink(path.Join(dir, link))
		if err != nil {
			return err
		}
		if path.Base(target) != name {
			continue
		}
		if err := k.Remove(path.Join(dir, link)); err != nil {
			return err
		}
	}
	return nil
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
