package remote

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/nvmehost"
	"github.com/esos-project/esos/internal/host/openiscsi"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// logouts plans the end of logins that ESOS made and that are declared no
// more. What somebody else logged in to is left.
func (p *planning) logouts() {
	var out []way
	was := config.Remote{}
	if p.seen.InForce != nil {
		was = p.seen.InForce.Storage.Remote
	}
	now := p.declared.Storage.Remote
	for _, s := range p.seen.Storage.Remote.ISCSI {
		is := func(t config.RemoteISCSI) bool { return t.Target == s.Target && t.Endpoint() == s.Portal }
		if slices.ContainsFunc(now.ISCSI, is) {
			continue
		}
		name := openiscsi.Writer(p.seen.Storage.Remote.Records[openiscsi.RecordOf(s)])
		if i := slices.IndexFunc(was.ISCSI, is); i >= 0 {
			name = was.ISCSI[i].Name
		}
		if name == "" {
			p.foreign(fmt.Sprintf("iSCSI target %v", s))
			continue
		}
		w := p.session("remote/"+name, s.Target, func(o openiscsi.Session) bool { return o.Target == s.Target && o.Portal == s.Portal })
		w.text = fmt.Sprintf("iSCSI target %v", s)
		prefix := config.RemoteISCSI{Target: s.Target, Portal: s.Portal.String()}.DiskPrefix()
		w.brings = func(path string) bool { return strings.HasPrefix(path, prefix) }
		file := openiscsi.RecordOf(s)
		w.forget = func() error { return openiscsi.Forget(p.Machine, file) }
		w.in = func(ctx context.Context) error {
			if err := p.restore(file)(); err != nil {
				return err
			}
			return openiscsi.LoginAgain(ctx, p.Machine, openiscsi.Node{Target: s.Target, Portal: s.Portal})
		}
		out = append(out, w)
	}
	var last []nvmehost.Controller
	for _, c := range p.seen.Storage.Remote.NVMe {
		is := func(n config.RemoteNVMe) bool {
			return nvmehost.Path{Subsystem: n.Subsystem, Transport: n.Transport, Address: n.Endpoint()}.Is(c)
		}
		if slices.ContainsFunc(now.NVMe, is) {
			continue
		}
		i := slices.IndexFunc(was.NVMe, is)
		if i < 0 {
			p.foreign(fmt.Sprintf("NVMe subsystem %v", c))
			continue
		}
		last = append(last, c)
		w := p.controller(was.NVMe[i].Object(), nvmehost.Path{Subsystem: c.Subsystem, Transport: c.Transport, Address: c.Address})
		w.brings = func(string) bool { return false } // no name tells
		out = append(out, w)
	}
	// The disks of a subsystem stay as long as one way to it does.
	for i := range out {
		out[i].disks = slices.DeleteFunc(slices.Clone(out[i].disks), func(d string) bool {
			return slices.ContainsFunc(p.seen.Storage.Remote.NVMe, func(c nvmehost.Controller) bool {
				return slices.Contains(c.Disks, d) && !slices.ContainsFunc(last, func(l nvmehost.Controller) bool { return l.Name == c.Name })
			})
		})
	}
	var going []string
	for _, w := range out {
		going = append(going, w.disks...)
	}
	for _, w := range out {
		p.logout(w, going)
	}
}

func (p *planning) foreign(text string) {
	if Declares(p.declared) {
		p.b.Note("remote", "this machine is logged in to %s, which ESOS did not do; it is left", text)
	}
}

// logout plans the end of a login; going are all disks that go with the plan.
func (p *planning) logout(w way, going []string) {
	if p.seen.Storage.Blocks == nil {
		p.b.Note(w.object, "the login to %s stays: what uses its disks could not be looked at (%v)", w.text, p.seen.Storage.Err)
		return
	}
	if on := p.standing(w.disks, going, w.brings); len(on) > 0 {
		p.b.Problem(w.object, "%s; take that out of the document first, or keep the login to %s", strings.Join(on, ", "), w.text)
		return
	}
	step := plan.Step{
		// A name can change its portal: it is logged in to anew, and out of the old one.
		ID: plan.StepID(plan.Delete, w.object+" "+w.text), Layer: p.Name(), Object: w.object, Action: plan.Delete, Phase: plan.Clear,
		Sentence: "Log out of " + w.text,
		Needs:    []plan.ID{plan.StepID(plan.Create, w.object)},
		Undo:     func(ctx context.Context) error { return p.comeBack(ctx, w) },
	}
	by := layer.Users(p.seen.Storage.Blocks, w.disks, going)
	if len(by) > 0 {
		step.Destroys = fmt.Sprintf("%s: the disk is taken from under it, and what was not written yet is lost", strings.Join(by, ", "))
	}
	named := len(by) > 0
	step.Do = func(ctx context.Context, _ plan.Report) error { return p.logOut(ctx, w, named) }
	p.b.Add(step)
}

// comeBack logs in again where a logout was undone.
func (p *planning) comeBack(ctx context.Context, w way) error {
	there, _, err := w.look()
	if err != nil || there {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	if err := w.in(ctx); err != nil {
		return err
	}
	return p.await(ctx, w)
}

// standing lists what of the document stands on disks that go: by what the
// paths lead to, and by names that only those disks can have.
func (p *planning) standing(disks, going []string, named func(string) bool) []string {
	inv := p.seen.Storage.Blocks
	var on []string
	add := func(object, path string) {
		if line := fmt.Sprintf("%s stands on %s", object, path); !slices.Contains(on, line) {
			on = append(on, line)
		}
	}
	for _, u := range layer.Uses(p.declared) {
		if strings.HasPrefix(u.Path, "/dev/disk/by-path/") && named(u.Path) {
			add(u.Object, u.Path)
			continue
		}
		if inv == nil {
			continue
		}
		if d, ok := p.seen.BlockDevice(u.Path); ok && layer.Leads(inv, d, disks, going) {
			add(u.Object, u.Path)
		}
	}
	if inv == nil {
		return on
	}
	for _, m := range p.declared.Storage.Multipath.Maps {
		if d, ok := inv.Find(m.Path()); ok && layer.Leads(inv, d, disks, going) {
			add("multipath/"+m.Name, "its last path, "+strings.Join(d.Below, ", "))
		}
	}
	return on
}
