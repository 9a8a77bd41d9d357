package volumes

import (
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// What may be in front of a volume, as it is chosen.
const (
	noCache      = "none"
	writeThrough = "writethrough"
	writeBack    = "writeback"
	writeCache   = "writecache"
)

// cache is the form of the cache of a volume.
func cache(d *frame.Desk, of string) {
	with(d, func(s state) {
		var kind, on, room string
		at := func() volume { v, _ := s.volume(of); return v }
		refused := func(v volume) string {
			switch v.kind() {
			case config.ThinPool, config.ThinDisk, config.VDO:
				return fmt.Sprintf("volumes of type %s have no cache", v.kind())
			}
			return ""
		}
		f := &frame.Form{Title: "LV Cache", Command: "esos volume cache", Submit: "Plan",
			Help: "A cache lies on a faster device of the same volume group, and is put in front of a volume, or taken away, while that is used. Taking it away writes back what it holds first."}
		some := func() bool { return kind != noCache }
		f.Fields = []frame.Field{
			{Label: "Volume", One: &of, Columns: volumeColumns(), Options: s.choose(refused), Hint: "The volume that gets faster.", Check: func(full string) error {
				if v, ok := s.volume(full); !ok || refused(v) != "" {
					return fmt.Errorf("choose a volume that can have a cache")
				}
				return nil
			}},
			{Label: "Cache", One: &kind, Columns: []string{"cache", "holds", "if its device fails"}, Check: frame.Needed, Options: []frame.Option{
				{Value: noCache, Cells: []string{noCache, "", ""}},
				{Value: writeThrough, Cells: []string{writeThrough, "what is read often", "nothing is lost"}},
				{Value: writeBack, Cells: []string{writeBack, "what is read and written often", "the volume is lost"}},
				{Value: writeCache, Cells: []string{writeCache, "what is written", "the volume is lost"}},
			}, Hint: "writethrough is safe. Put the other two on a mirror only (an array of level 1 or 10): they hold writes that are nowhere else."},
			{Label: "On device", One: &on, Columns: deviceColumns(), Show: some, Check: frame.Needed, Hint: "A device of the same volume group, faster than what the volume lies on."},
			{Label: "Size", Text: &room, Show: some, Hint: "Of the cache, such as 100GiB; at least 8MiB. Keep a writecache to tens of GiB: it needs memory.",
				Check: func(text string) error {
					v := at()
					free := shape{kind: config.Linear, extent: v.in.extent(), free: v.in.free(on)}
					if on == "" || v.Cache != nil {
						free.free = -1
					}
					n, err := free.size(text)
					if err == nil && n < 8<<20 {
						err = fmt.Errorf("at least 8MiB")
					}
					return err
				}},
		}
		begin := func() {
			v := at()
			kind, on, room = "", "", ""
			f.Fields[2].Options = v.in.deviceOptions(nil)
			f.Intro = "Choose the volume and what is in front of it."
			if of != "" {
				kind = noCache
				f.Intro = fmt.Sprintf("Volume %s of %s has no cache.", of, pick.Size(v.size()))
			}
			if k := v.Cache; k != nil {
				on, room, kind = k.Device, k.Size.String(), writeThrough
				switch {
				case k.Type == writeCache:
					kind = writeCache
				case k.Mode == writeBack:
					kind = writeBack
				}
				f.Intro = fmt.Sprintf("Volume %s of %s has a cache: %s on %s.", of, pick.Size(v.size()), cached(k), k.Device)
			}
		}
		f.Fields[0].Changed = begin
		begin()
		f.Do = func() { setCache(d, f, at(), kind, on, optional(room)) }
		d.Form(f)
	})
}

func setCache(d *frame.Desk, f *frame.Form, v volume, kind, on string, room config.Size) {
	var want *config.Cache
	why := "esos volume uncache " + v.full()
	if kind != noCache {
		want = &config.Cache{Device: on, Size: room}
		why = fmt.Sprintf("esos volume cache %s --device %s --size %s", v.full(), on, room)
		switch kind {
		case writeBack:
			want.Mode = writeBack
			why += " --mode " + writeBack
		case writeCache:
			want.Type = writeCache
			why += " --type " + writeCache
		}
	}
	d.Change(frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error {
		_, now, err := doc.FindVolume(v.in.name, v.Name)
		if err != nil {
			return err
		}
		now.Cache = nil
		if want != nil {
			now.Cache = new(*want)
		}
		return nil
	}})
}
