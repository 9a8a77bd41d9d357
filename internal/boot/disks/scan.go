// Package disks finds block devices and reads from them what they hold: a
// file system's label, UUID and state, or that they are part of a mirror. It
// reads superblocks itself, since nothing that would is running yet when a
// system looks for what it boots from.
package disks

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Device is a disk, a partition or an array.
type Device struct {
	Name string // sda3
	Path string // /dev/sda3
	Disk string // sda; the same as Name for what is no partition
	Size int64  // in bytes
	// PartName is the partition's name in the GPT.
	PartName string
	// Below are the disks that it is on at last, sorted: those of its members
	// for an array, its own disk for others.
	Below     []string
	Transport string // usb, nvme, sata, virtio, mmc, scsi or md; "" if unknown
	Model     string
	// Content is what was read from it, once Read; Err says why that fails
	// again and again.
	Content Content
	Read    bool
	Err     error
}

// String names it as people know it.
func (d Device) String() string {
	s := d.Path
	if d.Model != "" {
		s += " (" + d.Model + ")"
	}
	return s
}

// Scanner keeps what it learnt about the machine's block devices, so that
// looking again and again while they appear costs little. Each device is read
// by itself: a drive that does not answer holds up nobody else.
type Scanner struct {
	root  string         // put before /sys and /dev; "" but in tests
	wg    sync.WaitGroup // of those who read; tests wait for them
	mu    sync.Mutex
	known map[string]*reading
}

// reading is what is known of one device.
type reading struct {
	device Device
	id     string // changes when another medium or disk takes the name
	busy   bool
	tries  int           // that failed
	pause  time.Duration // after the last of them
	next   time.Time     // when to try again
}

// NewScanner returns a scanner of the sysfs and the device nodes below root.
func NewScanner(root string) *Scanner {
	return &Scanner{root: root, known: map[string]*reading{}}
}

// Scan lists the devices in natural order, with what was read from them so
// far, and begins to read those that are new.
func (s *Scanner) Scan() []Device {
	names, err := os.ReadDir(filepath.Join(s.root, "/sys/class/block"))
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Device
	seen := map[string]bool{}
	for _, entry := range names {
		if name := entry.Name(); interesting(name) {
			seen[name] = true
			if r := s.look(name); r != nil {
				list = append(list, r.device)
			}
		}
	}
	for name := range s.known {
		if !seen[name] {
			delete(s.known, name)
		}
	}
	slices.SortFunc(list, func(a, b Device) int { return compareNames(a.Name, b.Name) })
	return list
}

// look returns what is known of a device, and begins to read it if that was
// not done. Nil is for what has no medium in it. s.mu is held.
func (s *Scanner) look(name string) *reading {
	dir := filepath.Join(s.root, "/sys/class/block", name)
	sectors, err := strconv.ParseInt(line(dir, "size"), 10, 64)
	if err != nil || sectors <= 0 {
		return nil
	}
	id := line(dir, "dev") + " " + line(dir, "diskseq") + " " + strconv.FormatInt(sectors, 10)
	r := s.known[name]
	if r == nil || r.id != id {
		r = &reading{id: id, device: s.describe(name, dir, sectors*512)}
		s.known[name] = r
	}
	if !r.device.Read && !r.busy && !time.Now().Before(r.next) {
		r.busy = true
		path, size := filepath.Join(s.root, r.device.Path), r.device.Size
		s.wg.Go(func() {
			content, err := readDevice(path, size)
			s.mu.Lock()
			defer s.mu.Unlock()
			r.take(content, err)
		})
	}
	return r
}

// patience is how often a device is tried before it counts as unreadable: its
// node may come a moment after its name.
const patience = 5

func (r *reading) take(content Content, err error) {
	r.busy = false
	if err == nil {
		r.device.Content, r.device.Read, r.device.Err = content, true, nil
		return
	}
	if r.tries++; r.tries >= patience {
		r.device.Err = err
	}
	r.pause = min(max(2*r.pause, 20*time.Millisecond), 2*time.Second)
	r.next = time.Now().Add(r.pause)
}

func readDevice(path string, size int64) (Content, error) {
	f, err := os.Open(path)
	if err != nil {
		return Content{}, err
	}
	defer f.Close()
	return Read(f, size)
}

// describe reads what sysfs says about a device.
func (s *Scanner) describe(name, dir string, size int64) Device {
	d := Device{Name: name, Path: "/dev/" + name, Disk: name, Size: size}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		real = dir
	}
	disk := real
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		disk = filepath.Dir(real)
		d.Disk = filepath.Base(disk)
		d.PartName = uevent(dir, "PARTNAME")
	}
	d.Below = below(disk, 0)
	d.Model = strings.Join(strings.Fields(line(disk, "device/vendor")+" "+line(disk, "device/model")), " ")
	if strings.HasPrefix(line(disk, "device/vendor"), "0x") { // a number for virtio
		d.Model = line(disk, "device/model")
	}
	d.Transport = transport(disk)
	return d
}

// below lists the disks that a disk's directory in sysfs stands on.
func below(disk string, depth int) []string {
	members, err := os.ReadDir(filepath.Join(disk, "slaves"))
	if err != nil || len(members) == 0 || depth > 8 {
		return []string{filepath.Base(disk)}
	}
	var list []string
	for _, m := range members {
		real, err := filepath.EvalSymlinks(filepath.Join(disk, "slaves", m.Name()))
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(real, "partition")); err == nil {
			real = filepath.Dir(real)
		}
		list = append(list, below(real, depth+1)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// transport tells from a disk's place among the machine's devices how it is
// connected.
func transport(disk string) string {
	for _, t := range []struct{ part, name string }{
		{"/usb", "usb"}, {"/nvme", "nvme"}, {"/mmc", "mmc"}, {"/ata", "sata"}, {"/virtio", "virtio"},
		{"/virtual/block/md", "md"}, {"/host", "scsi"},
	} {
		if strings.Contains(disk, t.part) {
			return t.name
		}
	}
	return ""
}

// interesting leaves out what no system is booted from, and what would be
// slow to open.
func interesting(name string) bool {
	for _, prefix := range []string{"loop", "ram", "zram", "fd", "nbd", "dm-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// line is the contents of a file of sysfs, "" if it has none.
func line(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// uevent returns a value of a device's uevent file.
func uevent(dir, key string) string {
	for l := range strings.Lines(line(dir, "uevent")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(l), key+"="); ok {
			return value
		}
	}
	return ""
}

// compareNames puts sda before sdb1, sdb2 before sdb10, and sdz before sdaa.
func compareNames(a, b string) int {
	split := func(s string) (string, int) {
		base := strings.TrimRight(s, "0123456789")
		n, err := strconv.Atoi(s[len(base):])
		if err != nil {
			n = 0
		}
		return base, n
	}
	baseA, nA := split(a)
	baseB, nB := split(b)
	return cmp.Or(cmp.Compare(len(baseA), len(baseB)), cmp.Compare(baseA, baseB), cmp.Compare(nA, nB))
}
