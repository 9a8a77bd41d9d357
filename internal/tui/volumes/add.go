package volumes

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// add is the form of a new volume, in a group and of a type if they are known.
func add(d *frame.Desk, in string, kind config.VolumeType) {
	with(d, func(s state) {
		if len(s.doc.Storage.VolumeGroups) == 0 {
			d.Choose("There are no volume groups", "A volume is cut from a volume group, and there is none. Make one of disks or arrays first.",
				frame.Answer{Text: "Add VG", Do: func() { addGroup(d) }}, frame.Answer{Text: "Cancel", Do: func() {}})
			return
		}
		if in == "" && len(s.doc.Storage.VolumeGroups) == 1 {
			in = s.doc.Storage.VolumeGroups[0].Name
		}
		n := &newVolume{d: d, s: s, in: in, kind: string(cmp.Or(kind, config.Linear)), deduplicate: true, compress: true}
		n.show()
	})
}

// newVolume is what was typed of a new volume.
type newVolume struct {
	d *frame.Desk
	s state
	f *frame.Form

	in, kind, name, size, pool, stripes, stripeSize, mirrors string
	physical, metadata, chunk                                string
	on                                                       []string
	deduplicate, compress                                    bool
}

func (n *newVolume) is(types ...config.VolumeType) func() bool {
	return func() bool { return slices.Contains(types, config.VolumeType(n.kind)) }
}

func (n *newVolume) show() {
	n.f = &frame.Form{Title: "Add LV", Command: "esos volume create", Submit: "Plan", Do: n.submit,
		Help: "A volume is a block device, /dev/GROUP/VOLUME, for a device that initiators see or for a file system with image files. Sizes are rounded up to whole extents."}
	n.f.Fields = []frame.Field{
		{Label: "Volume group", One: &n.in, Columns: groupColumns(), Options: n.s.declaredGroups(), Check: frame.Needed, Changed: n.other, Hint: "The group whose space it takes."},
		{Label: "Type", One: &n.kind, Columns: []string{"type", "what it is"}, Changed: n.other, Check: n.fits,
			Hint: "linear is right on arrays, which have redundancy of their own. thin has snapshots and clones."},
		{Label: "Name", Text: &n.name, Check: n.checkName, Hint: "Its path is /dev/GROUP/NAME."},
		{Label: "Thin pool", One: &n.pool, Columns: []string{"pool", "size", "full", "promised"}, Show: n.is(config.ThinDisk), Check: frame.Needed,
			Hint: "Whose space it takes as it is written. What is promised may be more than the pool has, but then it may fill up."},
		{Label: "Size", Text: &n.size, Check: n.checkSize, Hint: "What its users see, such as 500GiB or 1.5TB; 50% is half of what fits into the group, 100% all of it."},
		{Label: "Physical room", Text: &n.physical, Show: n.is(config.VDO), Check: n.checkPhysical,
			Hint: "What it takes of the group, at least 5GiB (or 50% of what is free). Begin with little: it can be extended."},
		{Label: "Deduplication", Yes: &n.deduplicate, Show: n.is(config.VDO), Hint: "Equal blocks are stored once."},
		{Label: "Compression", Yes: &n.compress, Show: n.is(config.VDO), Hint: "Blocks are compressed before they are stored."},
		{Label: "Stripes", Text: &n.stripes, Show: n.is(config.Striped, config.RAID5, config.RAID6, config.RAID10), Check: n.checkStripes,
			Hint: "How many devices data is spread over, without those for parity and copies. Nothing: as few as the type can have."},
		{Label: "Stripe size", Text: &n.stripeSize, Show: n.is(config.Striped, config.RAID5, config.RAID6, config.RAID10), Check: stripeSize, Hint: "A power of two from 4KiB. Nothing: 64KiB."},
		{Label: "Copies besides the first", Text: &n.mirrors, Show: n.is(config.RAID1, config.RAID10), Check: frame.Optional(frame.Number(1, 9)), Hint: "Nothing: 1. Each is on a device of its own."},
		{Label: "Metadata", Text: &n.metadata, Show: n.is(config.ThinPool), Check: frame.Size(true), Hint: "About 1GiB for 1TiB of data in chunks of 64KiB, and as much again for a repair. Nothing: LVM's choice; it can be extended."},
		{Label: "Chunk", Text: &n.chunk, Show: n.is(config.ThinPool), Check: chunk, Hint: "What its space is handed out in, 64KiB (many snapshots) to 1GiB. Nothing: LVM's choice."},
		{Label: "On devices", Many: &n.on, Columns: deviceColumns(), Show: func() bool { return n.kind != string(config.ThinDisk) }, Changed: n.other,
			Hint: "Devices of the group to make it on. None: those with room."},
	}
	n.other()
	n.d.Form(n.f)
}

// field finds a field by its label.
func field(f *frame.Form, label string) *frame.Field {
	for i := range f.Fields {
		if f.Fields[i].Label == label {
			return &f.Fields[i]
		}
	}
	return &frame.Field{}
}

// other follows a change of the group, the type or the devices: what can be
// chosen depends on them.
func (n *newVolume) other() {
	g := n.s.find(n.in)
	field(n.f, "Type").Options = n.types(g)
	field(n.f, "On devices").Options = g.deviceOptions(nil)
	n.on = slices.DeleteFunc(n.on, func(path string) bool { return !slices.Contains(g.devices(), path) })
	var pools []frame.Option
	for _, v := range g.volumes() {
		if v.declared && v.Type == config.ThinPool {
			pools = append(pools, v.asPool())
		}
	}
	field(n.f, "Thin pool").Options = pools
	if !slices.ContainsFunc(pools, func(o frame.Option) bool { return o.Value == n.pool }) {
		n.pool = ""
	}
	if len(pools) == 1 {
		n.pool = pools[0].Value
	}
	n.f.Intro = "Choose the volume group that it is cut from."
	if free := g.free(n.on...); free >= 0 && n.in != "" {
		n.f.Intro = fmt.Sprintf("Volume group %s has %s free on %s.", n.in, pick.Size(free), devicesText(len(g.devices()), len(n.on)))
	}
}

func devicesText(all, chosen int) string {
	switch {
	case chosen > 0:
		return fmt.Sprintf("the %d chosen of %d devices", chosen, all)
	case all == 1:
		return "1 device"
	}
	return fmt.Sprintf("%d devices", all)
}

// asPool is a thin pool to be chosen: how full it is, and how much of it was
// promised.
func (v volume) asPool() frame.Option {
	var promised int64
	for _, w := range v.in.volumes() {
		if w.Pool == v.Name {
			promised += w.size()
		}
	}
	var now string
	if v.now != nil {
		now = percent(v.now.Data)
	}
	return frame.Option{Value: v.Name, Cells: []string{v.Name, pick.Size(v.size()), now, pick.Size(promised)}}
}

// types are the types of volumes; those that the group cannot have say why.
func (n *newVolume) types(g group) []frame.Option {
	var o []frame.Option
	has := len(g.devices())
	for _, t := range []struct {
		kind    config.VolumeType
		devices int
		text    string
	}{
		{config.Linear, 1, "on one device, or one after the other"},
		{config.Striped, 2, "spread over devices: fast, lost with any of them"},
		{config.RAID1, 2, "the same on two devices or more"},
		{config.RAID5, 3, "spread, one device may fail"},
		{config.RAID6, 5, "spread, two devices may fail"},
		{config.RAID10, 4, "spread over pairs of devices"},
		{config.ThinPool, 1, "the space that thin volumes share"},
		{config.ThinDisk, 1, "takes space as it is written; snapshots, clones"},
		{config.VDO, 1, "equal blocks once, compressed"},
	} {
		why := ""
		switch {
		case n.in == "":
		case has < t.devices:
			why = fmt.Sprintf("it needs %d devices, and volume group %s has %d; Add PV adds some", t.devices, n.in, has)
		case t.kind == config.ThinDisk && !slices.ContainsFunc(g.volumes(), func(v volume) bool { return v.declared && v.Type == config.ThinPool }):
			why = fmt.Sprintf("volume group %s has no thin pool to make it in; add one first (thin_pool)", n.in)
		}
		o = append(o, frame.Option{Value: string(t.kind), Cells: []string{string(t.kind), t.text}, Why: why})
	}
	return o
}

// fits refuses a type that the group cannot have.
func (n *newVolume) fits(kind string) error {
	for _, o := range field(n.f, "Type").Options {
		if o.Value == kind && o.Why != "" {
			return fmt.Errorf("%s: %s", kind, o.Why)
		}
	}
	return nil
}

func (n *newVolume) checkName(s string) error {
	var taken []string
	for _, v := range n.s.find(n.in).volumes() {
		taken = append(taken, v.Name)
	}
	return volumeName(taken)(s)
}

// volumeName checks the name of a new volume.
func volumeName(taken []string) func(string) error {
	check := frame.Name(64, taken)
	return func(s string) error {
		switch err := check(s); {
		case err != nil:
			return err
		case config.KeptByLVM(s), s == "snapshot", strings.HasPrefix(s, "pvmove"):
			return fmt.Errorf("%s is a name that LVM keeps for itself", s)
		}
		return nil
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

func (n *newVolume) shape() shape {
	g := n.s.find(n.in)
	return shape{kind: config.VolumeType(n.kind), stripes: number(n.stripes), mirrors: number(n.mirrors), metadata: int64(optional(n.metadata)), extent: g.extent(), free: g.free(n.on...)}
}

func (n *newVolume) checkSize(s string) error {
	_, err := n.sized(s)
	return err
}

// sized is the size that its users see.
func (n *newVolume) sized(s string) (config.Size, error) {
	at := n.shape()
	if at.kind == config.VDO || at.kind == config.ThinDisk {
		at.free = -1 // it is promised only
	}
	return at.size(s)
}

func (n *newVolume) checkPhysical(s string) error {
	v, err := n.shape().size(s)
	if err == nil && v < 5<<30 {
		err = fmt.Errorf("at least 5GiB: its index and one slab need that")
	}
	return err
}

func (n *newVolume) checkStripes(s string) error {
	at := n.shape()
	if s == "" && at.kind != config.Striped {
		return nil
	}
	least, most := at.stripesOf(len(n.s.find(n.in).devices()))
	if v := number(s); v < least || v > most {
		return fmt.Errorf("%d to %d: the group has %d devices", least, most, len(n.s.find(n.in).devices()))
	}
	return nil
}

func stripeSize(s string) error {
	if s == "" {
		return nil
	}
	if v, err := config.ParseSize(s); err != nil || v < 4<<10 || v&(v-1) != 0 {
		return fmt.Errorf("a power of two from 4KiB, such as 64KiB")
	}
	return nil
}

func chunk(s string) error {
	if s == "" {
		return nil
	}
	if v, err := config.ParseSize(s); err != nil || v < 64<<10 || v > 1<<30 || v%(64<<10) != 0 {
		return fmt.Errorf("a multiple of 64KiB up to 1GiB")
	}
	return nil
}

func (n *newVolume) submit() {
	at := n.shape()
	v := config.Volume{Name: n.name, Type: at.kind}
	if at.kind == config.Linear {
		v.Type = "" // the default is not written out
	}
	v.Size, _ = n.sized(n.size) // it was checked
	why := fmt.Sprintf("esos volume create %s/%s", n.in, n.name)
	if v.Type != "" {
		why += " --type " + n.kind
	}
	why += " --size " + v.Size.String()
	given := func(show bool, flag, text string, set func()) {
		if show && text != "" {
			set()
			why += " --" + flag + " " + text
		}
	}
	spread := n.is(config.Striped, config.RAID5, config.RAID6, config.RAID10)()
	given(n.is(config.ThinDisk)(), "pool", n.pool, func() { v.Pool = n.pool })
	given(spread, "stripes", n.stripes, func() { v.Stripes = at.stripes })
	given(spread, "stripe-size", n.stripeSize, func() { v.StripeSize = optional(n.stripeSize) })
	given(n.is(config.RAID1, config.RAID10)(), "mirrors", n.mirrors, func() { v.Mirrors = at.mirrors })
	given(n.is(config.ThinPool)(), "metadata", n.metadata, func() { v.Metadata = optional(n.metadata) })
	given(n.is(config.ThinPool)(), "chunk", n.chunk, func() { v.Chunk = optional(n.chunk) })
	if at.kind == config.VDO {
		v.Physical, _ = at.size(n.physical)
		why += " --physical " + v.Physical.String()
		if !n.deduplicate {
			v.Deduplication = new(bool)
			why += " --deduplication=false"
		}
		if !n.compress {
			v.Compression = new(bool)
			why += " --compression=false"
		}
	}
	given(at.kind != config.ThinDisk, "on", strings.Join(n.on, ","), func() { v.Devices = slices.Clone(n.on) })
	in := n.in
	n.d.Change(frame.Change{Why: why, From: n.f, Edit: func(doc *config.Document) error { return doc.AddVolume(in, v.Clone()) }})
}
