package home

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Find are the objects that search shows: all that the document has, and the
// disks of the machine. Opening one shows its part of the document.
func Find(doc *config.Document, s v1.StorageState) []frame.Found {
	var all []frame.Found
	add := func(object, command string, part any) {
		all = append(all, frame.Found{Object: object, Do: func(d *frame.Desk) { show(d, object, command, part) }})
	}
	if doc != nil {
		inDocument(doc, add)
	}
	for _, d := range s.Disks {
		add("disk/"+d.ID, "esos disk show "+d.ID, d)
	}
	return all
}

func inDocument(doc *config.Document, add func(object, command string, part any)) {
	doc = doc.Redacted()
	for _, d := range doc.Devices {
		add("device/"+d.Name, "esos device show "+d.Name, d)
	}
	for _, t := range doc.Targets {
		add("target/"+t.Name, "esos target show "+t.Name, t)
		for _, l := range t.LUNs {
			add(fmt.Sprintf("lun/%s/%d (%s)", t.Name, l.LUN, l.Device), "esos lun list", l)
		}
		for _, g := range t.Groups {
			add("group/"+t.Name+"/"+g.Name, "esos group list", g)
			for _, i := range g.Initiators {
				add("initiator/"+i+" in "+t.Name+"/"+g.Name, "esos initiator list", g)
			}
			for _, l := range g.LUNs {
				add(fmt.Sprintf("lun/%s/%s/%d (%s)", t.Name, g.Name, l.LUN, l.Device), "esos lun list", l)
			}
		}
	}
	for _, p := range doc.ISCSI.Portals {
		add("portal/"+p.Name, "esos portal list", p)
	}
	for _, g := range doc.DeviceGroups {
		add("device-group/"+g.Name, "esos alua list", g)
	}
	for _, a := range doc.Storage.Arrays {
		add("array/"+a.Name, "esos array show "+a.Name, a)
	}
	for _, g := range doc.Storage.VolumeGroups {
		add("volume-group/"+g.Name, "esos volume-group show "+g.Name, g)
		for _, v := range g.Volumes {
			add(config.VolumeObject(g.Name, v.Name), "esos volume show "+g.Name+"/"+v.Name, v)
		}
	}
	for _, e := range doc.Storage.Encrypted {
		add("encrypted/"+e.Name, "esos encryption show "+e.Name, e)
	}
	for _, f := range doc.Storage.FileSystems {
		add("filesystem/"+f.Name, "esos filesystem show "+f.Name, f)
	}
	for _, x := range doc.NVMe.Subsystems {
		add("subsystem/"+x.NQN, "esos nvme subsystem show "+x.NQN, x)
	}
	for _, p := range doc.NVMe.Ports {
		add("nvme-port/"+p.Name, "esos nvme port list", p)
	}
	for _, i := range doc.Network.Interfaces {
		add("interface/"+i.Name, "esos network list", i)
	}
	for _, u := range doc.Users {
		add("user/"+u.Name, "esos account list", u)
	}
	for _, x := range doc.Services {
		add("service/"+x.Name, "esos service list", x)
	}
}

// show shows a part of the document, as the document has it.
func show(d *frame.Desk, object, command string, part any) {
	text, err := yaml.Marshal(part)
	if err != nil {
		d.Fail("Show "+object, err)
		return
	}
	d.Page(&frame.Page{Title: object, Command: command, Text: string(text), Help: "This part of the array's document, or of what the machine says of it. The menus change it."})
}
