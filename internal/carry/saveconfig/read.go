// Package saveconfig reads and writes saveconfig.json, the file that targetcli
// and rtslib save LIO's targets in.
package saveconfig

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// Format is saveconfig.json.
type Format struct{}

// Name is lio.
func (Format) Name() string { return "lio" }

// Recognises says whether a text looks like saveconfig.json.
func (Format) Recognises(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) &&
		(bytes.Contains(text, []byte(`"storage_objects"`)) || bytes.Contains(text, []byte(`"fabric_modules"`)) || bytes.Contains(text, []byte(`"targets"`)))
}

// Read reads a file. name is told in errors.
func (Format) Read(name string, text []byte) (*carry.Import, error) {
	top, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	if top.what != "object" {
		return nil, carry.Refuse(name, top.at, "saveconfig.json holds one object, not a "+top.what)
	}
	r := &reader{file: name, f: carry.NewFound(), objects: map[string]*stored{}, stores: map[string]string{},
		serials: map[string]bool{}, naas: map[string]bool{}}
	all := object{r, top, "the file"}
	for _, o := range all.objects("storage_objects") {
		r.storage(o)
	}
	for _, o := range all.objects("fabric_modules") {
		r.discovery(o)
	}
	for _, o := range all.objects("targets") {
		r.target(o)
	}
	all.rest(nil, "the file")
	if r.err != nil {
		return nil, r.err
	}
	r.f.OrderPortals()
	r.deviceGroups()
	return r.f.Import(name)
}

// reader makes a document of a file's values. The first error stays in err.
type reader struct {
	file    string
	f       *carry.Found
	err     error
	objects map[string]*stored // by path, like /backstores/block/disk1
	order   []*stored
	stores  map[string]string // device by path
	serials map[string]bool
	naas    map[string]bool
	limits  bool // measured limits were left already
}

// stored is a storage object.
type stored struct {
	device string // its name in the document, "" when it was not carried
	at     carry.Place
	groups []config.TargetGroup // ALUA groups, without the default one
}

// measured notes once a file that limits are found anew.
func (r *reader) measured(at carry.Place) {
	if !r.limits {
		r.limits = true
		r.f.Leave(at, "limits of storage objects (max_unmap_lba_count, optimal_sectors and their like)", "ESOS finds by itself what a store can do")
	}
}

func (r *reader) refuse(at carry.Place, format string, args ...any) {
	if r.err == nil {
		r.err = carry.Refuse(r.file, at, fmt.Sprintf(format, args...))
	}
}

// model is what LIO names a plugin's disks.
func model(plugin string) string {
	switch plugin {
	case "block":
		return "IBLOCK"
	case "fileio":
		return "FILEIO"
	}
	return "RAMDISK-MCP"
}

// storage reads a storage object.
func (r *reader) storage(o object) {
	plugin, name := o.text("plugin"), o.text("name")
	o.of = "storage object " + plugin + "/" + name
	path := "/backstores/" + plugin + "/" + name
	if name == "" || plugin == "" {
		r.refuse(o.n.at, "a storage object lacks its name or its plugin")
		return
	}
	if r.objects[path] != nil {
		r.refuse(o.n.at, "%s stands twice in the file", o.of)
		return
	}
	s := &stored{at: o.n.at}
	r.objects[path] = s
	r.order = append(r.order, s)
	var d config.Device
	switch plugin {
	case "block":
		d.Handler, d.Path, d.ReadOnly = config.BlockIO, o.text("dev"), o.flag("readonly", false)
		o.flag("write_back", false) // ESOS tells of a disk's own cache, and flushes it
	case "fileio":
		d.Handler, d.Path = config.FileIO, o.text("dev")
		// Without write_back LIO opens the file with O_DSYNC.
		d.WriteThrough = !o.flag("write_back", true)
		d.Size = config.Size(o.number("size", 0))
		if strings.HasPrefix(d.Path, "/dev/") {
			d.Handler, d.Size = config.BlockIO, 0
		}
	case "ramdisk":
		d.Handler, d.Size = config.Memory, config.Size(o.number("size", 0))
		if o.flag("nullio", false) {
			d.Handler = config.NullIO
		}
	case "pscsi":
		r.passThrough(s, o, name)
		return
	case "user":
		r.f.Miss(o.n.at, o.of, "a program of its own serves it (tcmu), and ESOS's document has no such device")
		return
	default:
		r.f.Miss(o.n.at, o.of, "ESOS knows no plugin of that name")
		return
	}
	a := o.inner("attributes")
	d.BlockSize = int(a.number("block_size", 512))
	d.Rotational = !a.flag("is_nonrot", false)
	alias := a.flag("emulate_model_alias", false)
	if why := r.unserved(&d); why != "" {
		r.f.Miss(o.n.at, o.of, why)
		return
	}
	if d.BlockSize == 512 {
		d.BlockSize = 0
	}
	if d.Size%config.Size(d.WithDefaults().BlockSize) != 0 || d.Size < 0 {
		r.f.Leave(o.n.at, "size of "+o.of, "it is no multiple of the block size; the file's own size is taken")
		d.Size = 0
	}
	if d.Size == 0 && (d.Handler == config.Memory || d.Handler == config.NullIO) {
		r.f.Miss(o.n.at, o.of, "it has no size")
		return
	}
	d.Name = r.f.Name(o.n.at, "device", name)
	s.device = d.Name
	if d.Path != "" {
		r.stores[filepath.Clean(d.Path)] = d.Name
	}
	product := model(plugin)
	if alias {
		product = d.Name[:min(len(d.Name), 16)]
	}
	r.identity(&d, o, product)
	r.groups(s, o)
	a.rest(ofStorage(), o.of)
	o.rest(map[string]string{"aio": "0"}, o.of)
	r.f.At(fmt.Sprintf("devices[%d]", len(r.f.Doc.Devices)), o.n.at)
	r.f.Doc.Devices = append(r.f.Doc.Devices, d)
}

// passThrough reads a SCSI device of the machine, which is what it is.
func (r *reader) passThrough(s *stored, o object, name string) {
	d := config.Device{Path: o.text("dev")}
	d.Handler = passedHandler(d.Path)
	why := ""
	switch clean := filepath.Clean(d.Path); {
	case d.Handler == "":
		why = "its dev does not say what it is; make it with: esos device create NAME --handler dev_tape (dev_disk, dev_changer, ...) --path " + carry.Clip(d.Path)
	case strings.HasSuffix(d.Path, "/") || len(d.Path) > 4095 || strings.ContainsRune(d.Path, 0):
		why = "its dev is no path of a device"
	case r.stores[clean] != "":
		why = "its dev is served as device " + r.stores[clean] + " already; two devices on one store destroy its data"
	}
	if why != "" {
		r.f.Miss(o.n.at, o.of, why)
		return
	}
	d.Name = r.f.Name(o.n.at, "device", name)
	s.device, r.stores[filepath.Clean(d.Path)] = d.Name, d.Name
	for _, g := range o.objects("alua_tpgs") {
		if name := g.text("name"); name != "default_tg_pt_gp" {
			r.f.Miss(g.n.at, "ALUA group "+name+" of "+o.of, "a SCSI device that is passed on has its own access states")
		}
	}
	o.inner("attributes").rest(ofStorage(), o.of)
	o.rest(nil, o.of)
	r.f.At(fmt.Sprintf("devices[%d]", len(r.f.Doc.Devices)), o.n.at)
	r.f.Doc.Devices = append(r.f.Doc.Devices, d)
}

// unserved says why ESOS cannot serve a device, "" if it can.
func (r *reader) unserved(d *config.Device) string {
	switch clean := filepath.Clean(d.Path); {
	case d.BlockSize != 512 && d.BlockSize != 4096:
		return fmt.Sprintf("ESOS serves blocks of 512 or 4096 bytes, and its data is in blocks of %d", d.BlockSize)
	case d.Handler == config.Memory || d.Handler == config.NullIO:
		return ""
	case !filepath.IsAbs(d.Path) || strings.HasSuffix(d.Path, "/") || len(d.Path) > 4095 || strings.ContainsRune(d.Path, 0):
		return "its dev is no absolute path of a file or block device"
	case r.stores[clean] != "":
		return "its store is served as device " + r.stores[clean] + " already; two devices on one store destroy its data"
	}
	return ""
}

// groups reads the ALUA groups of a storage object.
func (r *reader) groups(s *stored, o object) {
	ids, names := map[int]bool{}, map[string]bool{}
	for _, g := range o.objects("alua_tpgs") {
		name := g.text("name")
		g.of = "ALUA group " + name + " of " + o.of
		tg := config.TargetGroup{Name: name, ID: int(g.number("tg_pt_gp_id", 0)), Preferred: g.flag("preferred", false)}
		state := g.number("alua_access_state", 0)
		tg.State = stateName(state)
		g.rest(ofGroup(), g.of)
		switch {
		case name == "default_tg_pt_gp":
			if state != 0 || tg.Preferred {
				r.f.Miss(g.n.at, g.of, "ESOS's default is active and not preferred; put the target into a target group of its own")
			}
		case tg.State == "":
			r.f.Miss(g.n.at, g.of, fmt.Sprintf("ESOS has no access state %d", state))
		case tg.ID < 1 || tg.ID > 65535 || ids[tg.ID]:
			r.f.Miss(g.n.at, g.of, "its tg_pt_gp_id must be 1 to 65535 and its own")
		case !groupName(name) || names[name]:
			r.f.Miss(g.n.at, g.of, "its name must be its own and have letters, digits, \".\", \"_\" and \"-\"")
		default:
			ids[tg.ID], names[name] = true, true
			s.groups = append(s.groups, tg)
		}
	}
}

func groupName(name string) bool { return (&carry.Names{}).Make(name) == name }

// states are LIO's numbers of access states (SPC-5 6.36).
func states() map[int64]string {
	return map[int64]string{0: "active", 1: "nonoptimized", 2: "standby", 3: "unavailable", 14: "offline", 15: "transitioning"}
}

func stateName(n int64) string { return states()[n] }

// discovery reads a fabric module: who may run discovery.
func (r *reader) discovery(o object) {
	name := o.text("name")
	o.of = "fabric module " + name
	auth := &r.f.Doc.ISCSI.Discovery
	on := o.flag("discovery_enable_auth", false)
	u := config.CHAPUser{Name: o.text("discovery_userid"), Secret: r.secret(o, "discovery_password")}
	m := config.CHAPUser{Name: o.text("discovery_mutual_userid"), Secret: r.secret(o, "discovery_mutual_password")}
	o.rest(nil, o.of)
	switch {
	case name != "iscsi":
		if on {
			r.f.Miss(o.n.at, o.of, "ESOS's document has iSCSI targets only")
		}
		return
	case u.Name == "" && u.Secret == "":
		return
	case !on:
		r.f.Leave(o.n.at, "discovery_userid of "+o.of, "nobody is asked for it (discovery_enable_auth is off)")
		return
	}
	if why := carry.Unusable(u, nil); why != "" {
		r.f.Miss(o.n.at, "discovery_userid of "+o.of, why+"; until then everybody may ask for the names of targets")
	} else {
		auth.Users = append(auth.Users, u)
	}
	if m.Name == "" && m.Secret == "" {
		return
	}
	if why := carry.UnusableMutual(m, auth.Users); why != "" {
		r.f.Miss(o.n.at, "discovery_mutual_userid of "+o.of, why)
		return
	}
	auth.Mutual = &m
}

// secret reads a password.
func (r *reader) secret(o object, key string) config.Secret {
	s := o.text(key)
	if s == config.Hidden {
		r.refuse(o.n.at, "%s of %s reads %s; write the secret itself", key, o.of, config.Hidden)
	}
	return config.Secret(s)
}

// deviceGroups makes device groups of the ALUA groups of devices: LIO has them
// one by one, and devices that have the same are one group here.
func (r *reader) deviceGroups() {
	for _, s := range r.order {
		if s.device == "" || len(s.groups) == 0 {
			continue
		}
		found := false
		for i := range r.f.Doc.DeviceGroups {
			g := &r.f.Doc.DeviceGroups[i]
			if found = sameGroups(g.TargetGroups, s.groups); found {
				g.Devices = append(g.Devices, s.device)
				break
			}
		}
		if !found {
			r.f.At(fmt.Sprintf("device_groups[%d]", len(r.f.Doc.DeviceGroups)), s.at)
			r.f.Doc.DeviceGroups = append(r.f.Doc.DeviceGroups, config.DeviceGroup{Name: s.device, Devices: []string{s.device}, TargetGroups: s.groups})
		}
	}
}
