package targets

import (
	"context"
	"fmt"
	"strconv"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// namespaces shows what hosts of a subsystem see as disks.
func namespaces(d *frame.Desk, nqn string) {
	on := func(do func(int)) func(frame.Row) {
		return func(r frame.Row) {
			if id, ok := r.Value.(int); ok {
				do(id)
			}
		}
	}
	d.List(&frame.List{Title: "Namespaces of " + pick.Short(nqn), Command: pick.Command("nvme", "namespace", "list", nqn),
		Help:    "Devices as NVMe hosts see them. A device is served over NVMe or over SCSI, not by both.",
		Empty:   "There is no namespace: hosts see no disk. Press a to add one.",
		Columns: []frame.Column{{Title: "id", Right: true}, {Title: "device", Wide: true}, {Title: "ANA group", Right: true}, {Title: "reservations"}, {Title: "UUID"}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			s, err := doc.FindNVMeSubsystem(nqn)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, ns := range s.Namespaces {
				rows = append(rows, frame.Row{ID: fmt.Sprint(ns.NSID), Value: ns.NSID, Cells: []string{fmt.Sprint(ns.NSID), ns.Device, fmt.Sprint(max(ns.ANAGroup, 1)), pick.YesNo(ns.Reservations), ns.UUID}})
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Key: 'c', Does: "change", Do: on(func(id int) { namespace(d, nqn, id) })},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { namespace(d, nqn, 0) }},
			{Key: 'd', Does: "remove", Do: on(func(id int) {
				d.Change(frame.Change{Why: pick.Command("nvme", "namespace", "delete", nqn, fmt.Sprint(id)), Edit: func(doc *config.Document) error { return doc.RemoveNVMeNamespace(nqn, id) }})
			})},
		}})
}

// servable are the devices that a namespace can lead to.
func servable(doc *config.Document) []frame.Option {
	o := pick.Mappable(doc)
	for i, v := range doc.Devices {
		switch luns := doc.LUNsOf(v.Name); {
		case o[i].Why != "":
		case v.Handler != config.FileIO && v.Handler != config.BlockIO:
			o[i].Why = "NVMe serves files and block devices only (vdisk_fileio, vdisk_blockio)"
		case len(luns) > 0:
			o[i].Why = luns[0] + " leads to it; unmap that first"
		}
	}
	return o
}

// namespace asks for a new namespace, or for other settings of one.
func namespace(d *frame.Desk, nqn string, id int) {
	pick.WithServing(d, func(s pick.Serving) {
		sub, err := s.Doc.FindNVMeSubsystem(nqn)
		if err != nil {
			d.Fail("Read subsystem "+nqn, err)
			return
		}
		old := id != 0
		var v config.NVMeNamespace
		f := &frame.Form{Title: "Add Namespace", Command: "esos nvme namespace create SUBSYSTEM DEVICE", Submit: "Add"}
		if old {
			have, err := s.Doc.FindNVMeNamespace(nqn, id)
			if err != nil {
				d.Fail("Change namespace", err)
				return
			}
			v = *have
			f.Title, f.Command, f.Submit = fmt.Sprintf("Namespace %d", id), "esos nvme namespace set SUBSYSTEM NSID", "Change"
		}
		number, group := "", fmt.Sprint(max(v.ANAGroup, 1))
		fresh := func() bool { return !old }
		f.Fields = []frame.Field{
			{Label: "Device", One: &v.Device, Options: servable(s.Doc), Columns: pick.DeviceColumns(), Check: frame.Needed, Show: fresh, Hint: "What hosts see as a disk."},
			{Label: "Namespace id", Text: &number, Show: fresh, Hint: "1 to 1024; the lowest that is free if nothing is typed.", Check: frame.Optional(func(t string) error {
				if err := frame.Number(1, 1024)(t); err != nil {
					return err
				}
				for _, ns := range sub.Namespaces {
					if fmt.Sprint(ns.NSID) == t {
						return fmt.Errorf("namespace %s leads to device %s", t, ns.Device)
					}
				}
				return nil
			})},
			{Label: "UUID", Text: &v.UUID, Show: fresh, Hint: "What hosts know it by; one is made if nothing is typed."},
			{Label: "ANA group", Text: &group, Check: frame.Number(1, 127), Hint: "1 as a rule; ports give each ANA group its access state."},
			{Label: "Reservations", Yes: &v.Reservations, Hint: "Offer persistent reservations (Linux 6.13 and later). Hosts lose the namespace for a moment when this changes."},
		}
		f.Do = func() {
			want := v
			if want.ANAGroup, _ = strconv.Atoi(group); want.ANAGroup == 1 { // it was checked
				want.ANAGroup = 0
			}
			args := []string{"nvme", "namespace", "create", nqn, want.Device, "--ana-group", group}
			if old {
				args = []string{"nvme", "namespace", "set", nqn, fmt.Sprint(id), "--ana-group", group}
			} else if number != "" {
				want.NSID, _ = strconv.Atoi(number) // it was checked
				args = append(args, "--nsid", number)
			}
			if old || want.Reservations {
				args = append(args, fmt.Sprintf("--reservations=%t", want.Reservations))
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error {
				if !old {
					return doc.AddNVMeNamespace(nqn, want)
				}
				have, err := doc.FindNVMeNamespace(nqn, id)
				if err != nil {
					return err
				}
				have.ANAGroup, have.Reservations = want.ANAGroup, want.Reservations
				return nil
			}})
		}
		d.Form(f)
	})
}
