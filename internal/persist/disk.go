package persist

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// disk is what generations are written to. Tests make each of its steps fail,
// and cut the power between them.
type disk interface {
	MkdirAll(dir string) error
	// Write makes a file of mode 0600 of what from writes, and returns when its
	// bytes are durable.
	Write(path string, from func(io.Writer) error) error
	// Digest reads a file back, as the medium has it, and returns its SHA-256.
	Digest(path string) (string, error)
	Rename(from, to string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	Remove(path string) error
	// Free is how many bytes can be written.
	Free(dir string) (int64, error)
}

// medium is a mounted file system.
type medium struct{}

func (medium) Rename(from, to string) error { return os.Rename(from, to) }
func (medium) Remove(path string) error     { return os.Remove(path) }

func (medium) MkdirAll(dir string) error {
	// The directory above it is the file system's root, or was there: one
	// level is all that is ever made.
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func (medium) Write(path string, from func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = from(f); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (medium) Digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	// What is in the page cache is what was written, not what is kept.
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return "", &os.PathError{Op: "drop the cache of", Path: path, Err: err}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (medium) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (medium) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "ask for the free space of", Path: dir, Err: err}
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// whole writes what is in memory.
func whole(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}
