package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
)

// Files is the part of the host that image files are snapshotted with
// (host.Files).
type Files interface {
	// Clone makes a file that shares the blocks of another one as they are at
	// one moment, durably and with attributes, and never in place of a file.
	Clone(ctx context.Context, from, to string, attributes map[string]string) error
	Attributes(path string) (map[string]string, error)
	Stat(path string) (host.FileInfo, error)
	// Names lists the files in a directory; none where there is no directory.
	Names(dir string) ([]string, error)
	FileSystem(path string) (kind string, err error)
	Remove(path string) error
}

// Attributes say what a file is a snapshot of, as tags do for volumes.
const (
	attrName     = "esos.name"
	attrOf       = "esos.of"
	attrSchedule = "esos.schedule"
)

// imageDir is where the snapshots of image files are, beside these.
const imageDir = ".snapshots"

// takeImage takes a snapshot of an image file. The file system holds writes to
// it while its blocks are shared out, so that it is of one moment (ioctl_ficlonerange(2)).
func (s *Service) takeImage(ctx context.Context, r Request, name string) ([]Snapshot, error) {
	d := r.Devices[0]
	image := s.machine.Real(s.full(d.Path))
	if image == "" {
		return nil, fmt.Errorf("image file %s of device %s: %w", d.Path, d.Name, fs.ErrNotExist)
	}
	kind, err := s.files.FileSystem(image)
	if err != nil {
		return nil, err
	}
	if kind != "xfs" && kind != "btrfs" {
		return nil, refuse("image file %s of device %s is on %s, which has no files that share blocks; snapshots are taken on xfs, btrfs and thin volumes", d.Path, d.Name, kind)
	}
	to := filepath.Join(filepath.Dir(image), imageDir, filepath.Base(image)+"."+name)
	if _, err := s.files.Stat(to); err == nil {
		return nil, fmt.Errorf("file %s %w", to, config.ErrExists)
	}
	attributes := map[string]string{attrName: name, attrOf: d.Name}
	if r.Schedule != "" {
		attributes[attrSchedule] = r.Schedule
	}
	if err := s.files.Clone(ctx, image, to, attributes); err != nil {
		return nil, errors.Join(err, s.files.Remove(to)) // a call that failed may have made it all the same
	}
	st, err := s.files.Stat(to)
	if err != nil {
		return nil, err
	}
	return []Snapshot{{Device: d.Name, Name: name, Schedule: r.Schedule, Path: to, Size: st.Size}}, nil
}

// listImages lists the snapshots of image files: beside those of devices, and
// at the top of the file systems that are declared.
func (s *Service) listImages(doc *config.Document) ([]Snapshot, error) {
	var dirs []string
	add := func(dir string) {
		if dir = filepath.Join(dir, imageDir); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, f := range doc.Storage.FileSystems {
		add(f.Path())
	}
	for _, d := range doc.Devices {
		if d.Handler != config.FileIO {
			continue
		}
		dir := filepath.Dir(s.full(d.Path))
		if filepath.Base(dir) == imageDir {
			dir = filepath.Dir(dir)
		}
		if real := s.machine.Real(dir); real != "" {
			add(real)
		}
	}
	var found []Snapshot
	var errs []error
	for _, dir := range dirs {
		names, err := s.files.Names(dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, n := range names {
			if snap, ok := s.imageSnapshot(filepath.Join(dir, n)); ok {
				found = append(found, snap)
			}
		}
	}
	return found, errors.Join(errs...)
}

// imageSnapshot reads what a file is a snapshot of; others are somebody else's.
func (s *Service) imageSnapshot(path string) (Snapshot, bool) {
	a, err := s.files.Attributes(path)
	if err != nil || a[attrOf] == "" || !strings.HasSuffix(path, "."+a[attrName]) {
		return Snapshot{}, false
	}
	st, err := s.files.Stat(path)
	if err != nil || st.Block {
		return Snapshot{}, false
	}
	snap := Snapshot{Device: a[attrOf], Name: a[attrName], Schedule: a[attrSchedule], Path: path, Size: st.Size}
	var named bool
	snap.Taken, named = takenAt(snap.Name)
	return snap, named
}
