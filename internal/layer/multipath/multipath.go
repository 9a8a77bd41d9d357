// Package multipath is the layer of disks that are reached by several paths:
// multipathd gathers those that the document names, and no others.
package multipath

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/multipathd"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (host.Linux).
type Machine interface {
	block.Machine
	block.Prober
	multipathd.Machine
}

// Layer has multipathd gather paths.
type Layer struct {
	Machine Machine
	// Patience is how long a map may take to be there; 10 s if 0.
	Patience time.Duration
}

// all is the object of what is said of the whole.
const all = "multipath"

// Name is multipath.
func (Layer) Name() string { return "multipath" }

func (l Layer) patience() time.Duration { return cmp.Or(l.Patience, 10*time.Second) }

func object(name string) string { return all + "/" + name }

// Observe reads multipathd's configuration, and asks it for its maps where
// ESOS has to do with it.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	s := &seen.Storage.Multipath
	if s.Conf, s.Err = multipathd.Read(l.Machine); s.Err != nil {
		return ctx.Err()
	}
	if !declared.Storage.Multipath.Enabled && !multipathd.Ours(s.Conf) && !seen.Look {
		return nil
	}
	if s.Running, s.Err = multipathd.Running(ctx, l.Machine); s.Err != nil || !s.Running {
		return ctx.Err()
	}
	s.Maps, s.Err = multipathd.Maps(ctx, l.Machine)
	return ctx.Err()
}

// Plan brings the maps to what is declared.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	p := &planning{Layer: l, declared: declared, seen: seen, b: b, now: seen.Storage.Multipath, want: declared.Storage.Multipath}
	switch {
	case !p.want.Enabled && !multipathd.Ours(p.now.Conf):
		p.suggest()
	case !p.want.Enabled:
		p.off()
	default:
		p.on()
	}
}

// planning is the work on one plan.
type planning struct {
	Layer
	declared *config.Document
	seen     *layer.Observed
	b        *plan.Builder
	now      layer.Multipath
	want     config.Multipath
}

func (p *planning) on() {
	inv := p.seen.Storage.Blocks
	refuse := func(format string, args ...any) {
		p.seen.Refuse(p.b, all, config.Multipath{Enabled: true, Policy: p.want.Policy}, format, args...)
		for _, m := range p.want.Maps {
			if _, there := p.find(m.Path()); !there && !p.b.Blocked(object(m.Name)) {
				p.b.Block(object(m.Name), "the paths of its disk are not gathered")
			}
		}
	}
	switch {
	case p.now.Err != nil:
		refuse("%v", p.now.Err)
		return
	case inv == nil:
		refuse("the block devices could not be looked at: %v", p.seen.Storage.Err)
		return
	case p.now.Conf != "" && !multipathd.Ours(p.now.Conf):
		refuse("%s was written by somebody else; move it away to have ESOS gather paths by its document (mv %[1]s %[1]s.old)", multipathd.ConfFile)
		return
	}
	gone := p.removed()
	setUp := p.setUp(gone)
	for _, m := range p.want.Maps {
		p.declare(m, setUp)
	}
	p.remove(gone)
	p.suggest()
}

// conf is the configuration for what is declared, and for some maps beside it.
func (p *planning) conf(beside []multipathd.Named) string {
	c := multipathd.Conf{Policy: p.want.Policy, Maps: slices.Clone(beside)}
	for _, m := range p.want.Maps {
		c.Maps = append(c.Maps, multipathd.Named{Name: m.Name, WWID: m.WWID})
	}
	return c.Text()
}

func (p *planning) find(path string) (block.Device, bool) {
	if p.seen.Storage.Blocks == nil {
		return block.Device{}, false
	}
	return p.seen.Storage.Blocks.Find(path)
}

// suggest tells of disks that are reached by several paths and have no name.
func (p *planning) suggest() {
	inv := p.seen.Storage.Blocks
	if inv == nil {
		return
	}
	for _, ways := range layer.SeveralWays(inv) {
		wwid := layer.WWID(ways[0])
		if !slices.ContainsFunc(p.want.Maps, func(m config.MultipathMap) bool { return m.WWID == wwid }) {
			p.b.Note(all, "disk %s is reached by %d paths (%s), which nobody gathers; 'esos multipath name NAME %s' does", wwid, len(ways), names(ways), wwid)
		}
	}
}

func names(disks []block.Device) string {
	var list []string
	for _, d := range disks {
		list = append(list, d.Name)
	}
	return strings.Join(list, ", ")
}
