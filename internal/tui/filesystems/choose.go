package filesystems

import (
	"context"
	"fmt"
	"path"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// dataDirectory is what the library calls the directory of the daemon's own
// files, beside the file systems.
const dataDirectory = "-"

// seen is what dialogs are filled with.
type seen struct {
	doc         *config.Document
	storage     v1.StorageState
	fileSystems []v1.FileSystemState
}

// look reads it.
func look(d *frame.Desk, then func(seen)) {
	frame.Load(d, "Read the file systems", func(ctx context.Context) (s seen, err error) {
		if s.doc, err = d.Document(ctx); err != nil {
			return s, err
		}
		if s.fileSystems, err = d.Client().FileSystems(ctx); err != nil {
			return s, err
		}
		s.storage, err = d.Client().Storage(ctx)
		return s, err
	}, then)
}

// find finds a file system by name.
func (s seen) find(name string) (v1.FileSystemState, bool) {
	for _, f := range s.fileSystems {
		if f.Name == name {
			return f, true
		}
	}
	return v1.FileSystemState{}, false
}

// devicesOn are the devices whose files are on a file system.
func devicesOn(doc *config.Document, f config.FileSystem) []string {
	var on []string
	for _, dev := range doc.Devices {
		if strings.HasPrefix(dev.Path, f.Path()+"/") {
			on = append(on, dev.Name)
		}
	}
	return on
}

func typeOf(f config.FileSystem) string {
	if f.Type == "" {
		return "xfs"
	}
	return f.Type
}

func stateOf(f v1.FileSystemState) string {
	switch {
	case !f.Mounted:
		return "not mounted"
	case f.ReadOnly:
		return "read-only"
	}
	return "mounted"
}

func sizeOf(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return pick.Size(bytes)
}

func choiceColumns() []string {
	return []string{"file system", "type", "size", "used", "free", "state"}
}

// choices are the file systems, to choose from; why says why one cannot be.
func (s seen) choices(why func(v1.FileSystemState) string) []frame.Option {
	var o []frame.Option
	for _, f := range s.fileSystems {
		o = append(o, frame.Option{Value: f.Name, Why: why(f),
			Cells: []string{f.Name, typeOf(f.FileSystem), sizeOf(f.Size), sizeOf(f.Used), sizeOf(f.Free), stateOf(f)}})
	}
	return o
}

// unreadable says why the files on a file system cannot be seen.
func unreadable(f v1.FileSystemState) string {
	switch {
	case f.Mounted:
		return ""
	case f.Problem != "":
		return "it is not mounted: " + f.Problem
	}
	return "it is not mounted"
}

// unwritable says why nothing can be put on a file system.
func unwritable(f v1.FileSystemState) string {
	if f.Mounted && f.ReadOnly {
		return "the kernel made it read-only after an error: look at the disk below it, then reboot"
	}
	return unreadable(f)
}

// first is the first choice that can be made, "" if there is none.
func first(o []frame.Option) string {
	for _, x := range o {
		if x.Why == "" {
			return x.Value
		}
	}
	return ""
}

// choose has one of the options chosen.
func choose(d *frame.Desk, p frame.Picker, do func(string)) {
	p.Do = func(chosen []string) {
		d.Close(&p)
		do(chosen[0])
	}
	d.Pick(&p)
}

// chooseFileSystem has one chosen; where there is none, one can be made.
func (s seen) chooseFileSystem(d *frame.Desk, p frame.Picker, why func(v1.FileSystemState) string, do func(v1.FileSystemState)) {
	if len(s.fileSystems) == 0 {
		d.Ask("There is no file system yet", "Image files are put on file systems, and the array has none. Make one on a disk, an array, a volume or an encrypted device.",
			"Add one", func() { addFileSystem(d) })
		return
	}
	p.Columns, p.Options = choiceColumns(), s.choices(why)
	choose(d, p, func(name string) {
		f, _ := s.find(name)
		do(f)
	})
}

func blockColumns() []string {
	return []string{"disk", "size", "kind", "on it", "transport", "what it is", "sector"}
}

// blocks are the block devices to choose from, and what each is by its value.
func (s seen) blocks() ([]frame.Option, map[string]v1.Disk) {
	by := map[string]v1.Disk{}
	for _, all := range [][]v1.Disk{s.storage.Disks, s.storage.Blocks} {
		for _, disk := range all {
			by[pick.Path(disk)] = disk
		}
	}
	o := pick.Blocks(s.storage)
	for i := range o {
		disk := by[o[i].Value]
		what := strings.TrimSpace(disk.Vendor + " " + disk.Model + " " + disk.Serial)
		o[i].Cells = []string{disk.ID, pick.Size(disk.Size), disk.Type, disk.Holds, disk.Transport, what, fmt.Sprint(disk.Sector)}
	}
	return o, by
}

// fileName checks the name of a file in a directory.
func fileName(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("a name is needed, such as db01.img")
	case strings.HasPrefix(s, "."):
		return fmt.Errorf("names that begin with a dot are for the array's own files")
	case strings.ContainsAny(s, "/\\\x00\n\r\t"):
		return fmt.Errorf("a name without slashes: directories are the array's matter")
	case len(s) > 200:
		return fmt.Errorf("%d characters are too many; 200 at most", len(s))
	}
	return nil
}

// place is where a file of a name is put on a file system: as the path that the
// API has, which is below the data directory if it does not begin with a slash.
func place(fileSystem, name string) string {
	if strings.EqualFold(path.Ext(name), ".iso") {
		name = "iso/" + name
	} else if fileSystem == dataDirectory {
		name = "devices/" + name
	}
	if fileSystem == dataDirectory {
		return name
	}
	return path.Join(config.MountDir, fileSystem, name)
}

// targets are what files can be put on. The data directory comes last: on an
// appliance it is in memory, and the array refuses it.
func (s seen) targets() []frame.Option {
	return append(s.choices(unwritable), frame.Option{Value: dataDirectory, Cells: []string{"data directory", "", "", "", "", "the array's own"}})
}
