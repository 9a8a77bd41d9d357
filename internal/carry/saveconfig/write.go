package saveconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// The file, with its keys in the order that rtslib saves them.
type (
	saved struct {
		Fabrics []fabricModule  `json:"fabric_modules"`
		Storage []storageObject `json:"storage_objects"`
		Targets []savedTarget   `json:"targets"`
	}
	fabricModule struct {
		EnableAuth     bool   `json:"discovery_enable_auth"`
		MutualPassword string `json:"discovery_mutual_password,omitempty"`
		MutualUser     string `json:"discovery_mutual_userid,omitempty"`
		Password       string `json:"discovery_password,omitempty"`
		User           string `json:"discovery_userid,omitempty"`
		Name           string `json:"name"`
	}
	storageObject struct {
		Groups     []aluaGroup    `json:"alua_tpgs,omitempty"`
		Attributes map[string]int `json:"attributes,omitempty"`
		Dev        string         `json:"dev,omitempty"`
		Name       string         `json:"name"`
		NullIO     bool           `json:"nullio,omitempty"`
		Plugin     string         `json:"plugin"`
		ReadOnly   *bool          `json:"readonly,omitempty"`
		Size       *int64         `json:"size,omitempty"`
		WriteBack  *bool          `json:"write_back,omitempty"`
		WWN        string         `json:"wwn,omitempty"`
	}
	aluaGroup struct {
		State     int64  `json:"alua_access_state"`
		Name      string `json:"name"`
		Preferred int    `json:"preferred"`
		ID        int    `json:"tg_pt_gp_id"`
	}
	savedTarget struct {
		Fabric string     `json:"fabric"`
		TPGs   []savedTPG `json:"tpgs"`
		WWN    string     `json:"wwn"`
	}
	savedTPG struct {
		Attributes map[string]int `json:"attributes"`
		chap
		Enable     bool              `json:"enable"`
		LUNs       []savedLUN        `json:"luns"`
		ACLs       []nodeACL         `json:"node_acls"`
		Parameters map[string]string `json:"parameters,omitempty"`
		Portals    []savedPortal     `json:"portals"`
		Tag        int               `json:"tag"`
	}
	chap struct {
		MutualPassword string `json:"chap_mutual_password,omitempty"`
		MutualUser     string `json:"chap_mutual_userid,omitempty"`
		Password       string `json:"chap_password,omitempty"`
		User           string `json:"chap_userid,omitempty"`
	}
	savedLUN struct {
		Group  string `json:"alua_tg_pt_gp_name,omitempty"`
		Index  int    `json:"index"`
		Object string `json:"storage_object"`
	}
	nodeACL struct {
		chap
		LUNs []mappedLUN `json:"mapped_luns"`
		WWN  string      `json:"node_wwn"`
	}
	mappedLUN struct {
		Index    int  `json:"index"`
		From     int  `json:"tpg_lun"`
		ReadOnly bool `json:"write_protect"`
	}
	savedPortal struct {
		Address string `json:"ip_address"`
		ISER    bool   `json:"iser"`
		Offload bool   `json:"offload"`
		Port    int    `json:"port"`
	}
)

// Write writes a document as saveconfig.json, with its secrets.
func (Format) Write(d *config.Document, o carry.Options) (*carry.Export, error) {
	w := &writer{d: d, o: o, paths: map[string]string{}, readOnly: map[string]bool{}}
	file := saved{Fabrics: []fabricModule{}, Storage: []storageObject{}, Targets: []savedTarget{}}
	w.discovery(&file)
	for _, dev := range d.Devices {
		w.device(&file, dev)
	}
	for _, p := range d.ISCSI.Portals {
		if p.Announce != "" {
			w.Miss("announce of portal "+p.Name, "LIO tells the address itself")
		}
	}
	for _, t := range d.Targets {
		d := t.WithDefaults().Driver
		if d == config.DriverLocal && !strings.HasPrefix(t.Name, "naa.") && !strings.HasPrefix(t.Name, "iqn.") {
			w.Miss("target "+t.Name, "LIO's loopback takes names like naa.5001405b2a1c3d4e")
			continue
		}
		file.Targets = append(file.Targets, savedTarget{Fabric: fabrics()[d], TPGs: w.tpgs(t), WWN: toWWN(d, t.Name)})
	}
	w.remote()
	w.Attributes(d)
	w.Machine(d)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(file); err != nil {
		return nil, fmt.Errorf("write document %q as saveconfig.json: %w", d.Name, err)
	}
	return &carry.Export{Text: out.Bytes(), Left: w.Left}, nil
}

type writer struct {
	carry.Told
	d        *config.Document
	o        carry.Options
	paths    map[string]string // of storage objects, by device
	readOnly map[string]bool   // devices whose LUNs must be protected
}

func (w *writer) discovery(file *saved) {
	a := w.d.ISCSI.Discovery
	if len(a.Algorithms) > 0 {
		w.Miss("algorithms of discovery", "LIO takes all that it knows")
	}
	for i, u := range a.Users {
		switch {
		case i > 0:
			w.Miss("user "+u.Name+" of discovery", "LIO has one")
			continue
		case len(u.Initiators) > 0:
			w.Miss("initiators of user "+u.Name+" of discovery", "LIO's user is for all")
		}
		m := fabricModule{Name: "iscsi", EnableAuth: true, User: u.Name, Password: string(u.Secret)}
		if a.Mutual != nil {
			m.MutualUser, m.MutualPassword = a.Mutual.Name, string(a.Mutual.Secret)
		}
		file.Fabrics = append(file.Fabrics, m)
	}
}

func (w *writer) device(file *saved, d config.Device) {
	if d.Handler.PassThrough() {
		switch d.Handler {
		case config.PassDisk, config.PassTape, config.PassCDROM, config.PassChanger:
			w.paths[d.Name] = "/backstores/pscsi/" + d.Name
			file.Storage = append(file.Storage, storageObject{Name: d.Name, Plugin: "pscsi", Dev: d.Path})
		default:
			w.Miss("device "+d.Name, "LIO passes on disks, tapes, changers and CD drives, not "+string(d.Handler))
		}
		return
	}
	s := storageObject{Name: d.Name, WWN: wwnOf(d.Identity), Attributes: map[string]int{}}
	of := "device " + d.Name
	size := int64(d.Size)
	switch d.Handler {
	case config.CDROM:
		w.Miss(of, "LIO has no CD-ROM drives")
		return
	case config.BlockIO:
		s.Plugin, s.Dev, s.ReadOnly, s.WriteBack = "block", w.o.Path(d), &d.ReadOnly, new(!d.WriteThrough)
		if d.Identity.Product == model("fileio") && strings.HasPrefix(d.Path, "/dev/") { // a block device that LIO served as a file
			s.Plugin, s.ReadOnly = "fileio", nil
		}
	case config.FileIO:
		s.Plugin, s.Dev, s.Size, s.WriteBack = "fileio", w.o.Path(d), &size, new(!d.WriteThrough)
	case config.Memory:
		s.Plugin, s.Size = "ramdisk", &size
	case config.NullIO:
		s.Plugin, s.Size, s.NullIO = "ramdisk", &size, true
	}
	if d.ReadOnly && s.ReadOnly == nil {
		w.readOnly[d.Name] = true
		w.Leave("read_only of "+of, "LIO protects the LUNs that lead to it instead")
	}
	if d.ODirect || d.Provisioning != "" {
		w.Leave("o_direct and provisioning of "+of, "LIO has neither")
	}
	if d.Removable {
		w.Miss("removable of "+of, "LIO's disks are fixed")
	}
	if d.BlockSize != 0 {
		s.Attributes["block_size"] = d.BlockSize
	}
	s.Attributes["is_nonrot"] = 1
	if d.Rotational {
		s.Attributes["is_nonrot"] = 0
	}
	id := d.WithDefaults().Identity
	if id.Product == d.Name[:min(len(d.Name), 16)] && id.Product != model(s.Plugin) {
		s.Attributes["emulate_model_alias"] = 1
	} else if id.Product != model(s.Plugin) {
		w.Miss("product of "+of, "LIO tells "+model(s.Plugin)+", or the device's name")
	}
	if id.Vendor != vendor || d.Identity.Revision != "" && id.Revision != revision {
		w.Miss("vendor and revision of "+of, "LIO tells "+vendor+" and "+revision)
	}
	if s.WWN != "" && (naa(s.WWN) != id.NAA || id.T10ID != id.Product+":"+s.WWN) {
		w.Miss("identity of "+of, "LIO makes the NAA and T10 identifiers of the serial number; multipath sees another disk")
	}
	s.Groups = w.groups(d.Name)
	w.paths[d.Name] = "/backstores/" + s.Plugin + "/" + d.Name
	file.Storage = append(file.Storage, s)
}

// groups are the ALUA groups of a device.
func (w *writer) groups(device string) []aluaGroup {
	var groups []aluaGroup
	for _, tg := range w.targetGroups(device) {
		g := aluaGroup{Name: tg.Name, ID: tg.ID}
		if tg.Preferred {
			g.Preferred = 1
		}
		for n, name := range states() {
			if name == tg.WithDefaults().State {
				g.State = n
			}
		}
		groups = append(groups, g)
	}
	return groups
}

func (w *writer) targetGroups(device string) []config.TargetGroup {
	for _, g := range w.d.DeviceGroups {
		for _, name := range g.Devices {
			if name == device {
				return g.TargetGroups
			}
		}
	}
	return nil
}

// remote notes the ports of a peer node.
func (w *writer) remote() {
	for _, g := range w.d.DeviceGroups {
		if len(g.Devices) == 0 || len(g.TargetGroups) == 0 {
			w.Leave("device group "+g.Name, "LIO's groups are of devices")
		}
		for _, tg := range g.TargetGroups {
			for _, t := range tg.Targets {
				if t.RelativeID != 0 {
					w.Miss("target "+t.Name+" of target group "+tg.Name+" of device group "+g.Name, "LIO does not tell the ports of a peer node")
				}
			}
		}
	}
}
