package storagefake

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/mdadm"
)

func registerMdadm(m *Machine) { m.tools["mdadm"] = runMdadm }

// mdFail is what mdadm says and ends with.
func mdFail(format string, args ...any) error { return fails("mdadm", 1, "mdadm: "+format, args...) }

func runMdadm(m *Machine, args []string, input string) (string, error) {
	if len(args) < 2 {
		return "", fails("mdadm", 2, "An option must be given to set the mode before a second device is listed")
	}
	last := args[len(args)-1]
	switch args[0] {
	case "--create":
		return "", m.mdCreate(args[1:], input)
	case "--assemble":
		return "", m.mdAssemble(args[1:])
	case "--stop":
		a := m.mdByPath(args[1])
		if a == nil {
			return "", mdFail("error opening %s: No such file or directory", args[1])
		}
		if m.busy(a.device) != "" {
			return "", mdFail("Cannot get exclusive access to %s:Perhaps a running process, mounted filesystem or active volume group?", args[1])
		}
		m.mdStop(a)
		return "", nil
	case "--manage":
		return "", m.mdManage(args[1], args[2:])
	case "--grow":
		return "", m.mdGrow(args[1], args[2:])
	case "--zero-superblock":
		d := m.find(last)
		switch {
		case d == nil || m.busy(d) != "":
			return "", mdFail("Couldn't open %s for write - not zeroing", last)
		case d.Super[mdKey] == nil:
			return "", fails("mdadm", 2, "mdadm: Unrecognised md component device - %s", last)
		}
		m.overwrite(d)
		return "", nil
	case "--detail":
		return m.mdDetail(last)
	case "--examine":
		return m.mdExamine(last)
	}
	return "", fails("mdadm", 2, "mdadm: the imitation knows no %s", args[0])
}

// option is the value of --name=value.
func option(args []string, name string) string {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "--"+name+"="); ok {
			return v
		}
	}
	return ""
}

// operands are the arguments that are no options.
func operands(args []string) (paths []string) {
	for _, a := range args {
		if !strings.HasPrefix(a, "--") {
			paths = append(paths, a)
		}
	}
	return paths
}

// asks are the signatures that mdadm --create asks about; it does not look for
// others (check_ext2, check_raid, check_partitions in its util.c).
var asks = []string{"ext2", "ext3", "ext4", "linux_raid_member", "gpt", "dos"}

func (m *Machine) mdCreate(args []string, input string) error {
	link, paths := args[0], operands(args[1:])
	a := &mdArray{
		uuid: mdadm.FromMD(option(args, "uuid")), name: option(args, "name"), level: option(args, "level"), layout: option(args, "layout"),
		bitmap: option(args, "bitmap") == "internal", journal: option(args, "write-journal") != "", sync: "idle",
		least: "1000 (system)", most: "200000 (system)",
	}
	a.disks, _ = strconv.Atoi(option(args, "raid-devices"))
	spares, _ := strconv.Atoi(option(args, "spare-devices"))
	kib, _ := strconv.ParseInt(option(args, "chunk"), 10, 64)
	if a.chunk = kib << 10; a.chunk == 0 && a.level != "1" {
		a.chunk = 512 << 10
	}
	if a.layout == "" {
		a.layout = map[string]string{"5": "left-symmetric", "6": "left-symmetric", "10": "n2"}[a.level]
	}
	if len(paths) != a.disks+spares {
		return mdFail("You haven't given enough devices (real or missing) to create this array")
	}
	if a.level != "0" && option(args, "bitmap") == "" && !a.journal && input == "" {
		return mdFail("the imitation wants --bitmap: mdadm asks for it")
	}
	var said []string
	least, most := int64(0), int64(0)
	for i, p := range append(paths, option(args, "write-journal")) {
		if p == "" {
			continue
		}
		d := m.find(p)
		switch {
		case d == nil:
			return mdFail("cannot open %s: No such file or directory", p)
		case m.busy(d) != "":
			return mdFail("cannot open %s: Device or resource busy", p)
		}
		if slices.ContainsFunc(d.Content, func(c block.Content) bool { return slices.Contains(asks, c.Type) }) {
			said = append(said, "mdadm: "+p+" appears to contain something")
		}
		x := &mdMember{dev: d, name: d.Name, role: i, inSync: true, isJournal: i == len(paths)}
		if i >= a.disks {
			x.role, x.inSync = -1, false
		} else if least, most = smaller(least, d.Size), max(most, d.Size); a.level == "5" && i == a.disks-1 {
			x.inSync, a.sync = false, "recover"
		}
		a.members = append(a.members, x)
	}
	if a.level != "0" && (most-least)*100 > most {
		said = append(said, "mdadm: largest drive exceeds size by more than 1%")
	}
	if len(said) > 0 && !slices.Contains(args, "--run") && !strings.HasPrefix(input, "y") {
		return fails("mdadm", 1, "%s\nmdadm: create aborted.", strings.Join(said, "\n"))
	}
	if m.mdByPath(link) != nil {
		return mdFail("Array name %s is in use already.", link)
	}
	if a.level != "0" && a.level != "5" {
		a.sync = "resync"
	}
	for _, x := range a.members {
		m.overwrite(x.dev)
	}
	m.md = slices.DeleteFunc(m.md, func(b *mdArray) bool { return b.uuid == a.uuid })
	m.md = append(m.md, a)
	a.device = &Device{Type: "raid" + a.level, Size: a.size(a.disks)}
	m.mdWrite(a)
	m.mdStart(a, link)
	return nil
}

func smaller(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

func (m *Machine) mdAssemble(args []string) error {
	link, uuid := args[0], mdadm.FromMD(option(args, "uuid"))
	a := m.mdByUUID(uuid)
	if a != nil && a.kernel != "" {
		return mdFail("%s is busy - skipping", link)
	}
	given := map[string]bool{}
	for _, p := range operands(args[1:]) {
		d := m.find(p)
		if d == nil {
			return mdFail("cannot open device %s: No such file or directory", p)
		}
		s, ok := d.Super[mdKey].(*mdSuper)
		if !ok || s.uuid != uuid {
			return mdFail("%s has wrong uuid.", p)
		}
		if m.busy(d) != "" {
			return mdFail("%s is busy - skipping", p)
		}
		given[d.Name] = true
	}
	if a == nil || len(given) == 0 {
		return mdFail("No super block found for %s", link)
	}
	a.members = slices.DeleteFunc(m.mdFound(uuid), func(x *mdMember) bool { return !given[x.name] })
	a.sync = "idle"
	if d := m.find(link); d != nil {
		return mdFail("%s already active, cannot restart it!", link)
	}
	if !a.model().Enough("") || a.journal && !slices.ContainsFunc(a.members, func(x *mdMember) bool { return x.isJournal }) {
		a.inactive = true
		m.mdStart(a, link)
		return mdFail("failed to RUN_ARRAY %s: Input/output error\nmdadm: Not enough devices to start the array.", link)
	}
	m.mdUse(a)
	m.mdWrite(a)
	m.mdStart(a, link)
	return nil
}

func (m *Machine) mdDetail(p string) (string, error) {
	a := m.mdByPath(p)
	if a == nil {
		return "", mdFail("cannot open %s: No such file or directory", p)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "MD_LEVEL=raid%s\nMD_DEVICES=%d\nMD_METADATA=1.2\nMD_UUID=%s\nMD_NAME=any:%s\n", a.level, a.disks, mdadm.ToMD(a.uuid), a.name)
	for _, x := range a.members {
		fmt.Fprintf(&b, "MD_DEVICE_dev_%s_ROLE=%d\nMD_DEVICE_dev_%s_DEV=/dev/%s\n", x.name, x.role, x.name, x.name)
	}
	return b.String(), nil
}

func (m *Machine) mdExamine(p string) (string, error) {
	d := m.find(p)
	if d == nil {
		return "", mdFail("cannot open %s: No such file or directory", p)
	}
	s, ok := d.Super[mdKey].(*mdSuper)
	if !ok {
		return "", mdFail("No md superblock detected on %s.", p)
	}
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%15s : %s\n", key, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "/dev/%s:\n", path.Base(d.Name))
	features := 0
	if s.bitmap {
		features |= 1
	}
	if s.rebuilding {
		features |= 2
		line("Recovery Offset", "0 sectors")
	}
	if s.journal {
		features |= 0x200
	}
	line("Magic", "a92b4efc")
	line("Version", "1.2")
	line("Feature Map", "0x%x", features)
	line("Array UUID", "%s", mdadm.ToMD(s.uuid))
	line("Name", "any:%s", s.name)
	line("Raid Level", "raid%s", s.level)
	line("Raid Devices", "%d", s.disks)
	if s.level != "0" {
		line("Array Size", "%d KiB", s.size>>10)
	}
	line("Events", "%d", s.events)
	if s.level == "10" {
		line("Layout", "%s=%s", map[byte]string{'n': "near", 'f': "far", 'o': "offset"}[s.layout[0]], s.layout[1:])
	} else if s.layout != "" {
		line("Layout", "%s", s.layout)
	}
	if s.chunk > 0 {
		line("Chunk Size", "%dK", s.chunk>>10)
	}
	role := "spare"
	switch {
	case s.isJournal:
		role = "Journal"
	case s.replacement:
		role = fmt.Sprintf("Replacement device %d", s.role)
	case s.role >= 0:
		role = fmt.Sprintf("Active device %d", s.role)
	}
	line("Device Role", "%s", role)
	return b.String(), nil
}
