package appliance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/filesystem"
)

// FileSystem is a file system that is declared, as it is.
type FileSystem struct {
	config.FileSystem
	Mounted  bool
	ReadOnly bool
	Size     int64 // bytes for files; this and what follows while it is mounted
	Used     int64
	Free     int64
	Problem  string
}

// FileSystems lists the file systems that are declared, as they are.
func (a *Appliance) FileSystems(ctx context.Context) ([]FileSystem, error) {
	now, err := a.Storage(ctx)
	if err != nil {
		return nil, err
	}
	if err := now.FileSystems.Err; err != nil {
		return nil, err
	}
	problems := a.problemsOf()
	list := make([]FileSystem, 0, len(now.Declared.Storage.FileSystems))
	for _, f := range now.Declared.Storage.FileSystems {
		one := FileSystem{FileSystem: f, Problem: problems["filesystem/"+f.Name]}
		if m, ok := now.FileSystems.Mounted(f.Path()); ok {
			one.Mounted, one.ReadOnly, one.Size, one.Used, one.Free = true, m.ReadOnly, m.Size, m.Used, m.Free
		}
		list = append(list, one)
	}
	return list, nil
}

// findFileSystem finds one that is declared; mounted says that it has to be.
func (a *Appliance) findFileSystem(ctx context.Context, name string, mounted bool) (FileSystem, error) {
	if !a.ownsMachine {
		return FileSystem{}, fmt.Errorf("file system %s: %w", name, ErrNotOwner)
	}
	all, err := a.FileSystems(ctx)
	if err != nil {
		return FileSystem{}, err
	}
	i := slices.IndexFunc(all, func(f FileSystem) bool { return f.Name == name })
	switch {
	case i < 0:
		return FileSystem{}, fmt.Errorf("file system %q: %w; 'esos filesystem list' shows all", name, config.ErrNotFound)
	case mounted && !all[i].Mounted:
		return FileSystem{}, fmt.Errorf("file system %s: %w: it is not mounted", name, ErrNotNow)
	}
	return all[i], nil
}

// StoredFile is a file on a file system, and the device that it is the store of.
type StoredFile struct {
	filesystem.File
	Device string
}

// FilesOn lists the files on a file system.
func (a *Appliance) FilesOn(ctx context.Context, name string) ([]StoredFile, error) {
	f, err := a.findFileSystem(ctx, name, true)
	if err != nil {
		return nil, err
	}
	files, err := filesystem.Files(ctx, a.disks, f.Path())
	if err != nil {
		return nil, err
	}
	doc, _ := a.inForce()
	list := make([]StoredFile, 0, len(files))
	for _, file := range files {
		one := StoredFile{File: file}
		for _, d := range doc.Devices {
			if d.Path == f.Path()+"/"+file.Path {
				one.Device = d.Name
			}
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b StoredFile) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// TrimFileSystem tells the disks what of a file system is unused.
func (a *Appliance) TrimFileSystem(ctx context.Context, name string) (string, error) {
	f, err := a.findFileSystem(ctx, name, true)
	if err != nil {
		return "", err
	}
	return filesystem.Trim(ctx, a.disks, f.Path())
}

// CheckFileSystem looks for damage and changes nothing: all over where the file
// system is not mounted, else what it has met itself.
func (a *Appliance) CheckFileSystem(ctx context.Context, name string) (filesystem.Examined, error) {
	f, err := a.findFileSystem(ctx, name, false)
	if err != nil {
		return filesystem.Examined{}, err
	}
	kind := f.Type
	if kind == "" {
		kind = filesystem.XFS
	}
	if !f.Mounted {
		return filesystem.Examine(ctx, a.disks, kind, f.Device)
	}
	mounts, err := filesystem.Mounts(ctx, a.disks)
	if err != nil {
		return filesystem.Examined{}, err
	}
	m, ok := filesystem.At(mounts, f.Path())
	if !ok {
		return filesystem.Examined{}, fmt.Errorf("check file system %s: %w: it was unmounted just now", name, ErrNotNow)
	}
	return filesystem.ExamineMounted(ctx, a.disks, m)
}
