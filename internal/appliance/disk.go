package appliance

import (
	"errors"
	"fmt"
	"os"

	"github.com/esos-project/esos/internal/host"
)

// disk is what revisions are kept on; tests make each of its steps fail.
type disk interface {
	MkdirAll(dir string) error
	List(dir string) ([]string, error)
	ReadFile(path string) ([]byte, error)
	// WriteTemp writes a new file of mode 0600 whose name begins with
	// tempPrefix, and returns when its bytes are durable.
	WriteTemp(dir string, data []byte) (path string, err error)
	Rename(from, to string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	Remove(path string) error
}

// tempPrefix begins the names of files that are not complete yet.
const tempPrefix = ".new-"

// diskFiles is the machine's disk.
type diskFiles struct{}

func (diskFiles) MkdirAll(dir string) error            { return host.MakeDir(dir, 0o700) }
func (diskFiles) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }
func (diskFiles) Rename(from, to string) error         { return os.Rename(from, to) }
func (diskFiles) SyncDir(dir string) error             { return host.SyncDir(dir) }
func (diskFiles) Remove(path string) error             { return os.Remove(path) }

func (diskFiles) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (diskFiles) WriteTemp(dir string, data []byte) (string, error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("write %s: %w", f.Name(), err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}
