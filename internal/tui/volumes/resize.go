package volumes

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// extend is the form to make a volume larger.
func extend(d *frame.Desk, of string) {
	with(d, func(s state) {
		var more, room string
		at := func() volume { v, _ := s.volume(of); return v }
		f := &frame.Form{Title: "Extend LV", Command: "esos volume resize", Submit: "Plan",
			Help: "A volume is extended while it is used. The file system on it is extended by its own entry, and initiators see a larger device after it is read anew."}
		vdo := func() bool { return at().kind() == config.VDO }
		f.Fields = []frame.Field{
			{Label: "Volume", One: &of, Columns: volumeColumns(), Check: frame.Needed, Options: s.choose(func(v volume) string {
				if v.declared && v.now == nil && s.problem == "" {
					return "it is not there"
				}
				return ""
			}), Hint: "The volume that gets larger."},
			{Label: "Size", Text: &more, Hint: "The new size, or what is added with a +: 500GiB, +100GiB; +50% is half of what fits into the group."},
			{Label: "Physical room", Text: &room, Show: vdo, Hint: "Of a VDO: what it takes of the group, or with a + what is added. Its size alone only promises more."},
		}
		grown := func(have int64, text string, fits bool) (config.Size, error) {
			v := at()
			free := shape{kind: v.kind(), stripes: v.Stripes, mirrors: v.Mirrors, extent: v.in.extent(), free: v.in.free(v.Devices...)}
			if free.kind == config.ThinPool {
				free.kind = config.Linear // its metadata stays as it is
			}
			if !fits {
				free.free = -1
			}
			return larger(have, text, free)
		}
		size := func(text string) (config.Size, error) {
			v := at()
			return grown(v.size(), text, v.kind() != config.VDO && v.kind() != config.ThinDisk)
		}
		f.Fields[1].Check = func(text string) error {
			if text == "" && vdo() && room != "" {
				return nil
			}
			_, err := size(text)
			return err
		}
		f.Fields[2].Check = frame.Optional(func(text string) error {
			_, err := grown(at().room(), text, true)
			return err
		})
		intro := func() {
			v := at()
			f.Intro = "Choose the volume and its new size."
			if of != "" {
				f.Intro = fmt.Sprintf("Volume %s has %s.", of, pick.Size(v.size()))
				if vdo() {
					f.Intro = fmt.Sprintf("Volume %s shows %s and takes %s.", of, pick.Size(v.size()), pick.Size(v.room()))
				}
				if free := v.in.free(); free >= 0 {
					f.Intro += fmt.Sprintf(" Volume group %s has %s free.", v.in.name, pick.Size(free))
				}
			}
		}
		f.Fields[0].Changed = intro
		intro()
		f.Do = func() {
			v := at()
			to, physical := v.Size, v.Physical
			why := "esos volume resize " + of
			if more != "" {
				to, _ = size(more) // it was checked
				why += " " + to.String()
			}
			if room != "" && vdo() {
				physical, _ = grown(v.room(), room, true)
				why += " --physical " + physical.String()
			}
			d.Change(frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error { return resized(doc, v, to, physical) }})
		}
		d.Form(f)
	})
}

// resized gives a volume its sizes.
func resized(doc *config.Document, v volume, to, physical config.Size) error {
	_, have, err := doc.FindVolume(v.in.name, v.Name)
	if err != nil {
		return err
	}
	have.Size, have.Physical = to, physical
	return nil
}

// larger reads a size that is more than there is: a new one, or what is added.
// With free, the room that there is for it.
func larger(have int64, text string, free shape) (config.Size, error) {
	add, plus := strings.CutPrefix(strings.TrimSpace(text), "+")
	if plus {
		n, err := free.size(add)
		if err != nil {
			return 0, err
		}
		return config.Resized(config.Size(have), "+"+n.String())
	}
	if strings.HasSuffix(strings.TrimSpace(text), "%") {
		return 0, fmt.Errorf("with a + it is what is added: +50%%")
	}
	n, err := config.ParseSize(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("a new size such as 500GiB, or what is added, such as +100GiB")
	case int64(n) <= have:
		return 0, fmt.Errorf("it has %s: write more than that, or + and what is added", pick.Size(have))
	}
	if most := free.most(); most >= 0 && int64(n)-have > most {
		return 0, fmt.Errorf("it can have %s more at the most; add a device to the group for more", pick.Size(most))
	}
	return n, nil
}

// shrink is the form to cut a volume off.
func shrink(d *frame.Desk, of string) {
	with(d, func(s state) {
		var less string
		at := func() volume { v, _ := s.volume(of); return v }
		refused := func(v volume) string {
			switch users := s.users(v); {
			case v.kind() == config.ThinPool:
				return "LVM cannot make thin pools smaller: make another one, and move its volumes"
			case len(users) > 0:
				return fmt.Sprintf("it is used by %s, and what lies past its end would be lost under that; give that up first", strings.Join(users, ", "))
			case v.declared && v.now == nil && s.problem == "":
				return "it is not there"
			}
			return ""
		}
		f := &frame.Form{Title: "Shrink LV", Command: "esos volume resize", Submit: "Plan",
			Intro: "The end of the volume is cut off, and what is there is lost. The plan says how much that is, and the volume must be named before anything is done.",
			Help:  "Only volumes that nothing uses can be made smaller. It is safer to make another volume and copy."}
		f.Fields = []frame.Field{
			{Label: "Volume", One: &of, Columns: volumeColumns(), Options: s.choose(refused), Hint: "The volume that is cut off.", Check: func(full string) error {
				v, ok := s.volume(full)
				if !ok {
					return fmt.Errorf("choose a volume")
				}
				if why := refused(v); why != "" {
					return fmt.Errorf("%s", why)
				}
				return nil
			}},
			{Label: "New size", Text: &less, Hint: "Less than it has. Past it, all is lost.", Check: func(text string) error {
				n, err := config.ParseSize(text)
				switch have := at().size(); {
				case err != nil || n <= 0:
					return fmt.Errorf("a size such as 10GiB")
				case have > 0 && int64(n) >= have:
					return fmt.Errorf("it has %s: write less than that", pick.Size(have))
				}
				return nil
			}},
		}
		f.Do = func() {
			v, to := at(), optional(less)
			d.Change(frame.Change{Why: "esos volume resize " + of + " " + to.String(), From: f,
				Edit: func(doc *config.Document) error { return resized(doc, v, to, v.Physical) }})
		}
		d.Form(f)
	})
}
