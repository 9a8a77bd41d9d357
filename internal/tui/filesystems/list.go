package filesystems

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// fileSystemList shows the file systems, and what can be done to them.
func fileSystemList(d *frame.Desk) {
	of := func(do func(v1.FileSystemState)) func(frame.Row) {
		return func(r frame.Row) {
			if f, ok := r.Value.(v1.FileSystemState); ok {
				do(f)
			}
		}
	}
	d.List(&frame.List{Title: "File systems", Command: "esos filesystem list",
		Help:    "File systems hold the image files of vdisk_fileio devices and ISO files. They are mounted at /mnt/vdisks/NAME, again at each boot, and grow with their device by themselves.",
		Columns: []frame.Column{{Title: "name"}, {Title: "state"}, {Title: "size", Right: true}, {Title: "free", Right: true}, {Title: "used", Right: true}, {Title: "type"}, {Title: "trim"}, {Title: "device", Wide: true}},
		Read:    func(ctx context.Context) ([]frame.Row, error) { return fileSystemRows(ctx, d) },
		Empty:   "There is no file system. Press a to make one on a disk, an array, a volume or an encrypted device.",
		Keys: []frame.RowKey{
			{Does: "details", Do: of(func(f v1.FileSystemState) { showFileSystem(d, f) })},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { addFileSystem(d) }},
			{Key: 'f', Does: "files", Do: of(func(f v1.FileSystemState) { files(d, f) })},
			{Key: 'g', Does: "grow", Do: of(func(f v1.FileSystemState) { grow(d, f) })},
			{Key: 'e', Does: "edit", Do: of(func(f v1.FileSystemState) { setFileSystem(d, f) })},
			{Key: 't', Does: "trim", Do: of(func(f v1.FileSystemState) { trim(d, f) })},
			{Key: 'c', Does: "check", Do: of(func(f v1.FileSystemState) { check(d, f) })},
			{Key: 'd', Does: "remove", Do: of(func(f v1.FileSystemState) { removeFileSystem(d, f) })},
		}})
}

func fileSystemRows(ctx context.Context, d *frame.Desk) ([]frame.Row, error) {
	all, err := d.Client().FileSystems(ctx)
	if err != nil {
		return nil, err
	}
	var rows []frame.Row
	for _, f := range all {
		used := ""
		if f.Size > 0 {
			used = fmt.Sprintf("%d %%", f.Used*100/f.Size)
		}
		trims := f.Trim
		if trims == "" {
			trims = "weekly"
		}
		rows = append(rows, frame.Row{ID: f.Name, Value: f, Level: levelOf(f), Why: f.Problem,
			Cells: []string{f.Name, stateOf(f), sizeOf(f.Size), sizeOf(f.Free), used, typeOf(f.FileSystem), trims, f.Device}})
	}
	return rows, nil
}

func levelOf(f v1.FileSystemState) frame.Level {
	switch {
	case !f.Mounted, f.ReadOnly:
		return frame.Bad
	case f.Problem != "", f.Size > 0 && f.Used >= f.Size/10*9:
		return frame.Warn
	}
	return frame.Plain
}

// showFileSystem shows all of a file system.
func showFileSystem(d *frame.Desk, f v1.FileSystemState) {
	look(d, func(s seen) {
		now, ok := s.find(f.Name)
		if !ok {
			d.Say("File system "+f.Name, "It is not there any more.")
			return
		}
		f = now
		t := pairs{}
		t.add("name", f.Name)
		t.add("mounted at", f.Path)
		t.add("state", stateOf(f))
		t.add("problem", f.Problem)
		t.add("type", typeOf(f.FileSystem))
		t.add("device", f.Device)
		t.add("size", sizeOf(f.Size))
		t.add("used", sizeOf(f.Used))
		t.add("free", sizeOf(f.Free))
		t.add("mount options", strings.Join(f.Options, ", "))
		t.add("trim", f.Trim)
		t.add("uuid", f.UUID)
		t.add("devices on it", strings.Join(devicesOn(s.doc, f.FileSystem), ", "))
		t.add("grows", growsBy(s.doc, f.Device))
		d.Page(&frame.Page{Title: "File system " + f.Name, Command: "esos filesystem show " + f.Name, Text: t.text(),
			Help: "The state of the file system when this was opened.",
			Keys: []frame.PageKey{{Key: 'f', Does: "files", Do: func() { files(d, f) }}}})
	})
}

// pairs are names and values, a line each.
type pairs struct{ rows [][2]string }

// add adds a line, unless there is nothing to say.
func (p *pairs) add(name, value string) {
	if value != "" {
		p.rows = append(p.rows, [2]string{name, value})
	}
}

func (p *pairs) text() string {
	w := 0
	for _, r := range p.rows {
		w = max(w, len(r[0]))
	}
	var b strings.Builder
	for _, r := range p.rows {
		fmt.Fprintf(&b, "%-*s  %s\n", w, r[0], r[1])
	}
	return b.String()
}

// trim tells the disks what is unused. It may take longer than a question to
// the array may: so it is the command.
func trim(d *frame.Desk, f v1.FileSystemState) {
	if why := unreadable(f); why != "" {
		d.Warn("File system "+f.Name+" cannot be trimmed", "As it is, "+why+".")
		return
	}
	d.Command("Trim file system "+f.Name, nil, "filesystem", "trim", f.Name)
}

// check looks for damage.
func check(d *frame.Desk, f v1.FileSystemState) {
	d.Command("Look for damage on file system "+f.Name, nil, "filesystem", "check", f.Name)
}

// setFileSystem changes how a file system is mounted and trimmed.
func setFileSystem(d *frame.Desk, s v1.FileSystemState) {
	options, trims := strings.Join(s.Options, ","), s.Trim
	if trims == "" {
		trims = "weekly"
	}
	f := &frame.Form{Title: "Edit file system " + s.Name, Command: "esos filesystem set " + s.Name + " --trim weekly --option discard", Submit: "Go on",
		Help: "Options that are added take effect at once. Those that are taken away do when the file system is mounted anew: at once if no device is on it, else at the next boot."}
	f.Fields = []frame.Field{optionsField(&options), trimField(&trims)}
	f.Do = func() {
		d.Change(frame.Change{Why: setCommand("esos filesystem set "+s.Name, options, trims), From: f, Edit: func(doc *config.Document) error {
			v, err := doc.FindFileSystem(s.Name)
			if err != nil {
				return err
			}
			v.Options = frame.Words(options)
			if trims != "weekly" || v.Trim != "" {
				v.Trim = trims
			}
			return nil
		}})
	}
	d.Form(f)
}

func setCommand(command, options, trims string) string {
	if trims != "" {
		command += " --trim " + trims
	}
	return command + " --option " + quoted(strings.Join(frame.Words(options), ","))
}

func quoted(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

func optionsField(options *string) frame.Field {
	return frame.Field{Label: "Mount options", Text: options, Hint: "further ones, such as discard; nothing is best. nosuid, nodev, noexec and noatime are always set.",
		Check: frame.Each(func(s string) error {
			if strings.ContainsAny(s, "\"'\\`$;&|<>") {
				return fmt.Errorf("no mount option has such a character")
			}
			return nil
		})}
}

func trimField(trims *string) frame.Field {
	return frame.Field{Label: "Trim", One: trims, Hint: "How often unused space is told to the disks: thin volumes and SSDs need it.", Columns: []string{"how often", "when it is good"},
		Options: []frame.Option{
			{Value: "weekly", Cells: []string{"weekly", "Sunday at 03:30: good for nearly all"}},
			{Value: "daily", Cells: []string{"daily", "03:30: where files come and go often, on thin volumes"}},
			{Value: "never", Cells: []string{"never", "disks that do not know it, or the option discard"}},
		}}
}
