package targets

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// subsystems shows what NVMe hosts connect to.
func subsystems(d *frame.Desk) {
	on := func(do func(*frame.Desk, string)) func(frame.Row) {
		return func(r frame.Row) { do(d, r.ID) }
	}
	d.List(&frame.List{Title: "NVMe Subsystems", Command: "esos nvme subsystem list",
		Help: "The kernel's NVMe target serves beside whichever engine serves SCSI. Hosts connect to a subsystem at one of its ports, if the subsystem names them, and see its namespaces: " +
			"devices that no LUN leads to.",
		Empty:   "There is no subsystem yet. Press a to make one.",
		Columns: []frame.Column{{Title: "subsystem", Wide: true}, {Title: "namespaces", Right: true}, {Title: "hosts", Right: true}, {Title: "ports"}, {Title: "serial"}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, s := range doc.NVMe.Subsystems {
				r := frame.Row{ID: s.NQN, Cells: []string{s.NQN, fmt.Sprint(len(s.Namespaces)), whoMay(s), allOr(s.Ports), s.Serial}}
				switch {
				case !s.AllowAnyHost && len(s.Hosts) == 0:
					r.Level, r.Why = frame.Warn, "Nobody may connect. Press h and add a host."
				case len(doc.NVMe.Ports) == 0:
					r.Level, r.Why = frame.Bad, "There is no port, so no host can connect. Targets, NVMe Ports adds one."
				}
				rows = append(rows, r)
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Key: 'n', Does: "namespaces", Do: on(namespaces)},
			{Key: 'h', Does: "hosts", Do: on(nvmeHosts)},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { subsystem(d, "") }},
			{Key: 'c', Does: "change", Do: on(subsystem)},
			{Key: 'd', Does: "remove", Do: func(r frame.Row) {
				d.Change(frame.Change{Why: pick.Command("nvme", "subsystem", "delete", r.ID), Edit: func(doc *config.Document) error { return doc.RemoveNVMeSubsystem(r.ID) }})
			}},
		}})
}

func whoMay(s config.NVMeSubsystem) string {
	if s.AllowAnyHost {
		return "any"
	}
	return fmt.Sprint(len(s.Hosts))
}

func allOr(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(names, ",")
}

// subsystem asks for a new subsystem, or for other settings of one.
func subsystem(d *frame.Desk, nqn string) {
	pick.WithServing(d, func(s pick.Serving) {
		old := nqn != ""
		v := config.NVMeSubsystem{NQN: freeNQN(s.Doc)}
		f := &frame.Form{Title: "Add NVMe Subsystem", Command: "esos nvme subsystem create SUBSYSTEM", Submit: "Add"}
		if old {
			have, err := s.Doc.FindNVMeSubsystem(nqn)
			if err != nil {
				d.Fail("Change subsystem "+nqn, err)
				return
			}
			v = *have
			f.Title, f.Command, f.Submit = "Subsystem "+pick.Short(nqn), "esos nvme subsystem set "+nqn, "Change"
		}
		ports := append([]string(nil), v.Ports...)
		var all []frame.Option
		for _, p := range s.Doc.NVMe.Ports {
			all = append(all, frame.Option{Value: p.Name, Cells: []string{p.Name, p.Transport, p.Address}})
		}
		var hosts string
		f.Help = "Nobody may connect before a host is named. Serial and model stay once hosts have seen them."
		f.Fields = []frame.Field{
			{Label: "NQN", Text: &v.NQN, Show: func() bool { return !old }, Hint: "nqn. name; a plain word becomes " + config.OurNQNs + "WORD.", Check: func(t string) error {
				full := config.NewSubsystemName(t)
				if err := config.CheckNQN(full); err != nil || t == "" {
					return fmt.Errorf("an NQN such as nqn.2026-11.com.example:mail, or a word")
				}
				if _, err := s.Doc.FindNVMeSubsystem(full); err == nil {
					return fmt.Errorf("%s is there already", full)
				}
				return nil
			}},
			{Label: "Ports", Many: &ports, Options: all, Columns: []string{"port", "transport", "address"}, Hint: "That it is reached by; all if none is chosen."},
			{Label: "Hosts", Text: &hosts, Show: func() bool { return !old && !v.AllowAnyHost }, Check: frame.Each(config.CheckNQN), Hint: "NQNs of those that may connect (/etc/nvme/hostnqn), with commas between. More can be added later."},
			{Label: "Any host", Yes: &v.AllowAnyHost, Hint: "Let every host in, without a proof. Everybody who reaches a port sees the namespaces."},
			{Label: "Serial", Text: &v.Serial, Check: atMost(20), Hint: "Up to 20 characters; one is made if nothing is typed."},
			{Label: "Model", Text: &v.Model, Check: atMost(40), Hint: "Up to 40 characters; ESOS if nothing is typed."},
		}
		f.Do = func() {
			want := v
			want.NQN, want.Ports = config.NewSubsystemName(v.NQN), ports
			args := []string{"nvme", "subsystem", "create", want.NQN}
			if old {
				args[2] = "set"
			}
			if old || len(ports) > 0 {
				args = append(args, "--port", strings.Join(ports, ","))
			}
			if old || want.AllowAnyHost {
				args = append(args, fmt.Sprintf("--allow-any-host=%t", want.AllowAnyHost))
			}
			for _, x := range [][2]string{{"--serial", want.Serial}, {"--model", want.Model}} {
				if x[1] != "" && !old {
					args = append(args, x[0], x[1])
				}
			}
			named := frame.Words(hosts)
			if want.AllowAnyHost {
				named = nil
			}
			for _, h := range named {
				args = append(args, "--host", h)
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error {
				if !old {
					if err := doc.AddNVMeSubsystem(want); err != nil {
						return err
					}
					for _, h := range named {
						if err := doc.AddNVMeHost(want.NQN, config.NVMeHost{NQN: h}); err != nil {
							return err
						}
					}
					return nil
				}
				have, err := doc.FindNVMeSubsystem(nqn)
				if err != nil {
					return err
				}
				have.Ports, have.AllowAnyHost, have.Serial, have.Model = want.Ports, want.AllowAnyHost, want.Serial, want.Model
				return nil
			}})
		}
		d.Form(f)
	})
}

// freeNQN is a name for a subsystem that nobody has yet.
func freeNQN(doc *config.Document) string {
	base := config.OurNQNs + doc.Name
	name := base
	for n := 2; ; n++ {
		if _, err := doc.FindNVMeSubsystem(name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s.%d", base, n)
	}
}

func atMost(n int) func(string) error {
	return func(s string) error {
		if len(s) > n {
			return fmt.Errorf("%d characters are too many; %d at most", len(s), n)
		}
		return nil
	}
}

// connections shows the NVMe hosts that are connected.
func connections(d *frame.Desk) {
	d.List(&frame.List{Title: "NVMe Connections", Command: "esos nvme connection list",
		Help:    "NVMe hosts that are connected, where the kernel tells it (Linux 6.11 and later, if built so).",
		Empty:   "No host is connected, or this kernel does not tell it.",
		Columns: []frame.Column{{Title: "host", Wide: true}, {Title: "subsystem"}, {Title: "port"}, {Title: "state"}, {Title: "from"}, {Title: "controller", Right: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			all, err := d.Client().NVMeConnections(ctx)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, x := range all.Connections {
				r := frame.Row{ID: fmt.Sprint(x.Subsystem, x.Controller), Cells: []string{x.Host, pick.Short(x.Subsystem), x.Port, x.State, x.Address, fmt.Sprint(x.Controller)}}
				if !all.Known {
					r.Why = "This kernel does not tell who is connected: there may be others."
				}
				rows = append(rows, r)
			}
			return rows, nil
		},
		Keys: []frame.RowKey{{Key: 's', Does: "subsystems", Always: true, Do: func(frame.Row) { subsystems(d) }}}})
}
