// Package logs keeps what the machine logged. /var/log is memory: at shutdown,
// and when it has grown large or old, it goes compressed to the medium's
// esos_logs, and its memory is given back. The oldest archives make room, also
// for the dump of a crash that may come.
//
//	archive.go   an archive is made
//	trim.go      memory is given back
//	keeper.go    when, and what becomes of it if the medium is gone
package logs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/shelf"
)

// Archive is a file with the logs of some time.
type Archive struct {
	Name string    `json:"name"`
	When time.Time `json:"when"` // of its making: what is in it is older
	Size int64     `json:"size"`
}

// ErrNotFound says that there is no archive of a name.
var ErrNotFound = errors.New("there is no such archive of logs; 'esos logs list' shows those that are there")

// Latest stands for the newest archive.
const Latest = "latest"

// maxArchives is how many are kept.
const maxArchives = 500

// List lists the archives on a shelf, the oldest first.
func List(s shelf.Shelf) ([]Archive, error) {
	names, err := s.ArchiveNames()
	if err != nil {
		return nil, err
	}
	list := []Archive{}
	for _, name := range names {
		st, err := os.Lstat(filepath.Join(s.Archives(), name))
		if err != nil {
			return nil, fmt.Errorf("list the archives of logs: %w", err)
		}
		stamp := strings.TrimSuffix(strings.TrimPrefix(name, shelf.ArchivePrefix), shelf.ArchiveSuffix)
		when, err := time.Parse(shelf.TimeFormat, stamp)
		if err != nil {
			continue // nothing of ours
		}
		list = append(list, Archive{name, when, st.Size()})
	}
	return list, nil
}

// Find returns one archive; ErrNotFound, wrapped, if it is not there.
func Find(s shelf.Shelf, name string) (Archive, error) {
	list, err := List(s)
	if err != nil {
		return Archive{}, err
	}
	for i, a := range list {
		if a.Name == name || name == Latest && i == len(list)-1 {
			return a, nil
		}
	}
	return Archive{}, fmt.Errorf("archive of logs %s: %w", name, ErrNotFound)
}

// copied is how much of each file is in an archive, by its path.
type copied map[string]int64

// write makes an archive of the files below dir, and of the journal, and
// returns what is in it. Older archives make room as long as there are any.
func write(ctx context.Context, s shelf.Shelf, dir string, now time.Time, journal func(context.Context, io.Writer) error) (Archive, copied, error) {
	if err := s.Sweep(); err != nil {
		return Archive{}, nil, err
	}
	if err := host.MakeDir(s.Archives(), 0o700); err != nil {
		return Archive{}, nil, err
	}
	total, err := Size(dir)
	if err != nil {
		return Archive{}, nil, err
	}
	// Text becomes a tenth; what is compressed already stays as it is.
	const usually = 5
	if err := makeRoom(s, total/usually); err != nil {
		return Archive{}, nil, err
	}
	name := freeName(s, now)
	part := filepath.Join(s.Archives(), name+shelf.Partial)
	for {
		done, err := writeFile(ctx, part, dir, now, journal)
		if err == nil {
			a, err := keep(s, part)
			return a, done, err
		}
		err = errors.Join(err, os.Remove(part))
		if !errors.Is(err, unix.ENOSPC) {
			return Archive{}, nil, err
		}
		dropped, dropErr := s.DropArchive()
		if dropErr != nil || dropped == "" {
			return Archive{}, nil, errors.Join(fmt.Errorf("the log partition is full, and there is no older archive to drop: delete crash dumps with 'esos crash delete': %w", err), dropErr)
		}
	}
}

// makeRoom drops the oldest archives until a new one fits and a crash dump
// after it.
func makeRoom(s shelf.Shelf, need int64) error {
	reserve, err := s.Reserve()
	if err != nil {
		return err
	}
	for {
		free, err := available(s)
		if err != nil {
			return err
		}
		space, err := s.Space(s.Dir)
		if err != nil {
			return err
		}
		names, err := s.ArchiveNames()
		if err != nil {
			return err
		}
		if free >= reserve+need && space.Free >= need && len(names) < maxArchives || len(names) == 0 {
			return nil
		}
		if _, err := s.DropArchive(); err != nil {
			return err
		}
	}
}

// available is what a crash dump could have: what is free, and what the dumps
// before it take.
func available(s shelf.Shelf) (int64, error) {
	space, err := s.Space(s.Dir)
	if err != nil {
		return 0, err
	}
	names, err := s.DumpNames()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if st, err := os.Stat(filepath.Join(s.Dumps(), name, shelf.CoreFile)); err == nil {
			space.Free += st.Size()
		}
	}
	return space.Free, nil
}

// freeName is the name of a new archive. Two in one second are told apart by a
// later time.
func freeName(s shelf.Shelf, now time.Time) string {
	for {
		name := shelf.ArchivePrefix + now.UTC().Format(shelf.TimeFormat) + shelf.ArchiveSuffix
		if _, err := os.Lstat(filepath.Join(s.Archives(), name)); errors.Is(err, fs.ErrNotExist) {
			return name
		}
		now = now.Add(time.Second)
	}
}

// keep makes an archive durable under its name.
func keep(s shelf.Shelf, part string) (Archive, error) {
	path := strings.TrimSuffix(part, shelf.Partial)
	if err := os.Rename(part, path); err != nil {
		return Archive{}, err
	}
	if err := host.SyncDir(s.Archives()); err != nil {
		return Archive{}, err
	}
	return Find(s, filepath.Base(path))
}

func writeFile(ctx context.Context, part, dir string, now time.Time, journal func(context.Context, io.Writer) error) (done copied, err error) {
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// One thread, and a window that is no burden to a machine of 1 GiB.
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	done = copied{}
	if err := addTree(ctx, t, dir, done); err != nil {
		return nil, err
	}
	if err := addJournal(ctx, t, now, journal); err != nil {
		return nil, err
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, err
	}
	return done, f.Sync()
}

// journalFile is the journal's place in an archive, as text.
const journalFile = "journal.txt"

// addJournal adds the journal. It has to be had whole before, since a tar file
// says how long a file is before the file.
func addJournal(ctx context.Context, t *tar.Writer, now time.Time, journal func(context.Context, io.Writer) error) error {
	text, err := os.CreateTemp("", "esos-journal-")
	if err != nil {
		return fmt.Errorf("archive the journal: %w", err)
	}
	defer text.Close()
	if err := os.Remove(text.Name()); err != nil { // it lives as long as it is open
		return fmt.Errorf("archive the journal: %w", err)
	}
	if err := journal(ctx, text); err != nil {
		// The files are worth more than both together.
		if _, e := fmt.Fprintf(text, "\nesos: the journal could not be read to its end: %v\n", err); e != nil {
			return e
		}
	}
	size, err := text.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = text.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("archive the journal: %w", err)
	}
	if err := t.WriteHeader(&tar.Header{Name: journalFile, Mode: 0o600, Size: size, ModTime: now}); err != nil {
		return err
	}
	_, err = io.Copy(t, text)
	return err
}

// addTree adds the files below dir, each as long as it is when its turn comes.
func addTree(ctx context.Context, t *tar.Writer, dir string, done copied) error {
	return eachLog(dir, func(path string, _ fs.FileInfo) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // turned over meanwhile
		}
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Name: "var/log/" + rel, Mode: 0o600, Size: st.Size(), ModTime: st.ModTime()}); err != nil {
			return err
		}
		n, err := io.Copy(t, io.LimitReader(f, st.Size()))
		if err != nil {
			return err
		}
		// One that was cut meanwhile is filled up: the archive goes on.
		if _, err := io.Copy(t, io.LimitReader(zeros{}, st.Size()-n)); err != nil {
			return err
		}
		done[path] = n
		return nil
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// eachLog calls do for each file below dir. Journals and lastlog, which is
// mostly holes, are left out.
func eachLog(dir string, do func(path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "journal" && path != dir:
			return filepath.SkipDir
		case !d.Type().IsRegular() || d.Name() == "lastlog":
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // turned over meanwhile
		}
		return do(path, info)
	})
}

// Size is the memory that the files below dir take.
func Size(dir string) (int64, error) {
	var total int64
	err := eachLog(dir, func(_ string, info fs.FileInfo) error {
		total += info.Size()
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure the logs: %w", err)
	}
	return total, nil
}
