package persist

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// A backup is a tar archive of two files: the record of a generation and its
// archive, just as they are on the medium.
const (
	backupRecord  = "generation.json"
	backupArchive = "settings.tar.zst"
	// maxBackup bounds an archive that comes from outside.
	maxBackup = 1 << 30
)

// Backup writes the newest good generation in dir to w. It holds what the
// settings hold: password hashes, keys, secrets.
func Backup(dir string, w io.Writer) (Generation, error) {
	g, err := backup(dir, w)
	if err != nil {
		return Generation{}, fmt.Errorf("back up the settings: %w", err)
	}
	return g, nil
}

func backup(dir string, w io.Writer) (Generation, error) {
	s, err := openShelf(dir)
	if err != nil {
		return Generation{}, err
	}
	for _, g := range s.ordered {
		if s.verify(g) != nil {
			continue
		}
		return g, s.export(g, w)
	}
	return Generation{}, errors.New("there is no good generation of settings on the medium: run 'esos sync' first")
}

// export writes a generation as a backup.
func (s shelf) export(g Generation, w io.Writer) error {
	archive, err := s.openArchive(g)
	if err != nil {
		return err
	}
	defer archive.Close()
	record, err := seal(g)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		data io.Reader
		size int64
	}{{backupRecord, bytes.NewReader(record), int64(len(record))}, {backupArchive, archive, g.Archive}} {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: f.size, Mode: 0o600, ModTime: g.When, Format: tar.FormatPAX}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, f.data); err != nil {
			return err
		}
	}
	return out.Close()
}

// Import makes a generation of a backup, in force: the next boot takes it. The
// backup is read to its end and checked before anything is touched, older
// generations that may have to make room included.
func Import(dir string, r io.ReadSeeker, o Options) (Generation, error) {
	g, err := importBackup(medium{}, dir, r, o)
	if err != nil {
		return Generation{}, fmt.Errorf("bring back the settings of a backup: %w", err)
	}
	return g, nil
}

// errNoBackup is told of files that are something else.
var errNoBackup = errors.New("this is no backup of settings: want a file that 'esos config backup' wrote")

func importBackup(d disk, dir string, r io.ReadSeeker, o Options) (Generation, error) {
	g, archive, err := openBackup(r)
	if err != nil {
		return Generation{}, err
	}
	if err := g.copyChecked(io.Discard, archive); err != nil {
		return Generation{}, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return Generation{}, fmt.Errorf("read it once more: %w", err)
	}
	if g, archive, err = openBackup(r); err != nil {
		return Generation{}, err
	}
	w, err := openWriter(d, dir)
	if err != nil {
		return Generation{}, err
	}
	return w.again(archive, g, o)
}

// openBackup reads a backup's record, and leaves its archive to be read.
func openBackup(r io.Reader) (Generation, io.Reader, error) {
	in := tar.NewReader(r)
	if err := backupFile(in, backupRecord, maxRecord); err != nil {
		return Generation{}, nil, err
	}
	record, err := io.ReadAll(in)
	if err != nil {
		return Generation{}, nil, fmt.Errorf("its record: it ends too early: %w", err)
	}
	var g Generation
	if err := unseal(record, &g); err != nil {
		return Generation{}, nil, fmt.Errorf("its record: %w", err)
	}
	if g.Size < 0 || g.Files < 0 || g.Archive < 0 || g.Archive > maxBackup {
		return Generation{}, nil, fmt.Errorf("its record speaks of an archive of %d bytes", g.Archive)
	}
	return g, in, backupFile(in, backupArchive, g.Archive)
}

// backupFile goes to the next file of a backup, which must have a name.
func backupFile(in *tar.Reader, name string, limit int64) error {
	h, err := in.Next()
	if err != nil || h.Name != name || h.Typeflag != tar.TypeReg || h.Size > limit {
		return errNoBackup
	}
	return nil
}

// Reset puts settings in force that are none: the next boot is one as from the
// factory, with what the medium was made with. What was saved before is kept,
// and can be brought back.
func Reset(ctx context.Context, dir string, o Options) (Generation, error) {
	g, err := reset(ctx, medium{}, dir, o)
	if err != nil {
		return Generation{}, fmt.Errorf("reset the settings: %w", err)
	}
	return g, nil
}

func reset(ctx context.Context, d disk, dir string, o Options) (Generation, error) {
	empty, err := os.MkdirTemp("", "esos-reset-")
	if err != nil {
		return Generation{}, err
	}
	defer os.RemoveAll(empty)
	w, err := openWriter(d, dir)
	if err != nil {
		return Generation{}, err
	}
	var archive bytes.Buffer
	g, _, err := pack(ctx, empty, DefaultLimit, func(write func(io.Writer) error) error {
		archive.Reset()
		return write(&archive)
	})
	if err != nil {
		return Generation{}, err
	}
	g.describe(o)
	g.Factory = true
	return w.again(&archive, g, o)
}

// Newest is the generation that the next boot takes, nil if there is none.
func Newest(list []Listed) *Listed {
	if i := slices.IndexFunc(list, func(l Listed) bool { return l.Current }); i >= 0 {
		return &list[i]
	}
	return nil
}
