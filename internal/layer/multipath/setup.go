package multipath

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/multipathd"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// setUp plans multipathd and its configuration. Maps that go stay in it until
// their turn comes. It returns what maps need.
func (p *planning) setUp(gone []multipathd.Named) []plan.ID {
	text := p.conf(gone)
	old, ran := p.now.Conf, p.now.Running
	if text == old && ran {
		return nil
	}
	step := plan.Step{
		Layer: p.Name(), Object: all, Action: plan.Change, Phase: plan.Build, Reveals: !ran,
		Do: func(ctx context.Context, _ plan.Report) error {
			if text != old || ran {
				if err := multipathd.Write(ctx, p.Machine, text); err != nil {
					return err
				}
			}
			if err := multipathd.Start(ctx, p.Machine); err != nil {
				return err
			}
			return block.Settle(ctx, p.Machine)
		},
		Undo: func(ctx context.Context) error { return p.asBefore(ctx) },
	}
	switch {
	case old == "":
		step.Action, step.Sentence = plan.Create, "Gather the paths to disks that are named for it, and to no others (multipathd)"
	case !ran:
		step.Action, step.Sentence = plan.Create, "Start multipathd"
	default:
		step.Sentence = "Tell multipathd which disks to gather the paths to, and how"
	}
	if before, ok := p.seen.Before(all); ok {
		step.Changes = config.Fields(before, config.Multipath{Enabled: p.want.Enabled, Policy: p.want.Policy})
	}
	var others []string
	for _, m := range p.now.Maps {
		ours := func(n multipathd.Named) bool { return n.WWID == m.WWID }
		if !slices.ContainsFunc(multipathd.Parse(old), ours) && !slices.ContainsFunc(gone, ours) && !slices.ContainsFunc(p.want.Maps, func(w config.MultipathMap) bool { return w.WWID == m.WWID }) {
			others = append(others, m.Name)
		}
	}
	if len(others) > 0 {
		step.Disrupts = fmt.Sprintf("maps that ESOS did not make go, unless they are in use: %s", strings.Join(others, ", "))
	}
	p.b.Add(step)
	return []plan.ID{plan.StepID(step.Action, all)}
}

// asBefore puts multipathd back to what it was when it was looked at: maps that
// were not there go before the daemon does, since nobody looks after them then.
func (p *planning) asBefore(ctx context.Context) error {
	running, err := multipathd.Running(ctx, p.Machine)
	if err != nil {
		return err
	}
	if err := multipathd.Write(ctx, p.Machine, p.now.Conf); err != nil {
		return err
	}
	if !running || p.now.Running {
		return block.Settle(ctx, p.Machine)
	}
	maps, err := multipathd.Maps(ctx, p.Machine)
	if err != nil {
		return err
	}
	for _, m := range maps {
		if _, was := p.now.Map(m.WWID); !was {
			if d, ok := p.find("/dev/mapper/" + m.Name); ok && d.Type == "mpath" {
				continue // it was there without the daemon
			}
			if err := p.flush(ctx, m.Name); err != nil {
				return err
			}
		}
	}
	return errors.Join(multipathd.Stop(ctx, p.Machine), block.Settle(ctx, p.Machine))
}

// removed are the maps of ours that are declared no more.
func (p *planning) removed() []multipathd.Named {
	return slices.DeleteFunc(multipathd.Parse(p.now.Conf), func(n multipathd.Named) bool {
		return slices.ContainsFunc(p.want.Maps, func(m config.MultipathMap) bool { return m.WWID == n.WWID })
	})
}

// remove plans the end of maps that are declared no more.
func (p *planning) remove(gone []multipathd.Named) {
	for i, n := range gone {
		if !p.free(n, object(n.Name)) {
			continue
		}
		with, without := p.conf(gone[i:]), p.conf(gone[i+1:])
		p.b.Add(plan.Step{
			Layer: p.Name(), Object: object(n.Name), Action: plan.Delete, Phase: plan.Clear,
			Sentence: fmt.Sprintf("Gather the paths to disk %s no more; they stay, each as a disk of its own", n.WWID),
			Do: func(ctx context.Context, _ plan.Report) error {
				if err := multipathd.Write(ctx, p.Machine, without); err != nil {
					return err
				}
				return errors.Join(p.scatter(ctx, n.WWID), block.Settle(ctx, p.Machine))
			},
			Undo: func(ctx context.Context) error { return multipathd.Write(ctx, p.Machine, with) },
		})
	}
}

// free says whether nothing stands on a map that is to go, and refuses if
// something does.
func (p *planning) free(n multipathd.Named, of string) bool {
	inv := p.seen.Storage.Blocks
	if inv == nil {
		p.b.Note(of, "map %s stays: the block devices could not be looked at (%v)", n.Name, p.seen.Storage.Err)
		return false
	}
	path := config.MultipathMap{Name: n.Name}.Path()
	d, there := inv.Find(path)
	for _, u := range layer.Uses(p.declared) {
		on, ok := p.seen.BlockDevice(u.Path)
		if u.Path == path || there && ok && layer.Leads(inv, on, []string{d.Name}, nil) {
			p.b.Problem(of, "%s stands on %s; take that out of the document first", u.Object, u.Path)
			return false
		}
	}
	if !there {
		return true
	}
	if by := layer.Users(inv, []string{d.Name}, nil); len(by) > 0 && len(p.seen.Destroy) == 0 {
		p.b.Problem(of, "%s; give that up first", strings.Join(by, ", "))
		return false
	}
	return true // what is given up in this plan goes before; the kernel refuses otherwise
}

// off plans the end of it all.
func (p *planning) off() {
	if p.now.Err != nil {
		p.b.Problem(all, "%v", p.now.Err)
		return
	}
	maps := multipathd.Parse(p.now.Conf)
	for _, n := range maps {
		if !p.free(n, all) {
			return
		}
	}
	old, ran := p.now.Conf, p.now.Running
	keep := slices.ContainsFunc(p.declared.Services, func(s config.Service) bool { return s.Name == "multipath" && s.Enabled })
	p.b.Add(plan.Step{
		Layer: p.Name(), Object: all, Action: plan.Delete, Phase: plan.Clear,
		Sentence: "Gather the paths to disks no more (multipathd); they stay, each as a disk of its own",
		Do: func(ctx context.Context, _ plan.Report) error {
			for _, n := range maps {
				if err := p.scatter(ctx, n.WWID); err != nil {
					return err
				}
			}
			if ran && !keep {
				if err := multipathd.Stop(ctx, p.Machine); err != nil {
					return err
				}
			}
			return errors.Join(multipathd.Write(ctx, p.Machine, ""), block.Settle(ctx, p.Machine))
		},
		Undo: func(ctx context.Context) error {
			if err := multipathd.Write(ctx, p.Machine, old); err != nil {
				return err
			}
			if ran {
				return errors.Join(multipathd.Start(ctx, p.Machine), block.Settle(ctx, p.Machine))
			}
			return nil
		},
	})
}
