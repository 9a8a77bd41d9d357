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
		archive, err := os.ReadFile(s.path(g.Number, archiveSuffix))
		if err != nil {
			return Generation{}, err
		}
		record, err := seal(g)
		if err != nil {
			return Generation{}, err
		}
		out := tar.NewWriter(w)
		for _, f := range []struct {
			name string
			data []byte
		}{{backupRecord, record}, {backupArchive, archive}} {
			h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: 0o600, ModTime: g.When, Format: tar.FormatPAX}
			if err := out.WriteHeader(h); err != nil {
				return Generation{}, err
			}
			if _, err := out.Write(f.data); err != nil {
				return Generation{}, err
			}
		}
		return g, out.Close()
	}
	return Generation{}, errors.New("there is no good generation of settings on the medium: run 'esos sync' first")
}

// Import makes a generation of a backup, in force: the next boot takes it.
// Nothing of what is there is lost.
func Import(dir string, r io.Reader, o Options) (Generation, error) {
	g, err := importBackup(medium{}, dir, r, o)
	if err != nil {
		return Generation{}, fmt.Errorf("bring back the settings of a backup: %w", err)
	}
	return g, nil
}

// errNoBackup is told of files that are something else.
var errNoBackup = errors.New("this is no backup of settings: want a file that 'esos config backup' wrote")

func importBackup(d disk, dir string, r io.Reader, o Options) (Generation, error) {
	in := tar.NewReader(r)
	record, err := backupFile(in, backupRecord, maxRecord)
	if err != nil {
		return Generation{}, err
	}
	var g Generation
	if err := unseal(record, &g); err != nil {
		return Generation{}, fmt.Errorf("its record: %w", err)
	}
	if g.Size < 0 || g.Files < 0 || g.Archive < 0 || g.Archive > maxBackup {
		return Generation{}, fmt.Errorf("its record speaks of an archive of %d bytes", g.Archive)
	}
	archive, err := backupFile(in, backupArchive, g.Archive)
	if err != nil {
		return Generation{}, err
	}
	w, err := openWriter(d, dir)
	if err != nil {
		return Generation{}, err
	}
	return w.again(archive, g, o)
}

func backupFile(in *tar.Reader, name string, limit int64) ([]byte, error) {
	h, err := in.Next()
	if err != nil || h.Name != name || h.Typeflag != tar.TypeReg || h.Size > limit {
		return nil, errNoBackup
	}
	var b bytes.Buffer // it grows as bytes come, whatever the header says
	if _, err := io.Copy(&b, in); err != nil {
		return nil, fmt.Errorf("read %s: it ends too early: %w", name, err)
	}
	return b.Bytes(), nil
}

// Reset puts settings in force that are none: the next boot is one as from the
// factory. What was saved before is kept, and can be brought back.
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
	archive, g, _, err := pack(ctx, empty, DefaultLimit)
	if err != nil {
		return Generation{}, err
	}
	g.Slot, g.Version = o.Slot, o.Version
	g.Host, _ = os.Hostname() // without one the generation is as good
	return w.again(archive, g, o)
}

// Newest is the generation that the next boot takes, nil if there is none.
func Newest(list []Listed) *Listed {
	if i := slices.IndexFunc(list, func(l Listed) bool { return l.Current }); i >= 0 {
		return &list[i]
	}
	return nil
}
