package process

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/scsi/disk"
)

// journal is where a disk keeps an atomic write while it is carried out: a
// file in the state directory that is made by the first such write. Most disks
// never see one. Until then it reads as zeroes.
type journal struct {
	path string

	mu   sync.Mutex
	file backing.Store // nil until there is one
}

// newJournal opens the journal of a device, if there is one.
func newJournal(stateDir string, spec control.Device) (*journal, error) {
	j := &journal{path: journalPath(stateDir, spec)}
	if _, err := os.Stat(j.path); errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	return j, j.open()
}

// journalPath has the device's path in it: what was begun on one store must
// not be finished on another.
func journalPath(stateDir string, spec control.Device) string {
	sum := sha256.Sum256([]byte(spec.Path))
	return fmt.Sprintf("%s/atomic-%s-%x", stateDir, spec.Name, sum[:4])
}

// open opens or makes the file, and makes its name durable: a record in a file
// that is gone after a power cut is no record.
func (j *journal) open() error {
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open journal of atomic writes: %w", err)
	}
	st, err := f.Stat()
	if err == nil && st.Size() < disk.JournalSize {
		if err = f.Truncate(disk.JournalSize); err == nil {
			err = syncDir(filepath.Dir(j.path))
		}
	}
	if err == nil {
		j.file, err = backing.NewFile(f, backing.FileOptions{})
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("open journal of atomic writes: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// remove deletes the file of a device that is not served any more.
func (j *journal) remove() error {
	if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove journal of atomic writes: %w", err)
	}
	return nil
}

func (j *journal) store() backing.Store {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file
}

// ReadAt implements backing.Store.
func (j *journal) ReadAt(p []byte, off int64) (int, error) {
	if s := j.store(); s != nil {
		return s.ReadAt(p, off)
	}
	clear(p)
	return len(p), nil
}

// WriteAt implements backing.Store.
func (j *journal) WriteAt(p []byte, off int64) (int, error) {
	j.mu.Lock()
	if j.file == nil {
		if err := j.open(); err != nil {
			j.mu.Unlock()
			return 0, err
		}
	}
	s := j.file
	j.mu.Unlock()
	return s.WriteAt(p, off)
}

// Size implements backing.Store.
func (j *journal) Size() int64 { return disk.JournalSize }

// Sync implements backing.Store.
func (j *journal) Sync() error {
	if s := j.store(); s != nil {
		return s.Sync()
	}
	return nil
}

// Zero implements backing.Store.
func (j *journal) Zero(off, n int64, deallocate bool) error {
	if s := j.store(); s != nil {
		return s.Zero(off, n, deallocate)
	}
	return nil
}

// Extent implements backing.Store.
func (j *journal) Extent(off, n int64) (bool, int64, error) {
	if s := j.store(); s != nil {
		return s.Extent(off, n)
	}
	return false, n, nil
}

// Close implements backing.Store.
func (j *journal) Close() error {
	if s := j.store(); s != nil {
		return s.Close()
	}
	return nil
}
