package volumes

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// any lets every volume be chosen that is declared.
func anyOf(volume) string { return "" }

// rename is the form to give a volume another name.
func rename(d *frame.Desk, of string) {
	with(d, func(s state) {
		var name string
		f := &frame.Form{Title: "Rename LV", Command: "esos volume rename", Submit: "Plan",
			Intro: "What stands on the volume, file systems, devices, clones, finds it by its new name.",
			Help:  "A volume is renamed while it is used."}
		f.Fields = []frame.Field{
			{Label: "Volume", One: &of, Columns: volumeColumns(), Options: s.choose(anyOf), Check: frame.Needed, Hint: "The volume that gets another name."},
			{Label: "New name", Text: &name, Hint: "Its path is /dev/GROUP/NAME then.", Check: func(text string) error {
				v, _ := s.volume(of)
				var taken []string
				for _, w := range v.in.volumes() {
					taken = append(taken, w.Name)
				}
				return volumeName(taken)(text)
			}},
		}
		f.Do = func() {
			group, from, _ := config.SplitVolume(of)
			d.Change(frame.Change{Why: fmt.Sprintf("esos volume rename %s %s", of, name), From: f,
				Edit: func(doc *config.Document) error { return doc.RenameVolume(group, from, name) }})
		}
		d.Form(f)
	})
}

// options is the form of what of a volume can be changed besides.
func options(d *frame.Desk, of string) {
	with(d, func(s state) {
		var readOnly, deduplicate, compress bool
		var metadata string
		at := func() volume { v, _ := s.volume(of); return v }
		is := func(kinds ...config.VolumeType) func() bool {
			return func() bool {
				for _, k := range kinds {
					if of != "" && at().kind() == k {
						return true
					}
				}
				return false
			}
		}
		begin := func() {
			v := at()
			readOnly = v.ReadOnly
			deduplicate, compress = v.Deduplication == nil || *v.Deduplication, v.Compression == nil || *v.Compression
			metadata = ""
		}
		f := &frame.Form{Title: "LV Options", Command: "esos volume set", Submit: "Plan", Help: "What of a volume can be changed while it is used."}
		f.Fields = []frame.Field{
			{Label: "Volume", One: &of, Columns: volumeColumns(), Options: s.choose(anyOf), Check: frame.Needed, Changed: begin, Hint: "The volume that is changed."},
			{Label: "Read-only", Yes: &readOnly, Show: is(config.Linear, config.Striped, config.RAID1, config.RAID5, config.RAID6, config.RAID10, config.ThinDisk), Hint: "Writes to it are refused."},
			{Label: "Deduplication", Yes: &deduplicate, Show: is(config.VDO), Hint: "Equal blocks are stored once: of what is written from now on."},
			{Label: "Compression", Yes: &compress, Show: is(config.VDO), Hint: "Blocks are compressed: of what is written from now on."},
			{Label: "Metadata", Text: &metadata, Show: is(config.ThinPool), Hint: "The new room for the pool's metadata, or with a + what is added; 16GiB at the most. Nothing: as it is.",
				Check: frame.Optional(func(text string) error {
					v := at()
					if v.now == nil {
						return frame.Size(true)(text)
					}
					_, err := larger(v.now.MetadataSize, text, shape{kind: config.Linear, extent: v.in.extent(), free: v.in.free()})
					return err
				})},
		}
		begin()
		f.Do = func() {
			v, why := at(), "esos volume set "+of
			was := v.Volume
			flag := func(shown bool, name string, to *bool, have, want bool) {
				if shown && have != want {
					*to = want
					why += fmt.Sprintf(" --%s=%t", name, want)
				}
			}
			d1, c1 := was.Deduplication == nil || *was.Deduplication, was.Compression == nil || *was.Compression
			flag(f.Fields[1].Show(), "read-only", &v.ReadOnly, was.ReadOnly, readOnly)
			flag(is(config.VDO)(), "deduplication", &d1, d1, deduplicate)
			flag(is(config.VDO)(), "compression", &c1, c1, compress)
			var room config.Size
			if metadata != "" && is(config.ThinPool)() {
				have := int64(0)
				if v.now != nil {
					have = v.now.MetadataSize
				}
				room, _ = larger(have, metadata, shape{kind: config.Linear, extent: v.in.extent(), free: -1})
				why += " --metadata " + room.String()
			}
			d.Change(frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error {
				_, now, err := doc.FindVolume(v.in.name, v.Name)
				if err != nil {
					return err
				}
				now.ReadOnly = v.ReadOnly
				if v.kind() == config.VDO && (d1 != (now.Deduplication == nil || *now.Deduplication)) {
					now.Deduplication = new(d1)
				}
				if v.kind() == config.VDO && (c1 != (now.Compression == nil || *now.Compression)) {
					now.Compression = new(c1)
				}
				if room > 0 {
					now.Metadata = room
				}
				return nil
			}})
		}
		d.Form(f)
	})
}

// clone is the form of a volume that begins with what another one holds.
func clone(d *frame.Desk, of string) {
	with(d, func(s state) {
		var name, larger string
		var readOnly bool
		thin := func(v volume) string {
			if v.kind() != config.ThinDisk {
				return fmt.Sprintf("it is %s: only thin volumes have clones", v.kind())
			}
			return ""
		}
		origins := s.choose(thin)
		for _, g := range s.groups() {
			if g.declared == nil || g.now == nil {
				continue
			}
			for _, v := range g.now.Volumes {
				if v.Snapshot && !v.Declared {
					origins = append(origins, frame.Option{Value: g.name + "/" + v.Name, Cells: []string{g.name + "/" + v.Name, "snapshot", pick.Size(v.Size)}})
				}
			}
		}
		f := &frame.Form{Title: "Clone LV", Command: "esos volume clone", Submit: "Plan",
			Intro: "The clone takes space only for what is written to either later, and neither depends on the other.",
			Help:  "Snapshots makes a device of a snapshot and gives it to a host group in one step."}
		origin := func() (in group, name string, has int64) {
			group, name, _ := strings.Cut(of, "/")
			in = s.find(group)
			if n := in.state(name); n != nil {
				has = n.Size
			}
			return in, name, has
		}
		f.Fields = []frame.Field{
			{Label: "Begins with", One: &of, Columns: []string{"volume", "type", "size"}, Options: origins, Hint: "A thin volume, or a snapshot of a device on one.",
				Check: func(full string) error {
					for _, o := range origins {
						if o.Value == full && o.Why != "" {
							return fmt.Errorf("%s", o.Why)
						}
					}
					return frame.Needed(full)
				}},
			{Label: "Name", Text: &name, Hint: "Of the clone, in the same volume group.", Check: func(text string) error {
				in, _, _ := origin()
				var taken []string
				for _, w := range in.volumes() {
					taken = append(taken, w.Name)
				}
				return volumeName(taken)(text)
			}},
			{Label: "Size", Text: &larger, Hint: "A larger one than it begins with. Nothing: the same.", Check: frame.Optional(func(text string) error {
				_, _, has := origin()
				n, err := config.ParseSize(text)
				if err != nil || n <= 0 {
					return fmt.Errorf("a size such as 10GiB, or nothing")
				}
				if int64(n) < has {
					return fmt.Errorf("it begins with %s: write as much or more", pick.Size(has))
				}
				return nil
			})},
			{Label: "Read-only", Yes: &readOnly, Hint: "Writes to it are refused."},
		}
		f.Do = func() {
			in, from, _ := origin()
			v := config.Volume{Name: name, CloneOf: from, Size: optional(larger), ReadOnly: readOnly}
			if n := in.state(from); n != nil {
				v.Pool = n.Pool
			}
			why := fmt.Sprintf("esos volume clone %s %s", of, name)
			if larger != "" {
				why += " --size " + v.Size.String()
			}
			if readOnly {
				why += " --read-only"
			}
			d.Change(frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error { return doc.CloneVolume(in.name, v) }})
		}
		d.Form(f)
	})
}
