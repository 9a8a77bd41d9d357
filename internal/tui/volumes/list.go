package volumes

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// fullFrom is how many percent of a pool are used when that is told; writes fail
// at 100.
const fullFrom = 80

// list shows all volumes.
func list(d *frame.Desk) {
	l := &frame.List{Title: "Volumes", Command: "esos volume list",
		Help: "All volumes, also those that volume groups have besides what is declared. FULL is how much of the space of a pool, thin volume, cache or VDO " +
			"is used: a pool that is full answers errors to writes.",
		Columns: []frame.Column{{Title: "volume", Wide: true}, {Title: "type"}, {Title: "size", Right: true}, {Title: "full", Right: true}, {Title: "cache"}, {Title: "used by"}},
		Empty:   "There are no volumes. Press a to add one; it needs a volume group (Add VG)."}
	l.Read = func(ctx context.Context) ([]frame.Row, error) {
		s, err := read(d)(ctx)
		if err != nil {
			return nil, err
		}
		var rows []frame.Row
		for _, v := range s.volumes() {
			rows = append(rows, v.row(s))
		}
		return rows, nil
	}
	on := func(do func(*frame.Desk, string)) func(frame.Row) {
		return func(r frame.Row) {
			v, ok := r.Value.(volume)
			switch {
			case ok && !v.declared:
				d.Say("It is not declared", v.full()+" is not in the array's document: ESOS leaves it as it is. It can be deleted only.")
			case ok:
				do(d, v.full())
			}
		}
	}
	l.Keys = []frame.RowKey{
		{Does: "details", Do: func(r frame.Row) {
			if v, ok := r.Value.(volume); ok {
				details(d, v.in.id(), v.Name)
			}
		}},
		{Key: 'a', Does: "add", Always: true, Do: func(r frame.Row) {
			in := ""
			if v, ok := r.Value.(volume); ok && v.in.declared != nil {
				in = v.in.name
			}
			add(d, in, "")
		}},
		{Key: 'd', Does: "delete", Do: func(r frame.Row) {
			if v, ok := r.Value.(volume); ok {
				with(d, func(s state) { removeThese(d, s, []string{v.full()}, nil) })
			}
		}},
		{Key: 'e', Does: "extend", Do: on(extend)},
		{Key: 's', Does: "shrink", Do: on(shrink)},
		{Key: 'r', Does: "rename", Do: on(rename)},
		{Key: 'o', Does: "options", Do: on(options)},
		{Key: 'c', Does: "cache", Do: on(cache)},
		{Key: 'l', Does: "clone", Do: on(clone)},
	}
	d.List(l)
}

func (v volume) row(s state) frame.Row {
	r := frame.Row{ID: v.in.id() + "/" + v.Name, Value: v, Cells: []string{v.full(), string(v.kind()), pick.Size(v.size()), "", cached(v.Cache), strings.Join(s.users(v), ", ")}}
	n := v.now
	if n != nil {
		r.Cells[3] = percent(n.Data)
	}
	switch {
	case s.problem != "":
		r.Why = "How it is now is not known: " + s.problem
	case n == nil:
		r.Level, r.Why = frame.Bad, "It is declared, and not there."
	case !v.declared:
		r.Level, r.Why = frame.Dim, "It is not declared: ESOS leaves it as it is. It can be deleted."
	case n.Health != "":
		r.Level, r.Why = frame.Bad, "LVM says of it: "+n.Health
	case !n.Active && v.kind() != config.ThinPool:
		r.Level, r.Why = frame.Warn, "It is not active."
	case full(n.Data, v) || full(n.Metadata, v):
		r.Level, r.Why = frame.Bad, fmt.Sprintf("It is %s full, its metadata %s. At 100 %% writes fail: extend it, or delete what is in it.", percent(n.Data), orNone(percent(n.Metadata)))
		if v.kind() == config.VDO {
			r.Why = fmt.Sprintf("It is %s full. At 100 %% writes fail: extend its physical room, or delete what is in it.", percent(n.Data))
		}
	}
	return r
}

// full says whether something that fails when it is full is nearly so. Thin
// volumes and caches do no harm when they are.
func full(p *float64, v volume) bool {
	return p != nil && *p >= fullFrom && (v.kind() == config.ThinPool || v.kind() == config.VDO)
}

func orNone(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// details shows all that is known of a volume.
func details(d *frame.Desk, in, name string) {
	with(d, func(s state) {
		for _, v := range s.volumes() {
			if v.in.id() == in && v.Name == name {
				d.Page(&frame.Page{Title: "Volume " + v.full(), Command: "esos volume show " + v.full(), Text: v.text(s),
					Help: "All that is known of the volume: what is declared, and what LVM tells."})
				return
			}
		}
		d.Say("It is not there any more", "Somebody deleted volume "+name+" meanwhile.")
	})
}

// pairs puts names and values into lines; those without a value are left out.
type pairs struct{ b strings.Builder }

func (p *pairs) add(name, value string) {
	if value != "" {
		fmt.Fprintf(&p.b, "%-18s %s\n", name, value)
	}
}

func size(n config.Size) string {
	if n == 0 {
		return ""
	}
	return n.Human()
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (v volume) text(s state) string {
	var p pairs
	p.add("Volume", v.full())
	if v.kind() != config.ThinPool {
		p.add("Path", v.path())
	}
	p.add("Type", string(v.kind()))
	p.add("Size", pick.Size(v.size()))
	p.add("Declared size", size(v.Size))
	p.add("Physical room", size(config.Size(v.room())))
	p.add("Pool", v.Pool)
	p.add("Clone of", v.CloneOf)
	p.add("Stripes", count(v.Stripes))
	p.add("Stripe size", size(v.StripeSize))
	p.add("Mirrors", count(v.Mirrors))
	p.add("Chunk", size(v.Chunk))
	if v.Type == config.VDO {
		p.add("Deduplication", onOff(v.Deduplication == nil || *v.Deduplication))
		p.add("Compression", onOff(v.Compression == nil || *v.Compression))
	}
	if v.ReadOnly {
		p.add("Read-only", "yes")
	}
	if v.Cache != nil {
		p.add("Cache", cached(v.Cache)+" on "+v.Cache.Device)
	}
	p.add("Made on", strings.Join(v.Devices, "\n                   "))
	p.add("Used by", strings.Join(s.users(v), "\n                   "))
	p.b.WriteByte('\n')
	switch n := v.now; {
	case s.problem != "":
		p.add("Now", "not known: "+s.problem)
	case n == nil:
		p.add("Now", "it is not there")
	default:
		v.nowText(&p)
	}
	return p.b.String()
}

func (v volume) nowText(p *pairs) {
	n := v.now
	state := "active"
	if !n.Active {
		state = "not active"
	}
	if n.Suspended {
		state += ", suspended"
	}
	if n.Open {
		state += ", in use"
	}
	p.add("Now", state)
	p.add("Health", n.Health)
	p.add("Full", percent(n.Data))
	p.add("Metadata", strings.TrimSpace(size(config.Size(n.MetadataSize))+" "+percent(n.Metadata)))
	p.add("When full", n.WhenFull)
	p.add("Saved", percent(n.Saving))
	p.add("Mode", n.Operating)
	p.add("Copies in step", percent(n.Synced))
	if n.Sync != "idle" {
		p.add("Busy with", n.Sync)
	}
	if n.Mismatches > 0 {
		p.add("Mismatches", fmt.Sprint(n.Mismatches))
	}
	if n.Dirty > 0 {
		p.add("Cache holds back", fmt.Sprintf("%d blocks", n.Dirty))
	}
	p.add("Lies on", strings.Join(n.Devices, ", "))
	p.add("UUID", n.UUID)
}
