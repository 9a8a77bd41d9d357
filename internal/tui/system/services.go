package system

import (
	"context"
	"slices"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// services lists the machine's services.
func services(d *frame.Desk) {
	d.List(&frame.List{Title: "Services", Command: "esos service list",
		Help: "Services of the appliance. Those that the document does not name are as the image has them: off, but for ssh, cron and rsyslog. " +
			"What ESOS itself needs always runs and is not among them.",
		Columns: []frame.Column{{Title: "service"}, {Title: "state"}, {Title: "at boot"}, {Title: "document"}, {Title: "what it is for", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			all, err := d.Client().Services(ctx)
			var rows []frame.Row
			for _, s := range all {
				rows = append(rows, serviceRow(s))
			}
			return rows, err
		},
		Keys: []frame.RowKey{
			{Key: 't', Does: "turn on/off", Do: func(r frame.Row) { turnService(d, service(r)) }},
			{Key: 'r', Does: "restart", Do: func(r frame.Row) { restartService(d, service(r)) }},
			{Key: 'x', Does: "leave to the image", Do: func(r frame.Row) { leaveService(d, service(r)) }},
		}})
}

func serviceRow(s v1.ServiceState) frame.Row {
	r := frame.Row{ID: s.Name, Value: s, Cells: []string{s.Name, s.State, map[bool]string{true: "on", false: "off"}[s.Enabled], s.Declared, s.Does}, Why: s.Why}
	switch s.State {
	case "":
		r.Level, r.Cells[1] = frame.Dim, "not there"
	case "failed":
		r.Level = frame.Bad
	case "active":
		r.Level = frame.Good
	}
	return r
}

func service(r frame.Row) v1.ServiceState {
	s, _ := r.Value.(v1.ServiceState) // each row has one
	return s
}

// turnService declares a service on if it is off, and off if it is on.
func turnService(d *frame.Desk, s v1.ServiceState) {
	on := !s.Enabled
	if s.Declared != "" {
		on = s.Declared == "off"
	}
	d.Change(frame.Change{Why: map[bool]string{true: "esos service enable ", false: "esos service disable "}[on] + s.Name, Edit: func(doc document) error {
		if have, err := doc.FindService(s.Name); err == nil {
			have.Enabled = on
			return nil
		}
		doc.Services = append(doc.Services, config.Service{Name: s.Name, Enabled: on})
		return nil
	}})
}

// leaveService has the document say nothing of a service any more.
func leaveService(d *frame.Desk, s v1.ServiceState) {
	if s.Declared == "" {
		d.Say("Nothing to change", "The document says nothing of "+s.Name+": it is as the image has it.")
		return
	}
	d.Change(frame.Change{Why: "esos config edit: say nothing of service " + s.Name, Edit: func(doc document) error {
		doc.Services = slices.DeleteFunc(doc.Services, func(have config.Service) bool { return have.Name == s.Name })
		return nil
	}})
}

func restartService(d *frame.Desk, s v1.ServiceState) {
	d.Ask("Restart "+s.Name+"?", "It is stopped and started again. "+s.Does+": that is interrupted meanwhile.", "Restart", func() {
		d.Do("Restart "+s.Name, func(ctx context.Context) error { return d.Client().RestartService(ctx, s.Name) },
			func() { d.Toast(frame.Good, "Done: "+s.Name+" is started anew.") })
	})
}
