package storagefake

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Thin imitates LVM and the kernel as far as they concern snapshots of thin
// volumes: it is for tests that are about these alone.
type Thin struct {
	m       *Machine
	volumes []*ThinVolume
	pools   map[string]*thinPool // by group
	// Full is how many percent of the pools' space are in use.
	Full string
}

// ThinVolume is a volume, as LVM knows it.
type ThinVolume struct {
	Group, Name, Pool, Tags string
	Active, Open, ReadOnly  bool
	ID                      int // its number in the pool
	device                  string
}

// thinPool is a pool, as LVM and the kernel know it.
type thinPool struct {
	t           *Thin
	group       string
	next        int // number
	transaction int // of LVM
	kernel      int // transaction
	disagrees   bool
	data        map[int]int // of the kernel, by number: what is on a volume, as a number that counts up
}

// Thin makes lvm one that knows of thin volumes and their snapshots only. Each
// volume is VG/LV; all of a group are in its pool.
func (m *Machine) Thin(volumes ...string) *Thin {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &Thin{m: m, Full: "12.50", pools: map[string]*thinPool{}}
	for _, v := range volumes {
		group, name, _ := strings.Cut(v, "/")
		p := t.pools[group]
		if p == nil {
			p = &thinPool{t: t, group: group, next: 1, data: map[int]int{}}
			t.pools[group], m.pools[dmName(group, "pool")+"-tpool"] = p, p
			t.volumes = append(t.volumes, &ThinVolume{Group: group, Name: "pool", Active: true})
		}
		t.activate(t.add(&ThinVolume{Group: group, Name: name, Pool: "pool", ID: p.take()}))
	}
	m.tools["lvm"] = func(_ *Machine, args []string, _ string) (string, error) { return t.lvm(args) }
	m.tools["sync"] = func(*Machine, []string, string) (string, error) { return "", nil }
	return t
}

// take is LVM's and the kernel's next transaction: a new volume.
func (p *thinPool) take() int {
	p.next++
	p.transaction++
	p.kernel++
	p.data[p.next-1] = 0
	return p.next - 1
}

// Message implements ThinTarget.
func (p *thinPool) Message(text string) error {
	var id, from int
	if _, err := fmt.Sscanf(text, "delete %d", &id); err == nil {
		if _, there := p.data[id]; !there {
			return fails("dmsetup", 1, "device-mapper: message ioctl failed: No data available")
		}
		for _, v := range p.t.volumes {
			if v.Group == p.group && v.Pool != "" && v.ID == id && v.Active {
				return fails("dmsetup", 1, "device-mapper: message ioctl failed: Device or resource busy")
			}
		}
		delete(p.data, id)
		return nil
	}
	if _, err := fmt.Sscanf(text, "create_snap %d %d", &id, &from); err != nil {
		return fails("dmsetup", 1, "device-mapper: message ioctl failed: Invalid argument")
	}
	if _, there := p.data[id]; there {
		return fails("dmsetup", 1, "device-mapper: message ioctl failed: File exists")
	}
	for _, v := range p.t.volumes {
		if v.Group == p.group && v.Pool != "" && v.ID == from && !p.t.m.devs[v.device].Suspended {
			return fmt.Errorf("snapshot of %s/%s, which is written to: it would be damaged", v.Group, v.Name)
		}
	}
	p.data[id] = p.data[from]
	return nil
}

// Status implements ThinTarget.
func (p *thinPool) Status() string {
	count := p.kernel
	if p.disagrees {
		count--
	}
	return fmt.Sprintf("0 4194304 thin-pool %d 122/1024 656/32768 - rw no_discard_passdown queue_if_no_space - 256 \n", count)
}

// Disagree has the kernel count one transaction less of a group's pool than LVM.
func (t *Thin) Disagree(group string) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.pools[group].disagrees = true
}

// Lost are the volumes that LVM knows and the kernel does not.
func (t *Thin) Lost() (names []string) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	for _, v := range t.volumes {
		if _, there := t.pools[v.Group].data[v.ID]; v.Pool != "" && !there {
			names = append(names, v.Group+"/"+v.Name)
		}
	}
	return names
}

// Volume is one of the volumes, nil if there is none.
func (t *Thin) Volume(group, name string) *ThinVolume {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	return t.find(group, name)
}

// Names are the volumes there are, but the pools.
func (t *Thin) Names() (names []string) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	for _, v := range t.volumes {
		if v.Pool != "" {
			names = append(names, v.Group+"/"+v.Name)
		}
	}
	return names
}

// Write writes to a volume, unless I/O of it is held.
func (t *Thin) Write(group, name string, data int) (done bool) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	v := t.find(group, name)
	if t.m.devs[v.device].Suspended {
		return false
	}
	t.pools[group].data[v.ID] = data
	return true
}

// Read is what is on a volume.
func (t *Thin) Read(group, name string) int {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	return t.pools[group].data[t.find(group, name).ID]
}

func (t *Thin) find(group, name string) *ThinVolume {
	for _, v := range t.volumes {
		if v.Group == group && v.Name == name {
			return v
		}
	}
	return nil
}

func (t *Thin) add(v *ThinVolume) *ThinVolume {
	t.volumes = append(t.volumes, v)
	return v
}

func dmName(group, name string) string {
	return strings.ReplaceAll(group, "-", "--") + "-" + strings.ReplaceAll(name, "-", "--")
}

func (t *Thin) activate(v *ThinVolume) {
	v.Active, v.device = true, t.m.name("dm-")
	t.m.add(&Device{Name: v.device, Type: "lvm", Size: 1 << 30, ReadOnly: v.ReadOnly, MappedUUID: "LVM-" + strings.ReplaceAll("vg-"+v.Group+"lv-"+v.Name, "-", "")})
	t.m.links["/dev/mapper/"+dmName(v.Group, v.Name)] = v.device
	t.m.links["/dev/"+v.Group+"/"+v.Name] = v.device
}

func (t *Thin) deactivate(v *ThinVolume) {
	t.m.remove(v.device)
	v.Active, v.device = false, ""
}

// lvm does what a command says.
func (t *Thin) lvm(args []string) (string, error) {
	options, words := map[string][]string{}, []string{}
	for i := 1; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "--") && args[i] != "-o" {
			words = append(words, args[i])
			continue
		}
		if args[i] == "--nosuffix" || args[i] == "--snapshot" {
			options[args[i]] = []string{""}
			continue
		}
		options[args[i]] = append(options[args[i]], args[i+1])
		i++
	}
	if c := options["--config"]; len(c) != 1 || !strings.Contains(c[0], "scan_lvs=0") && len(t.m.suspendedNames()) > 0 {
		return "", fails("lvm", 5, "it hangs: it scans what is suspended")
	}
	if args[0] == "lvs" {
		return t.lvs()
	}
	if len(words) != 1 && (args[0] != "lvchange" || len(words) == 0) {
		return "", fails("lvm", 3, "%s: please name one volume", args[0])
	}
	group, name, _ := strings.Cut(words[0], "/")
	if args[0] == "lvcreate" && slices.Equal(options["--type"], []string{"thin"}) {
		return "", t.lvcreateEmpty(group, options)
	}
	v := t.find(group, name)
	if v == nil {
		return "", fails("lvm", 5, "Failed to find logical volume %q", words[0])
	}
	switch args[0] {
	case "lvcreate":
		return "", t.lvcreate(v, options)
	case "lvchange":
		if options["--activate"] == nil {
			for _, w := range words {
				group, name, _ := strings.Cut(w, "/")
				v := t.find(group, name)
				tags := slices.DeleteFunc(strings.Split(v.Tags, ","), func(tag string) bool { return slices.Contains(options["--deltag"], tag) })
				v.Tags = strings.Join(append(tags, options["--addtag"]...), ",")
				v.ReadOnly = v.ReadOnly || slices.Equal(options["--permission"], []string{"r"})
			}
			return "", nil
		}
		if v.Open {
			return "", fails("lvm", 5, "Logical volume %s in use.", words[0])
		}
		t.deactivate(v)
		return "", nil
	case "lvremove":
		if v.Active { // it asks, and its standard input is at its end
			return "", fails("lvm", 5, "Do you really want to remove active logical volume %s? [y/n]: [n]\n  Logical volume %s not removed.", words[0], words[0])
		}
		delete(t.pools[group].data, v.ID) // it may not be there
		t.pools[group].transaction++
		t.pools[group].kernel++
		t.volumes = slices.DeleteFunc(t.volumes, func(o *ThinVolume) bool { return o == v })
		return "", nil
	}
	return "", fails("lvm", 3, "%s: no such command in the imitation", args[0])
}

func (t *Thin) lvcreate(origin *ThinVolume, options map[string][]string) error {
	name := options["--name"][0]
	if t.find(origin.Group, name) != nil {
		return fails("lvm", 5, "Logical Volume %q already exists in volume group %q", name, origin.Group)
	}
	p := t.pools[origin.Group]
	if p.transaction != p.kernel {
		return fails("lvm", 5, "WARNING: Thin pool %s/pool has unexpected transaction id %d, expecting %d.\n  Cannot create new thin volume, free space in thin pool %s/pool reached threshold.", origin.Group, p.kernel, p.transaction, origin.Group)
	}
	v := t.add(&ThinVolume{Group: origin.Group, Name: name, Pool: origin.Pool, Tags: strings.Join(options["--addtag"], ","),
		ReadOnly: slices.Equal(options["--permission"], []string{"r"})})
	if d := t.m.devs[origin.device]; d != nil && d.Suspended {
		// Seen with LVM 2.03.31: it says "Attempted to decrement suspended
		// device counter below zero", and that the volume was created.
		d.Suspended, v.ID = false, p.next
		p.next++
		p.transaction++
		return nil
	}
	v.ID = p.take()
	p.data[v.ID] = p.data[origin.ID]
	return nil
}

// lvcreateEmpty makes an empty volume.
func (t *Thin) lvcreateEmpty(group string, options map[string][]string) error {
	name, p := options["--name"][0], t.pools[group]
	switch {
	case p == nil || !slices.Equal(options["--thinpool"], []string{"pool"}):
		return fails("lvm", 5, "Volume group %q not found", group)
	case t.find(group, name) != nil:
		return fails("lvm", 5, "Logical Volume %q already exists in volume group %q", name, group)
	case !slices.Equal(options["--virtualsize"], []string{fmt.Sprint(1<<30) + "b"}):
		return fails("lvm", 3, "Invalid argument for --virtualsize")
	}
	v := t.add(&ThinVolume{Group: group, Name: name, Pool: "pool", Tags: strings.Join(options["--addtag"], ","), ID: p.take()})
	if slices.Equal(options["--activate"], []string{"n"}) {
		return nil
	}
	t.activate(v)
	return nil
}

func (t *Thin) lvs() (string, error) {
	var list []map[string]string
	for _, v := range t.volumes {
		attr := []byte("Vwi---tz--")
		if v.Pool == "" {
			attr[0] = 't'
		}
		thinID, transaction := fmt.Sprint(v.ID), "0"
		if v.Pool == "" {
			thinID, transaction = "", fmt.Sprint(t.pools[v.Group].transaction)
		}
		if v.ReadOnly {
			attr[1] = 'r'
		}
		if v.Active {
			attr[4] = 'a'
		}
		if d := t.m.devs[v.device]; d != nil && d.Suspended {
			attr[4] = 's'
		}
		if v.Open {
			attr[5] = 'o'
		}
		list = append(list, map[string]string{"vg_name": v.Group, "lv_name": v.Name, "lv_uuid": "lv-" + v.Name, "vg_uuid": "vg-" + v.Group, "lv_dm_path": "/dev/mapper/" + dmName(v.Group, v.Name),
			"lv_tags": v.Tags, "pool_lv": v.Pool, "lv_size": fmt.Sprint(1 << 30), "lv_attr": string(attr), "data_percent": t.Full, "thin_id": thinID, "transaction_id": transaction, "metadata_percent": "1.00"})
	}
	out, err := json.Marshal(map[string]any{"report": []any{map[string]any{"lv": list}}})
	return string(out), err
}
