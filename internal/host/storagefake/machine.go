// Package storagefake imitates the block devices of a Linux machine and the
// programs that set them up, closely enough that what layers do to it can be
// judged: whose data was lost, and what is left where a program fails in the
// middle. Each program is a file of its own.
package storagefake

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/block"
)

// Machine is a machine of block devices. Its methods are those of host.Linux.
type Machine struct {
	mu      sync.Mutex
	devs    map[string]*Device
	order   []string          // of devs
	links   map[string]string // paths and the kernel's names that they lead to
	files   map[string][]byte // what was saved, and the kernel's files
	hooks   map[string]func(text string) error
	dirs    map[string]bool
	tools   map[string]Tool
	lost    []string
	calls   []string
	fault   fault
	next    map[string]int        // minor numbers by prefix
	held    map[string]bool       // mount points that somebody uses
	ghosts  map[string]string     // what is mounted of devices that are gone, by mount point
	before  map[string]func()     // by program: done when it is called next
	pools   map[string]ThinTarget // by their names in device-mapper
	md      []*mdArray            // arrays, running or not
	noTPM   bool
	modes   map[string]fs.FileMode // of files
	units   services
	remotes remotes
}

// Device is a block device. Tools keep what they write on it in Super.
type Device struct {
	Name, Type string
	Size       int64
	Model      string
	Serial     string
	WWN        string
	Transport  string
	ReadOnly   bool
	Content    []block.Content // signatures, as wipefs finds them; block.Unknown for bytes without one
	Super      map[string]any  // superblocks, by the tool that wrote them
	Below      []string        // by the kernel's names
	Mounts     []string
	MappedUUID string // of device-mapper's devices
	Suspended  bool   // I/O of it is held
	Held       bool   // a program has it for itself, which nothing else shows
	// Owner says whose data is on it: a name that Lost tells when it is gone.
	Owner string
}

// Tool is a program: what it does to the machine. It is called with the
// machine locked.
type Tool func(m *Machine, args []string, input string) (string, error)

// New makes a machine without disks.
func New() *Machine {
	m := &Machine{
		devs: map[string]*Device{}, links: map[string]string{}, files: map[string][]byte{}, dirs: map[string]bool{}, tools: map[string]Tool{},
		hooks: map[string]func(string) error{}, next: map[string]int{}, held: map[string]bool{}, ghosts: map[string]string{}, pools: map[string]ThinTarget{}, modes: map[string]fs.FileMode{},
	}
	m.tools["lsblk"], m.tools["wipefs"], m.tools["blkdiscard"] = lsblk, wipefs, blkdiscard
	m.tools["udevadm"] = func(*Machine, []string, string) (string, error) { return "", nil }
	m.more()
	return m
}

// Disk adds a blank disk, /dev/NAME and /dev/disk/by-id/virtio-SERIAL.
func (m *Machine) Disk(name, serial string, size int64) *Device {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.add(&Device{Name: name, Type: "disk", Size: size, Model: "Imitation", Serial: serial})
	m.links["/dev/disk/by-id/virtio-"+serial] = name
	return d
}

// Add adds any other device: a partition, or what other systems made of disks.
func (m *Machine) Add(d *Device) *Device {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.add(d)
}

// File puts one of the kernel's files there.
func (m *Machine) File(p, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[p] = []byte(text)
}

// Pull takes a disk away, as a hand does; Plug puts it back with what it held.
func (m *Machine) Pull(name string) *Device {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.devs[name]
	for _, where := range slices.Clone(d.Mounts) { // it stays mounted, and reads fail
		m.hide(d, where)
		m.ghosts[where] = name
	}
	m.remove(name)
	for p, n := range m.links {
		if n == name && p != "/dev/disk/by-id/virtio-"+d.Serial {
			delete(m.links, p)
		}
	}
	return d
}

// Plug puts a disk in.
func (m *Machine) Plug(d *Device) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(d)
	m.links["/dev/disk/by-id/virtio-"+d.Serial] = d.Name
}

// Look returns a device by a path or the kernel's name, nil if there is none.
func (m *Machine) Look(p string) *Device {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(p)
}

// Lost tells whose data is gone, in order.
func (m *Machine) Lost() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lost)
}

// Calls are the programs that were run and changed something, and the files
// that were written, in order.
func (m *Machine) Calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// add puts a device in; locked.
func (m *Machine) add(d *Device) *Device {
	if d.Super == nil {
		d.Super = map[string]any{}
	}
	m.devs[d.Name] = d
	if !slices.Contains(m.order, d.Name) {
		m.order = append(m.order, d.Name)
	}
	m.links["/dev/"+d.Name] = d.Name
	return d
}

// remove takes a device away; locked.
func (m *Machine) remove(name string) {
	delete(m.devs, name)
	m.order = slices.DeleteFunc(m.order, func(n string) bool { return n == name })
	maps.DeleteFunc(m.links, func(p, n string) bool { return n == name && !strings.HasPrefix(p, "/dev/disk/by-id/") })
}

// name makes the kernel's next name of a kind: md127, dm-0; locked.
func (m *Machine) name(prefix string) string {
	for n := m.next[prefix]; ; n++ {
		if name := fmt.Sprintf("%s%d", prefix, n); m.devs[name] == nil {
			m.next[prefix] = n + 1
			return name
		}
	}
}

// find finds a device by a path or the kernel's name; locked.
func (m *Machine) find(p string) *Device {
	if name, ok := m.links[p]; ok {
		return m.devs[name]
	}
	return m.devs[p]
}

// above lists what stands on a device; locked.
func (m *Machine) above(name string) []*Device {
	var up []*Device
	for _, n := range m.order {
		if slices.Contains(m.devs[n].Below, name) {
			up = append(up, m.devs[n])
		}
	}
	return up
}

// busy says why a device cannot be overwritten now, "" if it can; locked.
func (m *Machine) busy(d *Device) string {
	if len(d.Mounts) > 0 {
		return "Device or resource busy (mounted)"
	}
	if d.Held {
		return "Device or resource busy"
	}
	for _, up := range m.above(d.Name) {
		if up.Type != "part" {
			return "Device or resource busy"
		}
	}
	return ""
}

// overwrite takes what is on a device away and tells whose data that was;
// locked.
func (m *Machine) overwrite(d *Device) {
	if d.Owner != "" {
		m.lost = append(m.lost, d.Owner)
	}
	super, member := d.Super[mdKey].(*mdSuper)
	if h, ok := d.Super[luksKey].(*luksHeader); ok && h.inner.Owner != "" {
		m.lost = append(m.lost, h.inner.Owner)
	}
	d.Owner, d.Content = "", nil
	clear(d.Super)
	if member {
		m.mdLost(super)
	}
	for _, up := range m.above(d.Name) {
		if up.Type == "part" {
			m.overwrite(up)
			m.remove(up.Name)
		}
	}
}

// Real implements block.Machine.
func (m *Machine) Real(p string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.find(p); d != nil && strings.HasPrefix(p, "/") {
		return "/dev/" + d.Name
	}
	if _, ok := m.files[p]; ok || m.dirs[p] {
		return p
	}
	return ""
}

// ReadDir implements block.Machine.
func (m *Machine) ReadDir(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if names, ok := m.sysBlock(dir); ok {
		return names, nil
	}
	names := map[string]bool{}
	for p, n := range m.links {
		if rest, ok := strings.CutPrefix(p, dir+"/"); ok && m.devs[n] != nil {
			first, _, _ := strings.Cut(rest, "/")
			names[first] = true
		}
	}
	for _, list := range []map[string]bool{m.dirs, keys(m.files)} {
		for p := range list {
			if rest, ok := strings.CutPrefix(p, dir+"/"); ok {
				first, _, _ := strings.Cut(rest, "/")
				names[first] = true
			}
		}
	}
	if len(names) == 0 && !m.dirs[dir] {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func keys(m map[string][]byte) map[string]bool {
	k := map[string]bool{}
	for n := range m {
		k[n] = true
	}
	return k
}

// ReadFile implements host.Linux's.
func (m *Machine) ReadFile(p string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok := m.files[p]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	return slices.Clone(text), nil
}

// Tell implements host.Linux's: the kernel's file must be there.
func (m *Machine) Tell(p, text string) error {
	return m.change("tell "+p+" "+text, func() error {
		if hook, ok := m.hooks[p]; ok {
			return hook(text)
		}
		if _, ok := m.files[p]; !ok {
			return &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
		}
		m.files[p] = []byte(text)
		return nil
	})
}

// Save implements host.Linux's.
func (m *Machine) Save(p string, data []byte, mode fs.FileMode) error {
	return m.change("save "+p, func() error {
		m.files[p], m.modes[p] = slices.Clone(data), mode
		m.dirs[path.Dir(p)] = true
		return nil
	})
}

// Delete implements host.Linux's.
func (m *Machine) Delete(p string) error {
	return m.change("delete "+p, func() error { delete(m.files, p); return nil })
}

// MakeDir implements host.Linux's.
func (m *Machine) MakeDir(p string, _ fs.FileMode) error {
	return m.change("mkdir "+p, func() error { m.dirs[p] = true; return nil })
}

// DeleteDir implements host.Linux's.
func (m *Machine) DeleteDir(p string) error {
	return m.change("rmdir "+p, func() error { delete(m.dirs, p); return nil })
}

// Blank implements block.Prober.
func (m *Machine) Blank(p string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.find(p)
	if d == nil {
		return false, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	if m.busy(d) != "" {
		return false, host.ErrInUse
	}
	return len(d.Content) == 0, nil
}

// Output runs an imitated program.
func (m *Machine) Output(ctx context.Context, c host.Call) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.called(c.Name)
	tool, ok := m.tools[c.Name]
	if !ok {
		return nil, fmt.Errorf("%s: no such program in the imitation", c.Name)
	}
	var out string
	run := func() (err error) { out, err = tool(m, c.Args, c.Input); return err }
	if reads(c) {
		m.mu.Lock()
		defer m.mu.Unlock()
		err := run()
		return []byte(out), err
	}
	err := m.change(c.String(), run)
	return []byte(out), err
}

// fails is what a tool answers when it does not like something.
func fails(name string, code int, format string, args ...any) error {
	return &host.ExitError{Name: name, Code: code, Said: fmt.Sprintf(format, args...)}
}
