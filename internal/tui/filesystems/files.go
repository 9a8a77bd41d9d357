package filesystems

import (
	"context"
	"path"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// file is a file that devices may use.
type file struct {
	Path       string // as the API has it
	FileSystem string
	Name       string // below where the file system is mounted
	Size       int64
	Allocated  int64
	Devices    []string // that use it
}

// ISO says whether it is a CD or DVD.
func (f file) iso() bool { return strings.EqualFold(path.Ext(f.Name), ".iso") }

// filesOn lists the files on a file system, or in the data directory.
func filesOn(ctx context.Context, c *client.Client, fileSystem string) ([]file, error) {
	if fileSystem == dataDirectory {
		all, _, err := libraryFiles(ctx, c)
		return slices.DeleteFunc(all, func(f file) bool { return f.FileSystem != dataDirectory }), err
	}
	stored, err := c.FilesOn(ctx, fileSystem)
	if err != nil {
		return nil, err
	}
	var all []file
	for _, s := range stored {
		f := file{Path: path.Join(config.MountDir, fileSystem, s.Path), FileSystem: fileSystem, Name: s.Path, Size: s.Size, Allocated: s.Allocated}
		if s.Device != "" {
			f.Devices = []string{s.Device}
		}
		all = append(all, f)
	}
	return all, nil
}

// libraryFiles lists the image files and ISO files of all file systems, and
// what kept some from being seen.
func libraryFiles(ctx context.Context, c *client.Client) ([]file, []string, error) {
	images, err := c.Images(ctx)
	if err != nil {
		return nil, nil, err
	}
	var all []file
	for _, i := range images.Images {
		f := file{Path: i.Path, FileSystem: i.FileSystem, Name: strings.TrimPrefix(i.Path, path.Join(config.MountDir, i.FileSystem)+"/"), Size: i.Size, Allocated: i.Allocated}
		if i.FileSystem == dataDirectory {
			f.Name = path.Join(path.Base(path.Dir(i.Path)), path.Base(i.Path))
		}
		for _, u := range i.UsedBy {
			f.Devices = append(f.Devices, strings.TrimPrefix(u, "device/"))
		}
		all = append(all, f)
	}
	return all, images.Problems, nil
}

// fileList has a file system chosen, and shows what is on it.
func fileList(d *frame.Desk) {
	chooseTree(d, frame.Picker{Title: "VDisk files", Command: "esos filesystem files NAME", Intro: "The files of which file system?"}, func(f v1.FileSystemState) { files(d, f) })
}

// chooseTree has a file system chosen, or the data directory, which is named
// only if files are there.
func chooseTree(d *frame.Desk, p frame.Picker, do func(v1.FileSystemState)) {
	look(d, func(s seen) {
		frame.Load(d, "Look for files", func(ctx context.Context) ([]file, error) {
			all, err := filesOn(ctx, d.Client(), dataDirectory)
			return all, err
		}, func(data []file) {
			if len(data) == 0 {
				s.chooseFileSystem(d, p, unreadable, do)
				return
			}
			p.Columns, p.Options = choiceColumns(), s.choices(unreadable)
			p.Options = append(p.Options, frame.Option{Value: dataDirectory, Cells: []string{"data directory", "", "", "", "", "the array's own"}})
			choose(d, p, func(name string) {
				f, ok := s.find(name)
				if !ok {
					f = v1.FileSystemState{FileSystem: config.FileSystem{Name: name}, Mounted: true}
				}
				do(f)
			})
		})
	})
}

// files shows what is on a file system.
func files(d *frame.Desk, on v1.FileSystemState) {
	if why := unreadable(on); why != "" {
		d.Warn("The files of "+on.Name+" cannot be seen", "As it is, "+why+".")
		return
	}
	name := on.Name
	title, command := "Files on "+name, "esos filesystem files "+name
	if name == dataDirectory {
		title, command = "Files in the data directory", "esos image list"
	}
	d.List(&frame.List{Title: title, Command: command,
		Help:    "Size is what a device has, allocated what the file takes of the file system: less, if it is thin. A file that a device uses is deleted with the device only.",
		Columns: []frame.Column{{Title: "file", Wide: true}, {Title: "size", Right: true}, {Title: "allocated", Right: true}, {Title: "used by"}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			all, err := filesOn(ctx, d.Client(), name)
			var rows []frame.Row
			for _, f := range all {
				rows = append(rows, frame.Row{ID: f.Path, Value: f, Cells: []string{f.Name, pick.Size(f.Size), pick.Size(f.Allocated), strings.Join(f.Devices, ", ")}})
			}
			return rows, err
		},
		Empty: "There is no file here. Press a to make an image file with the device that serves it, or u to upload one.",
		Keys:  fileKeys(d, name)})
}

// fileKeys are what can be done with files; on is the file system that new ones
// go to by default, "" for any.
func fileKeys(d *frame.Desk, on string) []frame.RowKey {
	of := func(do func(file)) func(frame.Row) {
		return func(r frame.Row) {
			if f, ok := r.Value.(file); ok {
				do(f)
			}
		}
	}
	target := on
	if on == dataDirectory {
		target = ""
	}
	return []frame.RowKey{
		{Does: "details", Do: of(func(f file) { showFile(d, f) })},
		{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { addVDisk(d, target) }},
		{Key: 'c', Does: "copy", Do: of(func(f file) { copyImage(d, f.Path) })},
		{Key: 'u', Does: "upload", Always: true, Do: func(frame.Row) { uploadImage(d, on) }},
		{Key: 'd', Does: "remove", Do: of(func(f file) { removeFile(d, f) })},
	}
}

// showFile shows all of a file.
func showFile(d *frame.Desk, f file) {
	t := pairs{}
	t.add("path", f.Path)
	t.add("size", pick.Size(f.Size))
	t.add("allocated", pick.Size(f.Allocated))
	switch {
	case f.Allocated < f.Size:
		t.add("space", "thin: the rest is taken as it is written")
	default:
		t.add("space", "all of it is taken")
	}
	used := strings.Join(f.Devices, ", ")
	if used == "" {
		used = "no device"
	}
	t.add("used by", used)
	d.Page(&frame.Page{Title: "File " + path.Base(f.Name), Command: "esos image list", Text: t.text()})
}
