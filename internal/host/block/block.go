// Package block says which block devices a machine has: disks, their
// partitions, and what Linux made of them; and what is on a device, before it
// is overwritten.
package block

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Device is a block device, as the kernel and udev tell.
type Device struct {
	Name       string `json:"name"` // the kernel's: sda, md127, dm-3
	Path       string `json:"path"` // /dev/sda, /dev/mapper/vg0-db01
	Type       string `json:"type"` // lsblk's word: disk, part, raid6, lvm, crypt, mpath, rom, loop
	Number     string `json:"number"`
	Size       int64  `json:"size"` // bytes
	Sector     int    `json:"sector_size"`
	Physical   int    `json:"physical_sector_size"`
	Rotational bool   `json:"rotational"`
	ReadOnly   bool   `json:"read_only,omitempty"`
	Removable  bool   `json:"removable,omitempty"`
	Discards   bool   `json:"discards,omitempty"`
	Model      string `json:"model,omitempty"`
	Vendor     string `json:"vendor,omitempty"`
	Serial     string `json:"serial,omitempty"`
	WWN        string `json:"wwn,omitempty"`
	Transport  string `json:"transport,omitempty"`   // sata, sas, nvme, virtio, usb, iscsi, fc
	Address    string `json:"address,omitempty"`     // SCSI's HOST:CHANNEL:ID:LUN
	State      string `json:"state,omitempty"`       // running, offline, of SCSI disks; live, of NVMe; suspended, of the device mapper's
	Mapper     string `json:"mapper_uuid,omitempty"` // the device mapper's, which says what made it

	Signature string   `json:"signature,omitempty"` // what udev found on it: xfs, linux_raid_member, LVM2_member, crypto_LUKS
	Label     string   `json:"label,omitempty"`     // of that
	UUID      string   `json:"uuid,omitempty"`      // of that
	Table     string   `json:"table,omitempty"`     // gpt, dos
	PartName  string   `json:"partition_name,omitempty"`
	Mounts    []string `json:"mounts,omitempty"` // where it is mounted; [SWAP]

	Below []string `json:"below,omitempty"` // by the kernel's names: the disk of a partition, the members of an array
	Above []string `json:"above,omitempty"` // its partitions, and what stands on it
	Links []string `json:"links,omitempty"` // names in /dev/disk/by-id, the best first
}

// Inventory is all block devices of a machine.
type Inventory struct {
	devices []Device
	byName  map[string]int
	real    func(string) string
}

// Machine is what an inventory is read from (host.Linux).
type Machine interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
	ReadDir(path string) ([]string, error)
	ReadFile(path string) ([]byte, error)
	Real(path string) string
}

// listed is a device in lsblk's JSON.
type listed struct {
	Name     string   `json:"kname"`
	Parent   string   `json:"pkname"`
	Path     string   `json:"path"`
	Type     string   `json:"type"`
	Number   string   `json:"maj:min"`
	Size     int64    `json:"size"`
	Sector   int      `json:"log-sec"`
	Physical int      `json:"phy-sec"`
	Rota     bool     `json:"rota"`
	RO       bool     `json:"ro"`
	RM       bool     `json:"rm"`
	Discard  int64    `json:"disc-max"`
	Model    string   `json:"model"`
	Vendor   string   `json:"vendor"`
	Serial   string   `json:"serial"`
	WWN      string   `json:"wwn"`
	Tran     string   `json:"tran"`
	HCTL     string   `json:"hctl"`
	State    string   `json:"state"`
	FSType   string   `json:"fstype"`
	Label    string   `json:"label"`
	UUID     string   `json:"uuid"`
	PTType   string   `json:"pttype"`
	PartName string   `json:"partlabel"`
	Mounts   []string `json:"mountpoints"` // with null among them
	Children []listed `json:"children"`
}

// columns are those of listed, and NAME, without which lsblk prints no tree but
// a list that does not say what stands on what (seen with util-linux 2.41).
const columns = "NAME,KNAME,PKNAME,PATH,TYPE,MAJ:MIN,SIZE,LOG-SEC,PHY-SEC,ROTA,RO,RM,DISC-MAX,MODEL,VENDOR,SERIAL,WWN,TRAN,HCTL,STATE,FSTYPE,LABEL,UUID,PTTYPE,PARTLABEL,MOUNTPOINTS"

// sysBlock is where the kernel lists the block devices.
const sysBlock = "/sys/class/block"

// someMissing is lsblk's exit code when some of the devices that it was asked
// about are not there: they went away meanwhile (lsblk(8)).
const someMissing = 64

// Read reads the inventory. lsblk is asked about each device once: its tree
// repeats what stands on several disks under each of them, which takes seconds
// where hundreds of volumes do. What stands on what the kernel tells.
func Read(ctx context.Context, m Machine) (*Inventory, error) {
	names, err := m.ReadDir(sysBlock)
	if err != nil {
		return nil, fmt.Errorf("list the block devices: %w", err)
	}
	args := []string{"--nodeps", "--json", "--bytes", "--all", "--output", columns}
	for _, n := range names {
		args = append(args, "/dev/"+strings.ReplaceAll(n, "!", "/"))
	}
	out, err := m.Output(ctx, host.Call{Name: "lsblk", Args: args})
	if exit := (*host.ExitError)(nil); errors.As(err, &exit) && exit.Code == someMissing {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the block devices: %w", err)
	}
	stands, err := standing(m, names)
	if err != nil {
		return nil, err
	}
	inv, err := parse(out, stands)
	if err != nil {
		return nil, err
	}
	inv.real = m.Real
	inv.links(m)
	inv.mapped(m)
	return inv, nil
}

// standing reads what stands on what from the kernel: partitions on their
// disks, and what is made of others (Documentation/ABI/stable/sysfs-block).
func standing(m Machine, names []string) ([][2]string, error) {
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	var stands [][2]string
	for _, n := range names {
		inside, err := m.ReadDir(path.Join(sysBlock, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went away
		}
		if err != nil {
			return nil, fmt.Errorf("list what stands on %s: %w", n, err)
		}
		for _, e := range inside {
			if known[e] && strings.HasPrefix(e, n) {
				stands = append(stands, [2]string{e, n})
			}
		}
		if !slices.Contains(inside, "slaves") {
			continue // a partition has none
		}
		below, err := m.ReadDir(path.Join(sysBlock, n, "slaves"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list what %s stands on: %w", n, err)
		}
		for _, b := range below {
			stands = append(stands, [2]string{n, b})
		}
	}
	return stands, nil
}

// parse reads lsblk's answer, a tree or a list; stands is what is known besides
// of what stands on what.
func parse(text []byte, stands [][2]string) (*Inventory, error) {
	var list struct {
		Devices []listed `json:"blockdevices"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("list the block devices: lsblk's answer: %w", err)
	}
	inv := &Inventory{byName: map[string]int{}}
	for _, d := range list.Devices {
		stands = inv.add(d, d.Parent, stands)
	}
	inv.stack(stands)
	for i := range inv.devices {
		d := &inv.devices[i]
		if d.Type == "part" && len(d.Below) == 0 {
			// Who does not see that a partition is mounted would wipe its disk.
			return nil, fmt.Errorf("list the block devices: lsblk shows partition %s without its disk", d.Name)
		}
		if inv.standsOn(d.Name, d.Name, map[string]bool{}) {
			return nil, fmt.Errorf("list the block devices: lsblk shows %s standing on itself", d.Name)
		}
	}
	return inv, nil
}

// add adds a device that lsblk showed below another one, and what it showed
// under it. A device that stands on several is shown under each of them.
func (inv *Inventory) add(l listed, below string, stands [][2]string) [][2]string {
	if l.Name == "" {
		return stands
	}
	if below != "" && below != l.Name {
		stands = append(stands, [2]string{l.Name, below})
	}
	if _, known := inv.byName[l.Name]; known {
		return stands
	}
	d := Device{
		Name: l.Name, Path: l.Path, Type: l.Type, Number: l.Number, Size: l.Size, Sector: l.Sector, Physical: l.Physical,
		Rotational: l.Rota, ReadOnly: l.RO, Removable: l.RM, Discards: l.Discard > 0,
		Model: printable(l.Model), Vendor: printable(l.Vendor), Serial: printable(l.Serial), WWN: printable(l.WWN),
		Transport: l.Tran, Address: l.HCTL, State: l.State,
		Signature: l.FSType, Label: printable(l.Label), UUID: l.UUID, Table: l.PTType, PartName: printable(l.PartName),
	}
	for _, m := range l.Mounts {
		if m != "" {
			d.Mounts = append(d.Mounts, m)
		}
	}
	inv.byName[l.Name] = len(inv.devices)
	inv.devices = append(inv.devices, d)
	for _, c := range l.Children {
		stands = inv.add(c, l.Name, stands)
	}
	return stands
}

// stack notes what stands on what.
func (inv *Inventory) stack(stands [][2]string) {
	seen := map[[2]string]bool{}
	for _, s := range stands {
		up, known := inv.byName[s[0]]
		down, there := inv.byName[s[1]]
		if !known || !there || seen[s] {
			continue
		}
		seen[s] = true
		inv.devices[up].Below = append(inv.devices[up].Below, s[1])
		inv.devices[down].Above = append(inv.devices[down].Above, s[0])
	}
}

// standsOn says whether a device stands on another one, over however many.
func (inv *Inventory) standsOn(name, on string, visited map[string]bool) bool {
	d, _ := inv.Named(name)
	for _, below := range d.Below {
		if below == on {
			return true
		}
		if !visited[below] {
			visited[below] = true
			if inv.standsOn(below, on, visited) {
				return true
			}
		}
	}
	return false
}

// links finds the names of devices in /dev/disk/by-id, the best first.
func (inv *Inventory) links(m Machine) {
	const dir = "/dev/disk/by-id"
	names, err := m.ReadDir(dir)
	if err != nil {
		return // none yet, early at boot
	}
	for _, n := range names {
		link := path.Join(dir, n)
		if at, ok := inv.byName[kernelName(m.Real(link))]; ok {
			inv.devices[at].Links = append(inv.devices[at].Links, link)
		}
	}
	for i := range inv.devices {
		slices.SortStableFunc(inv.devices[i].Links, func(a, b string) int { return rank(a) - rank(b) })
	}
}

// mapped reads what made the devices of the device mapper.
func (inv *Inventory) mapped(m Machine) {
	for i := range inv.devices {
		if d := &inv.devices[i]; strings.HasPrefix(d.Name, "dm-") {
			text, err := m.ReadFile("/sys/class/block/" + d.Name + "/dm/uuid")
			if err == nil {
				d.Mapper = printable(string(text))
			}
		}
	}
}

// Inner says whether a device is a part of LVM's own machinery, like the data
// of a thin pool: LVM's own names for these have a suffix after the two UUIDs
// (dm_build_dm_uuid in lib/activate/dev_manager.c of LVM2).
func (d Device) Inner() bool {
	rest, ok := strings.CutPrefix(d.Mapper, "LVM-")
	return ok && len(rest) > 64
}

// rank orders names: those that people find on the drive's label come first.
func rank(link string) int {
	name := path.Base(link)
	for i, prefix := range []string{"ata-", "nvme-", "scsi-S", "virtio-", "usb-", "scsi-", "wwn-"} {
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, "nvme-eui.") && !strings.HasPrefix(name, "nvme-nvme.") {
			return i
		}
	}
	return 99
}

// Without is the inventory less some devices, which are not found in it.
func (inv *Inventory) Without(leave func(Device) bool) *Inventory {
	less := &Inventory{byName: map[string]int{}, real: inv.real}
	for _, d := range inv.devices {
		if !leave(d) {
			less.byName[d.Name] = len(less.devices)
			less.devices = append(less.devices, d)
		}
	}
	return less
}

// Devices are all of them, in the order of lsblk.
func (inv *Inventory) Devices() []Device { return inv.devices }

// Named finds a device by the kernel's name.
func (inv *Inventory) Named(name string) (Device, bool) {
	at, ok := inv.byName[name]
	if !ok {
		return Device{}, false
	}
	return inv.devices[at], true
}

// Find finds the device that a path leads to.
func (inv *Inventory) Find(p string) (Device, bool) {
	return inv.Named(kernelName(inv.real(p)))
}

// kernelName is the kernel's name of a device file in /dev, "" of any other
// file: an image may be called sda, too. What is a directory in /dev (cciss/c0d0)
// is an exclamation mark to sysfs, and a slash again to lsblk.
func kernelName(real string) string {
	name, ok := strings.CutPrefix(real, "/dev/")
	if !ok {
		return ""
	}
	return name
}

// Disk is the whole disk of a partition; a device itself otherwise.
func (inv *Inventory) Disk(d Device) Device {
	if d.Type == "part" && len(d.Below) == 1 {
		if whole, ok := inv.Named(d.Below[0]); ok {
			return whole
		}
	}
	return d
}

// Friendly is how people and plans call a device: by its best link, without
// /dev/disk/by-id/.
func (d Device) Friendly() string {
	if len(d.Links) > 0 {
		return path.Base(d.Links[0])
	}
	return strings.TrimPrefix(d.Path, "/dev/")
}

// printable keeps what a drive says of itself from steering the terminal.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s))
}
