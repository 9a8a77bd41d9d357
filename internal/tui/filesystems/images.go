package filesystems

import (
	"context"
	"path"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// library shows the image files and ISO files of all file systems.
func library(d *frame.Desk) {
	d.List(&frame.List{Title: "Image and ISO library", Command: "esos image list",
		Help:    "Image files and ISO files on the mounted file systems and in the data directory, by their names. An ISO file is put into a CD-ROM drive in the menu Devices.",
		Columns: []frame.Column{{Title: "file", Wide: true}, {Title: "file system"}, {Title: "kind"}, {Title: "size", Right: true}, {Title: "allocated", Right: true}, {Title: "used by"}},
		Read:    func(ctx context.Context) ([]frame.Row, error) { return libraryRows(ctx, d) },
		Empty:   "There is no image file and no ISO file. Press u to upload one, or a to make an image file with the device that serves it.",
		Keys:    fileKeys(d, "")})
}

func libraryRows(ctx context.Context, d *frame.Desk) ([]frame.Row, error) {
	all, problems, err := libraryFiles(ctx, d.Client())
	if err != nil {
		return nil, err
	}
	var rows []frame.Row
	for _, p := range problems {
		rows = append(rows, frame.Row{ID: p, Level: frame.Warn, Cells: []string{"(some may be missing)"}, Why: p})
	}
	for _, f := range all {
		kind, where := "image", f.FileSystem
		if f.iso() {
			kind = "iso"
		}
		if where == dataDirectory {
			where = "(data directory)"
		}
		rows = append(rows, frame.Row{ID: f.Path, Value: f, Cells: []string{f.Name, where, kind, pick.Size(f.Size), pick.Size(f.Allocated), strings.Join(f.Devices, ", ")}})
	}
	return rows, nil
}

// copies is a form for a copy.
type copies struct {
	from, on, name, proposed string
	by                       map[string]file
}

// copyImage asks for a copy of a file; from is the path of the one that is
// proposed.
func copyImage(d *frame.Desk, from string) {
	look(d, func(s seen) {
		frame.Load(d, "Look for files", func(ctx context.Context) ([]file, error) {
			all, _, err := libraryFiles(ctx, d.Client())
			return all, err
		}, func(all []file) {
			if len(all) == 0 {
				d.Say("Copy image file", "There is no image file yet. Add VDisk File makes one, Upload brings one.")
				return
			}
			c := &copies{from: from, by: map[string]file{}}
			var sources []frame.Option
			for _, f := range all {
				c.by[f.Path] = f
				sources = append(sources, frame.Option{Value: f.Path, Cells: []string{f.Name, f.FileSystem, pick.Size(f.Size), pick.Size(f.Allocated), strings.Join(f.Devices, ", ")}})
			}
			if _, ok := c.by[c.from]; !ok {
				c.from = ""
			}
			c.show(d, s, sources)
		})
	})
}

func (c *copies) show(d *frame.Desk, s seen, sources []frame.Option) {
	f := &frame.Form{Title: "Copy image file", Command: "esos image copy FROM TO", Submit: "Copy",
		Help: "On xfs and btrfs a copy to the same file system shares the blocks of the original, and takes no time and no space. Elsewhere holes stay holes: what is thin stays thin. A file that initiators write to is only copied by shared blocks, since it would change meanwhile."}
	f.Fields = []frame.Field{
		{Label: "File", One: &c.from, Options: sources, Columns: []string{"file", "file system", "size", "allocated", "used by"}, Check: frame.Needed, Changed: c.chosen, Hint: "What is copied."},
		{Label: "To file system", One: &c.on, Options: s.targets(), Columns: choiceColumns(), Check: frame.Needed, Hint: "The same one is quickest: xfs and btrfs share the blocks."},
		{Label: "Name of the copy", Text: &c.name, Check: fileName, Hint: "There must be no file of that name yet."},
	}
	c.chosen()
	f.Do = func() {
		to := place(c.on, c.name)
		d.Follow("Copy "+path.Base(c.from), func(ctx context.Context) (v1.Operation, error) { return d.Client().CopyImage(ctx, c.from, to) }, func(v1.Operation) {
			d.Close(f)
			d.Toast(frame.Good, "Done: the copy is "+to+".")
		})
	}
	d.Form(f)
}

// chosen proposes the place and the name of the copy.
func (c *copies) chosen() {
	f, ok := c.by[c.from]
	if !ok {
		return
	}
	c.on = f.FileSystem
	if c.name == c.proposed {
		base := path.Base(f.Name)
		c.proposed = strings.TrimSuffix(base, path.Ext(base)) + "-copy" + path.Ext(base)
		c.name = c.proposed
	}
}
