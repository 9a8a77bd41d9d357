package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host/kernfs"
)

// tree is the kernel's tree with what is asked of it all the time.
type tree struct{ Kernel }

// exists says whether there is an object.
func (k tree) exists(p string) (bool, error) { return kernfs.Exists(k.Kernel, p) }

// list names what is in an object; nothing if it is not there.
func (k tree) list(p string) ([]string, error) { return kernfs.List(k.Kernel, p) }

// read reads a setting without the newline that the kernel puts behind it.
func (k tree) read(p string) (string, error) { return kernfs.Read(k.Kernel, p) }

// number reads a setting that is one.
func (k tree) number(p string) (uint64, error) {
	text, err := k.read(p)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %q is no number", p, text)
	}
	return n, nil
}

// equal says whether two values of a setting are the same one: numbers may be
// written differently from how they are read.
func equal(a, b string) bool {
	if a == b {
		return true
	}
	m, errA := strconv.ParseUint(a, 0, 64)
	n, errB := strconv.ParseUint(b, 0, 64)
	return errA == nil && errB == nil && m == n
}

// set writes a setting if it differs. Writing what is there already is not
// harmless: the kernel refuses some settings while an object is exported, even
// if nothing would change.
func (k tree) set(p, value string) error {
	now, err := k.read(p)
	if err != nil {
		return err
	}
	if equal(now, value) {
		return nil
	}
	return k.WriteFile(p, value)
}

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

// link returns the first link in an object: its name and where it leads; ""
// if there is none. Objects here have one at most.
func (k tree) link(p string) (name, to string, err error) {
	names, err := k.list(p)
	if err != nil {
		return "", "", err
	}
	for _, name := range names {
		if kernelFiles(name) {
			continue
		}
		to, err := k.Readlink(path.Join(p, name))
		if err == nil {
			return name, to, nil
		}
	}
	return "", "", nil
}

// unlink takes the link of an object away and then the object.
func (k tree) unlink(p string) error {
	name, _, err := k.link(p)
	if err != nil {
		return err
	}
	if name != "" {
		if err := k.Remove(path.Join(p, name)); err != nil {
			return err
		}
	}
	return k.rmdir(p)
}

// numbered returns the n of a name like lun_7.
func numbered(name, prefix string) (int, bool) {
	text, ok := strings.CutPrefix(name, prefix)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

// kernelFiles says whether a name in a LUN is one of the kernel's own files,
// which are not asked whether they are links.
func kernelFiles(name string) bool {
	return name == "statistics" || name == "write_protect" || strings.HasPrefix(name, "alua_tg_pt_")
}
