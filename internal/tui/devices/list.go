package devices

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// List shows all devices.
func List(d *frame.Desk) {
	on := func(do func(*frame.Desk, string)) func(frame.Row) {
		return func(r frame.Row) { do(d, r.ID) }
	}
	l := &frame.List{Title: "Devices", Command: "esos device list",
		Help:    "Disks and CD-ROM drives that LUNs and NVMe namespaces lead to.",
		Empty:   "There is no device yet. Press a to make one.",
		Columns: []frame.Column{{Title: "device"}, {Title: "handler"}, {Title: "size", Right: true}, {Title: "LUNs", Right: true}, {Title: "path", Wide: true}, {Title: "flags"}},
		Read:    func(ctx context.Context) ([]frame.Row, error) { return rows(ctx, d) },
		Keys: []frame.RowKey{
			{Does: "information", Do: on(information)},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { Add(d) }},
			{Key: 'm', Does: "map", Do: func(r frame.Row) { Map(d, Place{Device: r.ID}) }},
			{Key: 'r', Does: "resize", Do: on(resize)},
			{Key: 'c', Does: "change", Do: on(change)},
			{Key: 'i', Does: "insert/eject", Do: on(medium)},
			{Key: 'd', Does: "remove", Do: func(r frame.Row) {
				pick.WithServing(d, func(s pick.Serving) { removeOne(d, s, r.ID) })
			}},
		}}
	d.List(l)
}

func rows(ctx context.Context, d *frame.Desk) ([]frame.Row, error) {
	doc, err := d.Document(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]frame.Row, len(doc.Devices))
	for i, v := range doc.Devices {
		r := frame.Row{ID: v.Name, Cells: []string{v.Name, string(v.Handler), pick.DeviceSize(v), fmt.Sprint(len(doc.LUNsOf(v.Name))), store(v), flags(v)}}
		if object, ok := doc.NVMe.NamespaceOf(v.Name); ok {
			r.Cells[3], r.Why = "NVMe", "It is served over NVMe: "+object
		} else if r.Cells[3] == "0" {
			r.Level, r.Why = frame.Dim, "No LUN leads to it: nobody can use it yet. Press m to map it."
		}
		rows[i] = r
	}
	return rows, nil
}

// store is where a device's bytes are.
func store(v config.Device) string {
	if v.Path == "" && v.Handler == config.CDROM {
		return "(empty drive)"
	}
	return v.Path
}

// flags are what is special about a device.
func flags(v config.Device) string {
	var f []string
	for _, x := range []struct {
		set  bool
		text string
	}{
		{v.ReadOnly, "read-only"}, {v.WriteThrough, "write-through"}, {v.ODirect, "direct"}, {v.Provisioning == config.Thick, "thick"},
		{v.Removable, "removable"}, {v.Rotational, "rotational"},
	} {
		if x.set {
			f = append(f, x.text)
		}
	}
	return strings.Join(f, " ")
}

// information shows one device.
func information(d *frame.Desk, name string) {
	type all struct {
		pick.Serving
		engine.Statistics
	}
	frame.Load(d, "Read device "+name, func(ctx context.Context) (all, error) {
		s, err := pick.Serve(ctx, d)
		if err != nil {
			return all{}, err
		}
		counted, err := d.Client().Statistics(ctx)
		return all{s, counted}, err
	}, func(a all) {
		v, err := a.Doc.FindDevice(name)
		if err != nil {
			d.Fail("Read device "+name, err)
			return
		}
		p := &frame.Page{Title: "Device " + name, Command: "esos device show " + name, Text: describe(a.Serving, a.Statistics, *v),
			Help: "What is declared of the device, who can use it, and what was read and written since its LUNs came up."}
		p.Keys = []frame.PageKey{
			{Key: 'm', Does: "map", Do: func() { Map(d, Place{Device: name}) }},
			{Key: 'r', Does: "resize", Do: func() { resize(d, name) }},
			{Key: 'c', Does: "change", Do: func() { change(d, name) }},
		}
		d.Page(p)
	})
}

func describe(s pick.Serving, counted engine.Statistics, v config.Device) string {
	var b strings.Builder
	pair := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-16s %s\n", name, value)
		}
	}
	w := v.WithDefaults()
	pair("Name", v.Name)
	pair("Handler", string(v.Handler)+": "+purpose(v.Handler))
	pair("Path", store(v))
	if v.Size != 0 {
		pair("Size", fmt.Sprintf("%s (%d bytes)", v.Size.Human(), int64(v.Size)))
	}
	pair("Provisioning", string(w.Provisioning))
	if !v.Handler.PassThrough() {
		pair("Block size", fmt.Sprint(w.BlockSize))
		pair("Write-through", pick.YesNo(v.WriteThrough))
		pair("Around cache", pick.YesNo(v.ODirect))
		pair("Read-only", pick.YesNo(w.ReadOnly))
		pair("Removable", pick.YesNo(w.Removable))
		pair("Rotational", pick.YesNo(v.Rotational))
	}
	pair("Serial", v.Identity.Serial)
	pair("NAA", v.Identity.NAA)
	pair("T10 ID", v.Identity.T10ID)
	if !v.Handler.PassThrough() {
		pair("Vendor", w.Identity.Vendor+" "+w.Identity.Product+" "+w.Identity.Revision)
	}
	for _, line := range strings.Split(pick.Attributes(v.Attributes), "\n") {
		pair("Attribute", line)
	}
	for _, g := range s.Doc.DeviceGroups {
		for _, member := range g.Devices {
			if member == v.Name {
				pair("Device group", g.Name+" (ALUA)")
			}
		}
	}
	if object, ok := s.Doc.NVMe.NamespaceOf(v.Name); ok {
		pair("Namespace", object)
	}
	b.WriteString("\n")
	luns := s.Doc.LUNsOf(v.Name)
	if len(luns) == 0 {
		b.WriteString("No LUN leads to it.\n")
	}
	for _, l := range luns {
		b.WriteString(l + "\n")
	}
	for _, l := range counted.LUNs {
		if l.Device == v.Name {
			fmt.Fprintf(&b, "\n%s, group %s, LUN %d:\n  read %s in %d commands, written %s in %d, %d errors\n", l.Target, pick.GroupName(l.Group), l.LUN,
				pick.Size(int64(min(l.Counters.ReadBytes, 1<<62))), l.Counters.Reads, pick.Size(int64(min(l.Counters.WriteBytes, 1<<62))), l.Counters.Writes, l.Counters.Errors)
		}
	}
	return b.String()
}
