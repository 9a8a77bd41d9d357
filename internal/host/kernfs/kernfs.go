// Package kernfs is how kernel objects are made and set through a file system
// of the kernel's own (configfs, sysfs): a directory is an object, a file one
// of its settings, a symbolic link a relation. There each call is a request
// that the kernel may refuse; nothing is a file that could be half written.
package kernfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host"
)

// Tree is the kernel's file system below Root. All paths are relative to that.
type Tree struct{ Root string }

// Trees of targets.
const (
	LIO  = "/sys/kernel/config/target" // the kernel's own
	SCST = "/sys/kernel/scst_tgt"
)

func (t Tree) at(path string) string { return filepath.Join(t.Root, path) }

// Mkdir makes an object; its parent must be there.
func (t Tree) Mkdir(path string) error { return os.Mkdir(t.at(path), 0o755) }

// Rmdir ends an object. The kernel refuses that while it is in use (EBUSY).
func (t Tree) Rmdir(path string) error {
	if err := unix.Rmdir(t.at(path)); err != nil {
		return &fs.PathError{Op: "rmdir", Path: t.at(path), Err: err}
	}
	return nil
}

// WriteFile sets a setting with one write(2): what comes in two would be two
// requests. Nothing is added to text: the kernel would keep a newline.
func (t Tree) WriteFile(path, text string) error {
	f, err := os.OpenFile(t.at(path), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	n, err := unix.Write(int(f.Fd()), []byte(text))
	if err == nil && n < len(text) {
		err = fmt.Errorf("only %d of %d bytes were taken", n, len(text))
	}
	if err != nil {
		err = &fs.PathError{Op: "write", Path: t.at(path), Err: err}
	}
	return errors.Join(err, f.Close())
}

// ReadFile reads a setting, as the kernel gives it.
func (t Tree) ReadFile(path string) (string, error) {
	b, err := os.ReadFile(t.at(path))
	return string(b), err
}

// Symlink relates the object at path to the one at target.
func (t Tree) Symlink(target, path string) error { return os.Symlink(t.at(target), t.at(path)) }

// Readlink returns what object a link leads to, relative to the root.
func (t Tree) Readlink(path string) (string, error) {
	to, err := os.Readlink(t.at(path))
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(filepath.Dir(t.at(path)), to)
	}
	return filepath.Rel(t.Root, to)
}

// Remove takes a link away.
func (t Tree) Remove(path string) error {
	if err := unix.Unlink(t.at(path)); err != nil {
		return &fs.PathError{Op: "unlink", Path: t.at(path), Err: err}
	}
	return nil
}

// Chmod sets who may read and write a setting; configfs keeps that as long as
// the object is there (configfs_setattr).
func (t Tree) Chmod(path string, mode fs.FileMode) error { return os.Chmod(t.at(path), mode) }

// ReadDir lists the names of what an object consists of, sorted.
func (t Tree) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(t.at(path))
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Load has the kernel load a module if the tree is not there yet.
func (t Tree) Load(ctx context.Context, module string) error {
	if _, err := os.Stat(t.Root); err == nil {
		return nil
	}
	if err := Modprobe(ctx, module); err != nil {
		return err
	}
	if _, err := os.Stat(t.Root); err != nil {
		return fmt.Errorf("the kernel module %s is loaded, but %s is not there (is its file system mounted? for configfs: mount -t configfs configfs /sys/kernel/config): %w", module, t.Root, err)
	}
	return nil
}

// Modprobe has the kernel load a module, if it is not loaded.
func Modprobe(ctx context.Context, module string) error {
	if err := host.Run(ctx, "", "modprobe", module); err != nil {
		return fmt.Errorf("load the kernel module %s: %w", module, err)
	}
	return nil
}

// SameRoot says whether paths mean the same to the kernel as to us: it opens
// the files that it is told of from the root of process 1, whatever root and
// mounts its caller has.
func SameRoot() error { return sameMounts("/proc/self/mountinfo", "/proc/1/mountinfo") }

// sameMounts compares what two processes see mounted. Mounts have numbers that
// no other namespace's have, and what is outside of a process's root is left
// out (proc_pid_mountinfo(5)): the same text is the same root. Unlike the
// root and the namespace themselves, it can be read without CAP_SYS_PTRACE.
func sameMounts(ours, first string) error {
	for range 3 { // something may be mounted in between
		mine, err := os.ReadFile(ours)
		if err != nil {
			return fmt.Errorf("look at our mounts: %w", err)
		}
		theirs, err := os.ReadFile(first)
		if err != nil {
			return fmt.Errorf("look at the mounts of process 1: %w", err)
		}
		if bytes.Equal(mine, theirs) {
			return nil
		}
	}
	return errors.New("this process has another root or other mounts than process 1, from whose root the kernel opens files: run it outside of the container or chroot, and without systemd's settings that give a service mounts of its own (ProtectSystem, PrivateTmp, ...)")
}
