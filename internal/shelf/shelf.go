// Package shelf is what is kept on the medium's esos_logs: crash dumps and
// archives of logs. The oldest make room for what comes. It is small: the
// first process of a boot, which saves crashes, has it too.
package shelf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Shelf is a mounted esos_logs.
type Shelf struct {
	Dir string
	// Space tells how much room it has: host.SpaceAt.
	Space func(dir string) (host.Space, error)
}

// At is the shelf that is mounted at a directory.
func At(dir string) Shelf { return Shelf{dir, host.SpaceAt} }

// Names on a shelf. Both kinds have the time of their making in their name, so
// that their order is that of time.
const (
	dumpsDir    = "crash"
	archivesDir = "logs"

	DumpPrefix    = "dump-"
	ArchivePrefix = "logs-"
	ArchiveSuffix = ".tar.zst"
	// TimeFormat is that of the time in a name, in UTC.
	TimeFormat = "20060102T150405Z"
	// CoreFile is the part of a dump that takes the room.
	CoreFile = "vmcore"
	// Partial is at the end of what is not whole yet.
	Partial = ".part"
)

// Dumps is the directory of dumps; each is a directory.
func (s Shelf) Dumps() string { return filepath.Join(s.Dir, dumpsDir) }

// Archives is the directory of log archives; each is a file.
func (s Shelf) Archives() string { return filepath.Join(s.Dir, archivesDir) }

// DumpNames lists the dumps, the oldest first.
func (s Shelf) DumpNames() ([]string, error) {
	return names(s.Dumps(), func(e fs.DirEntry) bool { return e.IsDir() && strings.HasPrefix(e.Name(), DumpPrefix) })
}

// ArchiveNames lists the log archives, the oldest first.
func (s Shelf) ArchiveNames() ([]string, error) {
	return names(s.Archives(), func(e fs.DirEntry) bool {
		return e.Type().IsRegular() && strings.HasPrefix(e.Name(), ArchivePrefix) && strings.HasSuffix(e.Name(), ArchiveSuffix)
	})
}

func names(dir string, want func(fs.DirEntry) bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var list []string
	for _, e := range entries {
		if want(e) {
			list = append(list, e.Name())
		}
	}
	slices.Sort(list)
	return list, nil
}

// DropDump removes the memory image of the oldest dump that has one, but for
// the one named except. The kernel's messages, which are small and tell most,
// stay. It returns the dump's name; "" if there is nothing to drop.
func (s Shelf) DropDump(except string) (string, error) {
	list, err := s.DumpNames()
	if err != nil {
		return "", err
	}
	for _, name := range list {
		if name == except {
			continue
		}
		dropped := false
		for _, file := range []string{CoreFile, CoreFile + Partial} {
			err := os.Remove(filepath.Join(s.Dumps(), name, file))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("make room on the log partition: %w", err)
			}
			dropped = dropped || err == nil
		}
		if dropped {
			return name, host.SyncDir(filepath.Join(s.Dumps(), name))
		}
	}
	return "", nil
}

// DropArchive removes the oldest log archive. It returns its name; "" if there
// is none.
func (s Shelf) DropArchive() (string, error) {
	list, err := s.ArchiveNames()
	if err != nil || len(list) == 0 {
		return "", err
	}
	if err := os.Remove(filepath.Join(s.Archives(), list[0])); err != nil {
		return "", fmt.Errorf("make room on the log partition: %w", err)
	}
	return list[0], host.SyncDir(s.Archives())
}

// Reserve is the room that archives of logs leave for a crash dump: 128 MiB,
// or a quarter of a small partition.
func (s Shelf) Reserve() (int64, error) {
	const usual = 128 << 20
	space, err := s.Space(s.Dir)
	if err != nil {
		return 0, err
	}
	return min(usual, space.Total/4), nil
}

// Sweep removes what was being made when a boot ended.
func (s Shelf) Sweep() error {
	list, err := names(s.Archives(), func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), Partial) })
	if err != nil {
		return err
	}
	for _, name := range list {
		if err := os.Remove(filepath.Join(s.Archives(), name)); err != nil {
			return fmt.Errorf("remove what is left of an archive: %w", err)
		}
	}
	return nil
}
