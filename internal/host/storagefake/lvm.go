package storagefake

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
)

// lvmGroup is a volume group: its metadata, of which each of its devices has
// a copy (Device.Super["lvm"] leads to it).
type lvmGroup struct {
	name, uuid string
	tags       []string
	extent     int64
	devices    []*lvmDevice
	volumes    []*lvmVolume
}

// lvmDevice is what is on a physical volume; it has no group after vgreduce.
type lvmDevice struct {
	uuid    string
	group   *lvmGroup
	extents int64
	start   int64
}

// lvmVolume is a logical volume, or a hidden part of one.
type lvmVolume struct {
	name, uuid, kind     string
	size                 int64
	pool, origin, tag    string
	hidden, ro, skip     bool
	stripes, copies      int
	stripeSize, chunk    int64
	metadata             int64
	whenFull, mode       string
	compress, duplicates bool
	room                 map[*lvmDevice]int64 // extents that it takes
	parts                []*lvmVolume
	dev                  *Device // what its users see; nil for pools and parts
	active               bool
	data, meta           float64
	health, moves        string
	thinID               int         // of a thin volume
	thin                 thinNumbers // of a thin pool
}

// lvm is the program of that name.
func lvm(m *Machine, args []string, _ string) (string, error) {
	if len(args) == 0 {
		return "", fails("lvm", 3, "No command given")
	}
	command, ok := map[string]func(*lvmCall) error{
		"vgcreate": vgcreate, "vgextend": vgextend, "vgreduce": vgreduce, "vgremove": vgremove, "pvremove": pvremove, "pvresize": pvresize,
		"pvmove": pvmove, "lvcreate": lvcreate, "lvremove": lvremove, "lvextend": lvextend, "lvreduce": lvreduce, "lvrename": lvrename,
		"lvchange": lvchange, "lvconvert": lvconvert,
	}[args[0]]
	switch args[0] {
	case "fullreport":
		return fullreport(m)
	case "lvs":
		return lvs(m)
	}
	if !ok {
		return "", fails("lvm", 2, "No such command '%s'", args[0])
	}
	c, err := lvmArguments(m, args)
	if err != nil {
		return "", err
	}
	return "", command(c)
}

// lvmCall is a command with its options taken apart.
type lvmCall struct {
	m       *Machine
	options map[string]string
	args    []string
}

// lvmFlags are options without a value.
var lvmFlags = map[string]bool{"--yes": true, "--snapshot": true, "--ignoreactivationskip": true, "--removemissing": true, "--abort": true, "--repair": true, "--uncache": true}

// lvmValues are options with one.
var lvmValues = map[string]bool{
	"--config": true, "--devicesfile": true, "--devices": true, "--addtag": true, "--deltag": true, "--physicalextentsize": true, "--metadatasize": true, "--interval": true,
	"--type": true, "--name": true, "--size": true, "--virtualsize": true, "--thinpool": true, "--stripes": true, "--stripesize": true, "--mirrors": true,
	"--poolmetadatasize": true, "--chunksize": true, "--errorwhenfull": true, "--poolmetadataspare": true, "--wipesignatures": true,
	"--setactivationskip": true, "--deduplication": true, "--compression": true, "--activate": true, "--activationmode": true, "--permission": true,
	"--fs": true, "--cachevol": true, "--cachemode": true, "--cachesettings": true,
}

func lvmArguments(m *Machine, args []string) (*lvmCall, error) {
	args = slices.Clone(args)
	c := &lvmCall{m: m, options: map[string]string{}}
	for i := 1; i < len(args); i++ {
		switch a := args[i]; {
		case lvmFlags[a]:
			c.options[a] = "y"
		case lvmValues[a] && i+1 < len(args):
			i++
			if before := c.options[a]; before != "" && (a == "--addtag" || a == "--deltag") {
				args[i] = before + "," + args[i]
			}
			c.options[a] = args[i]
		case strings.HasPrefix(a, "-"):
			return nil, fails("lvm", 3, "%s: unrecognized option '%s'", args[0], a)
		default:
			c.args = append(c.args, a)
		}
	}
	if _, ok := c.options["--devicesfile"]; !ok && c.options["--devices"] == "" {
		return nil, fails("lvm", 5, "the imitation has no devices file: nothing is found without --devicesfile \"\"")
	}
	return c, nil
}

func (c *lvmCall) has(option string) bool { return c.options[option] != "" }

// bytes is an option's size.
func (c *lvmCall) bytes(option string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(c.options[option], "b"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (c *lvmCall) number(option string, otherwise int) int {
	if n, err := strconv.Atoi(c.options[option]); err == nil {
		return n
	}
	return otherwise
}

// groups are those that LVM sees: of which a device is there.
func (m *Machine) groups() []*lvmGroup {
	var found []*lvmGroup
	for _, n := range m.order {
		if p, ok := m.devs[n].Super["lvm"].(*lvmDevice); ok && p.group != nil && !slices.Contains(found, p.group) {
			found = append(found, p.group)
		}
	}
	return found
}

// where finds the block device that a physical volume is, nil if it is missing.
func (m *Machine) where(p *lvmDevice) *Device {
	for _, n := range m.order {
		if m.devs[n].Super["lvm"] == p {
			return m.devs[n]
		}
	}
	return nil
}

func (m *Machine) missing(g *lvmGroup) int {
	n := 0
	for _, p := range g.devices {
		if m.where(p) == nil {
			n++
		}
	}
	return n
}

// group finds a group that may be changed, or with any one that lacks devices.
func (c *lvmCall) group(name string, incomplete bool) (*lvmGroup, error) {
	var found *lvmGroup
	for _, g := range c.m.groups() {
		if g.name != name {
			continue
		}
		if found != nil && !c.has("--devices") {
			return nil, fails("lvm", 5, "Multiple VGs found with the same name: skipping %s", name)
		}
		if d := c.m.find(c.options["--devices"]); found == nil || d != nil && slices.ContainsFunc(g.devices, func(p *lvmDevice) bool { return c.m.where(p) == d }) {
			found = g
		}
	}
	if found == nil {
		return nil, fails("lvm", 5, "Volume group \"%s\" not found", name)
	}
	if !incomplete && c.m.missing(found) > 0 {
		return nil, fails("lvm", 5, "Cannot change VG %s while PVs are missing.\nSee vgreduce --removemissing and vgextend --restoremissing.\nCannot process volume group %s", name, name)
	}
	return found, nil
}

// volume finds GROUP/NAME.
func (c *lvmCall) volume(full string, incomplete bool) (*lvmGroup, *lvmVolume, error) {
	group, name, _ := strings.Cut(full, "/")
	g, err := c.group(group, incomplete)
	if err != nil {
		return nil, nil, err
	}
	if v := g.volume(name); v != nil && !v.hidden {
		return g, v, nil
	}
	return nil, nil, fails("lvm", 5, "Failed to find logical volume \"%s\"", full)
}

func (g *lvmGroup) volume(name string) *lvmVolume {
	for _, v := range g.volumes {
		if v.name == name {
			return v
		}
	}
	return nil
}

func (g *lvmGroup) used(p *lvmDevice) int64 {
	var n int64
	for _, v := range g.volumes {
		n += v.room[p]
	}
	return n
}

func (m *Machine) identity(kind string) string {
	m.next["lvm"]++
	return fmt.Sprintf("%s0000-0000-0000-0000-0000-0000-%06d", kind, m.next["lvm"])
}

// label makes a physical volume of a device.
func (m *Machine) label(p string, g *lvmGroup) error {
	d := m.find(p)
	switch {
	case d == nil:
		return fails("lvm", 5, "No device found for %s.", p)
	case m.busy(d) != "":
		return fails("lvm", 5, "Can't open %s exclusively.  Mounted filesystem?", p)
	case d.ReadOnly:
		return fails("lvm", 5, "Cannot use %s: device is read-only", p)
	}
	if pv, ok := d.Super["lvm"].(*lvmDevice); ok && pv.group != nil {
		return fails("lvm", 5, "Physical volume '%s' is already in volume group '%s'", p, pv.group.name)
	} else if !ok {
		for _, s := range d.Content {
			if s.Type != block.Unknown {
				return fails("lvm", 5, "WARNING: %s signature detected on %s at offset 1080. Wipe it? [y/n]: [n]\n  Aborted wiping of %s.\n  1 existing signature left on the device.", s.Type, p, s.Type)
			}
		}
		m.overwrite(d)
	}
	pv := &lvmDevice{uuid: m.identity("PV"), group: g, start: 17 << 20}
	pv.extents = (d.Size - pv.start) / g.extent
	if pv.extents < 1 {
		return fails("lvm", 5, "%s: too small", p)
	}
	d.Super["lvm"], d.Content = pv, []block.Content{{Type: "LVM2_member", UUID: pv.uuid}}
	d.Owner = "volume-group/" + g.name
	g.devices = append(g.devices, pv)
	return nil
}

func vgcreate(c *lvmCall) error {
	if len(c.args) < 2 {
		return fails("lvm", 3, "Please specify physical volumes")
	}
	if slices.ContainsFunc(c.m.groups(), func(g *lvmGroup) bool { return g.name == c.args[0] }) {
		return fails("lvm", 5, "A volume group called %s already exists.", c.args[0])
	}
	g := &lvmGroup{name: c.args[0], uuid: c.m.identity("VG"), extent: c.bytes("--physicalextentsize")}
	if g.extent == 0 {
		g.extent = 4 << 20
	}
	if t := c.options["--addtag"]; t != "" {
		g.tags = []string{t}
	}
	for _, p := range c.args[1:] {
		if err := c.m.label(p, g); err != nil {
			for _, made := range g.devices {
				c.m.unlabel(c.m.where(made))
			}
			return err
		}
	}
	return nil
}

// unlabel takes what LVM wrote off a device; what volumes held is gone already.
func (m *Machine) unlabel(d *Device) {
	if d != nil {
		d.Owner, d.Content = "", nil
		delete(d.Super, "lvm")
	}
}

func vgextend(c *lvmCall) error {
	g, err := c.group(c.args[0], false)
	if err != nil {
		return err
	}
	for _, p := range c.args[1:] {
		if err := c.m.label(p, g); err != nil {
			return err
		}
	}
	return nil
}

func (c *lvmCall) device(p string) (*lvmDevice, error) {
	d := c.m.find(p)
	if d == nil {
		return nil, fails("lvm", 5, "Failed to find physical volume \"%s\".", p)
	}
	pv, ok := d.Super["lvm"].(*lvmDevice)
	if !ok {
		return nil, fails("lvm", 5, "No PV found on device %s.", p)
	}
	return pv, nil
}

func vgreduce(c *lvmCall) error {
	g, err := c.group(c.args[0], c.has("--removemissing"))
	if err != nil {
		return err
	}
	drop := func(p *lvmDevice) error {
		if g.used(p) > 0 {
			return fails("lvm", 5, "Physical volume \"%s\" still in use", p.uuid)
		}
		if len(g.devices) == 1 {
			return fails("lvm", 5, "Can't remove final physical volume from volume group \"%s\"", g.name)
		}
		g.devices = slices.DeleteFunc(g.devices, func(q *lvmDevice) bool { return q == p })
		p.group = nil
		return nil
	}
	if c.has("--removemissing") {
		for _, p := range slices.Clone(g.devices) {
			if c.m.where(p) == nil {
				if err := drop(p); err != nil {
					return err
				}
			}
		}
		return nil
	}
	p, err := c.device(c.args[1])
	if err != nil {
		return err
	}
	if p.group != g {
		return fails("lvm", 5, "Physical Volume \"%s\" not found in Volume Group \"%s\"", c.args[1], g.name)
	}
	return drop(p)
}

func vgremove(c *lvmCall) error {
	g, err := c.group(c.args[0], true)
	if err != nil {
		return err
	}
	if len(g.volumes) > 0 {
		return fails("lvm", 5, "Do you really want to remove volume group \"%s\" containing %d logical volumes? [y/n]: [n]\n  Volume group \"%s\" not removed", g.name, len(g.volumes), g.name)
	}
	for _, p := range g.devices {
		p.group = nil
	}
	g.devices = nil
	return nil
}

func pvremove(c *lvmCall) error {
	for _, path := range c.args {
		p, err := c.device(path)
		if err != nil {
			return err
		}
		if p.group != nil {
			return fails("lvm", 5, "PV %s is used by VG %s so please use vgreduce first.", path, p.group.name)
		}
		c.m.unlabel(c.m.find(path))
	}
	return nil
}

func pvresize(c *lvmCall) error {
	p, err := c.device(c.args[0])
	if err != nil {
		return err
	}
	if p.group != nil {
		p.extents = (c.m.find(c.args[0]).Size - p.start) / p.group.extent
	}
	return nil
}

func pvmove(c *lvmCall) error {
	p, err := c.device(c.args[0])
	if err != nil {
		return err
	}
	g := p.group
	if g == nil {
		return fails("lvm", 5, "Physical volume \"%s\" not in a volume group.", c.args[0])
	}
	if c.has("--abort") {
		g.volumes = slices.DeleteFunc(g.volumes, func(v *lvmVolume) bool { return v.moves == c.args[0] })
		return nil
	}
	if g.used(p) == 0 {
		return fails("lvm", 5, "No data to move for %s.", g.name)
	}
	var to []*lvmDevice
	for _, path := range c.args[1:] {
		q, err := c.device(path)
		if err != nil {
			return err
		}
		to = append(to, q)
	}
	for _, v := range g.volumes {
		n := v.room[p]
		if n == 0 {
			continue
		}
		if err := c.m.take(g, v, n, to, map[*lvmDevice]bool{p: true}); err != nil {
			return err
		}
		delete(v.room, p)
	}
	g.volumes = slices.DeleteFunc(g.volumes, func(v *lvmVolume) bool { return v.moves != "" })
	for _, v := range g.volumes {
		v.stands(c.m)
	}
	return nil
}

// take finds room for a volume, on those devices if there are any.
func (m *Machine) take(g *lvmGroup, v *lvmVolume, extents int64, on []*lvmDevice, not map[*lvmDevice]bool) error {
	rooms := maps.Clone(v.room)
	if rooms == nil {
		rooms = map[*lvmDevice]int64{}
	}
	left := extents
	for _, p := range g.devices {
		if not[p] || len(on) > 0 && !slices.Contains(on, p) || m.where(p) == nil {
			continue
		}
		if n := min(left, p.extents-g.used(p)); n > 0 {
			rooms[p] += n
			left -= n
		}
	}
	if left > 0 {
		return fails("lvm", 5, "Volume group \"%s\" has insufficient free space (%d extents): %d required.", g.name, extents-left, extents)
	}
	v.room = rooms
	return nil
}
