package storagefake

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/mdadm"
)

// mdKey is where the superblock of a member is among those of a device.
const mdKey = "md"

// mdSuper is a superblock of version 1.2.
type mdSuper struct {
	uuid, name, level        string
	disks, role              int
	chunk, size, events      int64
	layout                   string
	bitmap, journal          bool // of the array
	isJournal, rebuilding    bool // of the device
	writeMostly, replacement bool
}

// mdArray is an array: the kernel's if kernel is set. device outlives a stop,
// with what was put on it.
type mdArray struct {
	uuid, name, level string
	disks             int
	chunk, events     int64
	layout            string
	bitmap, journal   bool
	kernel            string
	inactive          bool
	members           []*mdMember
	sync, lastSync    string
	mismatches        int64
	least, most       string
	device            *Device
}

type mdMember struct {
	dev                           *Device
	name                          string // the kernel's, which it keeps when the disk is pulled
	role                          int
	inSync, faulty, isJournal     bool
	writeMostly                   bool
	replacement, wantsReplacement bool
}

func (a *mdArray) find(kernel string) *mdMember {
	i := slices.IndexFunc(a.members, func(x *mdMember) bool { return x.name == kernel })
	if i < 0 {
		return nil
	}
	return a.members[i]
}

// at is the member that holds a place, but not one that is to replace it.
func (a *mdArray) at(role int) *mdMember {
	i := slices.IndexFunc(a.members, func(x *mdMember) bool { return x.role == role && !x.faulty && !x.replacement })
	if i < 0 {
		return nil
	}
	return a.members[i]
}

func (a *mdArray) degraded() int {
	n := 0
	for role := range a.disks {
		if x := a.at(role); x == nil || !x.inSync {
			n++
		}
	}
	return n
}

// model is the array in the words of whoever judges whether it works.
func (a *mdArray) model() mdadm.Array {
	out := mdadm.Array{Level: a.level, Disks: a.disks, Layout: a.layout}
	for _, x := range a.members {
		state := []string{}
		if x.inSync && !x.faulty {
			state = append(state, "in_sync")
		}
		out.Members = append(out.Members, mdadm.Member{Kernel: x.name, Role: x.role, State: state})
	}
	return out
}

// size is what the array holds.
func (a *mdArray) size(disks int) int64 {
	least := int64(0)
	for _, x := range a.members {
		if !x.isJournal && (least == 0 || x.dev.Size < least) {
			least = x.dev.Size
		}
	}
	each := least - 2<<20
	if a.chunk > 0 {
		each -= each % a.chunk
	}
	switch a.level {
	case "1":
		return each
	case "4", "5":
		return each * int64(disks-1)
	case "6":
		return each * int64(disks-2)
	case "10":
		copies, _ := strconv.Atoi(a.layout[1:])
		return each * int64(disks) / int64(max(1, copies))
	}
	return each * int64(disks)
}

// write writes the superblocks of all members that can be reached; locked.
func (m *Machine) mdWrite(a *mdArray) {
	a.events++
	for _, x := range a.members {
		if x.faulty || m.devs[x.dev.Name] != x.dev {
			continue
		}
		x.dev.Super[mdKey] = &mdSuper{
			uuid: a.uuid, name: a.name, level: a.level, disks: a.disks, role: x.role, chunk: a.chunk, size: a.device.Size, events: a.events, layout: a.layout,
			bitmap: a.bitmap, journal: a.journal, isJournal: x.isJournal, rebuilding: x.role >= 0 && !x.inSync, writeMostly: x.writeMostly, replacement: x.replacement,
		}
		x.dev.Content = []block.Content{{Type: "linux_raid_member", Label: "any:" + a.name, UUID: a.uuid}}
	}
}

// mdLost tells whose data was on an array that a member was taken from which
// cannot be started any more; locked.
func (m *Machine) mdLost(s *mdSuper) {
	a := m.mdByUUID(s.uuid)
	if a == nil || a.kernel != "" {
		return
	}
	a.members = m.mdFound(s.uuid)
	if len(a.members) == 0 || !a.model().Enough("") {
		if a.device.Owner != "" {
			m.lost = append(m.lost, a.device.Owner)
			a.device.Owner = ""
		}
	}
}

func (m *Machine) mdByUUID(uuid string) *mdArray {
	i := slices.IndexFunc(m.md, func(a *mdArray) bool { return a.uuid == uuid })
	if i < 0 {
		return nil
	}
	return m.md[i]
}

func (m *Machine) mdByPath(p string) *mdArray {
	d := m.find(p)
	if d == nil {
		return nil
	}
	i := slices.IndexFunc(m.md, func(a *mdArray) bool { return a.kernel == d.Name })
	if i < 0 {
		return nil
	}
	return m.md[i]
}

// mdFound gathers the members of an array from what disks say, without those
// that it went on without; locked.
func (m *Machine) mdFound(uuid string) []*mdMember {
	var newest int64
	var found []*Device
	for _, n := range m.order {
		if s, ok := m.devs[n].Super[mdKey].(*mdSuper); ok && s.uuid == uuid {
			found = append(found, m.devs[n])
			newest = max(newest, s.events)
		}
	}
	var members []*mdMember
	for _, d := range found {
		s := d.Super[mdKey].(*mdSuper)
		if s.events+1 < newest {
			continue
		}
		members = append(members, &mdMember{dev: d, name: d.Name, role: s.role, inSync: s.role >= 0 && !s.rebuilding, isJournal: s.isJournal,
			writeMostly: s.writeMostly, replacement: s.replacement})
	}
	return members
}

// mdUse has spares take the places that are empty, as the kernel does; locked.
func (m *Machine) mdUse(a *mdArray) {
	if a.level == "0" {
		return
	}
	for role := range a.disks {
		if a.at(role) != nil {
			continue
		}
		for _, x := range a.members {
			if x.role < 0 && !x.faulty && !x.isJournal {
				x.role, a.sync = role, "recover"
				break
			}
		}
	}
	if a.sync == "idle" && slices.ContainsFunc(a.members, func(x *mdMember) bool { return x.role >= 0 && !x.inSync && !x.faulty }) {
		a.sync = "recover"
	}
}

// mdChanged tells the rest of the machine what became of an array; locked.
func (m *Machine) mdChanged(a *mdArray) {
	dir := "/sys/block/" + a.kernel + "/md/"
	m.mdForget(a.kernel)
	if a.kernel == "" {
		return
	}
	state := "clean"
	switch {
	case a.inactive:
		state = "inactive"
	case a.level == "0" && a.degraded() > 0:
		state = "broken"
	}
	put := func(name, text string) { m.files[dir+name] = []byte(text + "\n") }
	put("array_state", state)
	put("level", "raid"+a.level)
	put("raid_disks", strconv.Itoa(a.disks))
	put("chunk_size", strconv.FormatInt(a.chunk, 10))
	put("layout", strconv.Itoa(layoutNumber(a.level, a.layout)))
	if a.level != "0" {
		policy := "resync"
		switch {
		case a.journal:
			policy = "journal"
		case a.bitmap:
			policy = "bitmap"
		}
		put("consistency_policy", policy)
		put("degraded", strconv.Itoa(a.degraded()))
		put("sync_action", a.sync)
		if a.sync != "idle" {
			a.lastSync = a.sync
		}
		put("last_sync_action", cmp.Or(a.lastSync, "none"))
		put("mismatch_cnt", strconv.FormatInt(a.mismatches, 10))
		put("sync_completed", map[bool]string{true: "none", false: "512 / 2048"}[a.sync == "idle"])
		put("sync_speed", "none")
		put("sync_speed_min", a.least)
		put("sync_speed_max", a.most)
		m.hooks[dir+"sync_action"] = func(text string) error { return m.mdAction(a, text) }
		m.hooks[dir+"sync_speed_min"] = func(text string) error { a.least = limit(text, "1000"); m.mdChanged(a); return nil }
		m.hooks[dir+"sync_speed_max"] = func(text string) error { a.most = limit(text, "200000"); m.mdChanged(a); return nil }
	}
	m.files["/sys/block/"+a.kernel+"/size"] = []byte(strconv.FormatInt(a.device.Size/512, 10) + "\n")
	a.device.Below = nil
	for _, x := range a.members {
		a.device.Below = append(a.device.Below, x.name)
		put("dev-"+x.name+"/state", x.words())
		put("dev-"+x.name+"/slot", map[bool]string{true: "none", false: strconv.Itoa(x.role)}[x.role < 0])
		m.hooks[dir+"dev-"+x.name+"/state"] = func(text string) error { return m.mdTold(a, x, text) }
	}
}

// limit is how the kernel tells a limit of speed.
func limit(text, system string) string {
	if text == "system" {
		return system + " (system)"
	}
	return text + " (local)"
}

func (x *mdMember) words() string {
	var words []string
	for word, is := range map[string]bool{"faulty": x.faulty, "in_sync": x.inSync && !x.faulty, "write_mostly": x.writeMostly, "journal": x.isJournal,
		"spare": !x.inSync && !x.faulty && !x.isJournal, "replacement": x.replacement, "want_replacement": x.wantsReplacement} {
		if is {
			words = append(words, word)
		}
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

// layoutNumber is md's number of a layout.
func layoutNumber(level, layout string) int {
	if i := slices.Index([]string{"left-asymmetric", "right-asymmetric", "left-symmetric", "right-symmetric", "parity-first", "parity-last"}, layout); i >= 0 {
		return i
	}
	if level != "10" || len(layout) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(layout[1:])
	switch layout[0] {
	case 'n':
		return 1<<8 | n
	case 'o':
		return 1<<16 | n<<8 | 1
	}
	return n<<8 | 1
}

// mdForget takes the kernel's files of an array away; locked.
func (m *Machine) mdForget(kernel string) {
	prefix := "/sys/block/" + kernel + "/"
	for p := range m.files {
		if strings.HasPrefix(p, prefix) {
			delete(m.files, p)
			delete(m.hooks, p)
		}
	}
	for p := range m.hooks {
		if strings.HasPrefix(p, prefix) {
			delete(m.hooks, p)
		}
	}
}

// mdAction is a write to sync_action; locked.
func (m *Machine) mdAction(a *mdArray, text string) error {
	switch text {
	case "check", "repair":
		if a.sync != "idle" {
			return fmt.Errorf("write sync_action: device or resource busy")
		}
		a.sync = text
	case "idle":
		a.sync = "idle"
	default:
		return fmt.Errorf("write sync_action: invalid argument")
	}
	m.mdChanged(a)
	return nil
}

// mdTold is a write to the state of a member; locked.
func (m *Machine) mdTold(a *mdArray, x *mdMember, text string) error {
	switch text {
	case "faulty":
		x.faulty, x.inSync = true, false
	case "remove":
		if !x.faulty && x.role >= 0 {
			return fmt.Errorf("write state: device or resource busy")
		}
		a.members = slices.DeleteFunc(a.members, func(y *mdMember) bool { return y == x })
	case "writemostly", "-writemostly":
		x.writeMostly = text == "writemostly"
	case "-want_replacement":
		x.wantsReplacement = false
	default:
		return fmt.Errorf("write state: invalid argument")
	}
	m.mdUse(a)
	m.mdWrite(a)
	m.mdChanged(a)
	return nil
}

// Sync finishes what arrays do by themselves: resyncs, copies and reshapes.
func (m *Machine) Sync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.md {
		if a.kernel == "" || a.sync == "idle" {
			continue
		}
		if a.sync == "recover" || a.sync == "resync" {
			for _, x := range a.members {
				if x.role < 0 || x.faulty {
					continue
				}
				x.inSync = true
				if x.replacement {
					if old := a.at(x.role); old != nil {
						old.faulty, old.inSync, old.wantsReplacement = true, false, false
					}
					x.replacement = false
				}
			}
		}
		a.device.Size = a.size(a.disks)
		a.sync = "idle"
		m.mdUse(a)
		m.mdWrite(a)
		m.mdChanged(a)
	}
}

// Fault has a disk fail under the arrays that it is in, as errors do that it
// reports.
func (m *Machine) Fault(disk string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.md {
		if x := a.find(disk); x != nil && a.kernel != "" {
			x.faulty, x.inSync = true, false
			m.mdUse(a)
			m.mdWrite(a)
			m.mdChanged(a)
		}
	}
}

// Mismatch has checks find sectors that differ.
func (m *Machine) Mismatch(p string, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.mdByPath(p); a != nil {
		a.mismatches = n
		m.mdChanged(a)
	}
}

// StopArrays is what a reboot does to arrays: none runs, and disks keep what
// they say.
func (m *Machine) StopArrays() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.md {
		if a.kernel != "" {
			m.mdStop(a)
		}
	}
}

func (m *Machine) mdStop(a *mdArray) {
	m.mdForget(a.kernel)
	m.remove(a.kernel)
	a.kernel, a.inactive, a.members = "", false, nil
}

// mdStart has the kernel know an array; locked.
func (m *Machine) mdStart(a *mdArray, link string) {
	n := 127
	for m.devs["md"+strconv.Itoa(n)] != nil {
		n--
	}
	a.kernel, a.device.Name = "md"+strconv.Itoa(n), "md"+strconv.Itoa(n)
	m.add(a.device)
	m.links[path.Join("/dev/md", path.Base(link))] = a.kernel
	m.mdChanged(a)
}
