package filesystems

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// chooseRemoval has the file system chosen that is to go.
func chooseRemoval(d *frame.Desk) {
	look(d, func(s seen) {
		s.chooseFileSystem(d, frame.Picker{Title: "Remove file system", Command: "esos filesystem delete NAME", Intro: "Which one?",
			Help: "A file system that devices have their files on stays until these are removed."},
			func(f v1.FileSystemState) string { return keptBy(s.doc, f) },
			func(f v1.FileSystemState) { removeFileSystem(d, f) })
	})
}

// keptBy says why a file system cannot go.
func keptBy(doc *config.Document, f v1.FileSystemState) string {
	on := devicesOn(doc, f.FileSystem)
	switch len(on) {
	case 0:
		return ""
	case 1:
		return "device " + on[0] + " has its file there: remove that device first"
	}
	return "devices " + strings.Join(on, ", ") + " have their files there: remove these first"
}

// removal is what is known of a file system that is to go.
type removal struct {
	doc   *config.Document
	files []v1.StoredFile
	blind string // why they could not be listed
}

// removeFileSystem asks what becomes of what a file system holds, with the list
// of it, and removes it.
func removeFileSystem(d *frame.Desk, s v1.FileSystemState) {
	frame.Load(d, "Read what is on file system "+s.Name, func(ctx context.Context) (r removal, err error) {
		if r.doc, err = d.Document(ctx); err != nil || !s.Mounted {
			return r, err
		}
		if r.files, err = d.Client().FilesOn(ctx, s.Name); err != nil {
			r.blind = err.Error()
		}
		return r, nil
	}, func(r removal) {
		if why := keptBy(r.doc, s); why != "" {
			d.Warn("File system "+s.Name+" cannot be removed", "As it is, "+why+". File Systems, Remove VDisk File leads to it.")
			return
		}
		what := "keep"
		f := &frame.Form{Title: "Remove file system " + s.Name, Command: "esos filesystem delete " + s.Name + " --destroy filesystem/" + s.Name, Submit: "Go on",
			Help: "Given up, it is unmounted and what it holds stays on its device: declared again, it is back. Deleted, all of it is lost."}
		f.Fields = []frame.Field{
			{Note: holds(s, r)},
			{Label: "What it holds", One: &what, Columns: []string{"", "what that means"}, Hint: "Kept is safe: it can be taken up again. To delete it, its name has to be typed.",
				Options: []frame.Option{
					{Value: "keep", Cells: []string{"stays", "unmounted; Add File System takes it up again"}},
					{Value: "delete", Cells: []string{"is deleted", "all files on it are lost"}},
				}},
		}
		f.Do = func() {
			c := frame.Change{Why: "esos filesystem delete " + s.Name, From: f, Edit: func(doc *config.Document) error { return doc.RemoveFileSystem(s.Name) }}
			if what == "delete" {
				c.Destroy = []string{"filesystem/" + s.Name}
				c.Why += " --destroy filesystem/" + s.Name
			}
			d.Change(c)
		}
		d.Form(f)
	})
}

// mostNamed is how many files are named before the rest is counted.
const mostNamed = 8

// holds says what is on a file system.
func holds(s v1.FileSystemState, r removal) string {
	switch {
	case !s.Mounted:
		return "It is not mounted: what it holds cannot be seen."
	case r.blind != "":
		return "What it holds could not be listed: " + r.blind
	case len(r.files) == 0:
		return "There is no file on it."
	}
	var b strings.Builder
	if len(r.files) == 1 {
		b.WriteString("It holds one file:")
	} else {
		fmt.Fprintf(&b, "It holds %d files:", len(r.files))
	}
	for i, f := range r.files {
		if i == mostNamed {
			fmt.Fprintf(&b, "\n    and %d more", len(r.files)-i)
			break
		}
		fmt.Fprintf(&b, "\n    %s, %s", f.Path, pick.Size(f.Size))
	}
	return b.String()
}
