package remote

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/openiscsi"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// node is open-iscsi's side of a target that is declared.
func node(t config.RemoteISCSI) openiscsi.Node {
	return openiscsi.Node{Remote: t.Name, Target: t.Target, Portal: t.Endpoint()}.WithCHAP(t.User, string(t.Secret))
}

// iscsi is the way to a target that is declared.
func (p *planning) iscsi(t config.RemoteISCSI) way {
	n := node(t)
	w := p.session(t.Object(), n.Target, func(s openiscsi.Session) bool { return s.Target == n.Target && s.Portal == n.Portal })
	w.declared, w.text, w.tcp = t, "iSCSI target "+n.String(), n.Portal.String()
	w.brings = func(path string) bool { return strings.HasPrefix(path, t.DiskPrefix()) || byID(path, "scsi-", "wwn-") }
	w.in = func(ctx context.Context) error {
		if err := openiscsi.Start(ctx, p.Machine); err != nil {
			return err
		}
		return openiscsi.Login(ctx, p.Machine, n)
	}
	w.forget = p.restore(n.Path())
	if w.there {
		p.credentials(w, t, n)
	}
	return w
}

// session is the way that a session is, or may become.
func (p *planning) session(object, target string, is func(openiscsi.Session) bool) way {
	w := way{object: object, text: "iSCSI target " + target}
	find := func(list []openiscsi.Session) (openiscsi.Session, bool) {
		i := slices.IndexFunc(list, is)
		if i < 0 {
			return openiscsi.Session{}, false
		}
		return list[i], true
	}
	if s, ok := find(p.seen.Storage.Remote.ISCSI); ok {
		w.there, w.works, w.disks = true, s.State == openiscsi.LoggedIn, s.Disks
	}
	now := func() (openiscsi.Session, bool, error) {
		list, err := openiscsi.Sessions(p.Machine)
		s, ok := find(list)
		return s, ok, err
	}
	w.look = func() (bool, []string, error) { s, ok, err := now(); return ok, s.Disks, err }
	w.again = func(ctx context.Context) error {
		s, ok, err := now()
		if err != nil || !ok {
			return err
		}
		return openiscsi.Rescan(ctx, p.Machine, s)
	}
	w.out = func(ctx context.Context) error {
		s, ok, err := now()
		if err != nil || !ok {
			return err
		}
		return openiscsi.Logout(ctx, p.Machine, s)
	}
	return w
}

// restore puts a record back to what it was when it was looked at.
func (p *planning) restore(file string) func() error {
	old, had := p.seen.Storage.Remote.Records[file]
	return func() error {
		if !had {
			return openiscsi.Forget(p.Machine, file)
		}
		if err := p.Machine.Save(file, []byte(old), 0o600); err != nil {
			return fmt.Errorf("put the record of an iSCSI target back: %w", err)
		}
		return nil
	}
}

// credentials plans to write down what a target is logged in to with, where
// that is declared otherwise now. The kernel's session goes on with what it
// had; only where nothing uses its disks it is begun anew.
func (p *planning) credentials(w way, t config.RemoteISCSI, n openiscsi.Node) {
	old := p.seen.Storage.Remote.Records[n.Path()]
	if old == n.Record() {
		return
	}
	step := plan.Step{
		Layer: p.Name(), Object: w.object, Action: plan.Change, Phase: plan.Build,
		Sentence: "Write down how to log in to " + w.text,
		Do: func(context.Context, plan.Report) error {
			if err := p.Machine.Save(n.Path(), []byte(n.Record()), 0o600); err != nil {
				return fmt.Errorf("write down how to log in to %s: %w", w.text, err)
			}
			return nil
		},
		Undo: func(context.Context) error { return w.forget() },
	}
	if before, ok := p.seen.Before(w.object); ok {
		step.Changes = config.Fields(before, t)
	}
	if openiscsi.SameCHAP(old, n.Record()) {
		p.b.Add(step)
		return
	}
	if len(p.standing(w.disks, w.disks, w.brings)) > 0 || p.seen.Storage.Blocks == nil || len(layer.Users(p.seen.Storage.Blocks, w.disks, w.disks)) > 0 {
		p.b.Note(w.object, "the session that is there goes on with the old CHAP name and secret, since its disks are in use; the new ones are for the next login. If the target takes the old ones no more, a connection that is lost does not come back before that")
		p.b.Add(step)
		return
	}
	step.Sentence = "Log in anew to " + w.text
	step.Disrupts = "its disks are away for a moment; nothing uses them"
	step.Reveals = true
	write := step.Do
	step.Do = func(ctx context.Context, report plan.Report) error {
		if err := p.logOut(ctx, w, false); err != nil {
			return err
		}
		if err := write(ctx, report); err != nil {
			return err
		}
		return p.logIn(ctx, w)
	}
	step.Undo = func(ctx context.Context) error {
		if err := p.logOut(ctx, w, false); err != nil {
			return err
		}
		return p.back(ctx, w, n)
	}
	p.b.Add(step)
}

// back logs in with the record that there was.
func (p *planning) back(ctx context.Context, w way, n openiscsi.Node) error {
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	if err := w.forget(); err != nil {
		return err
	}
	if err := openiscsi.LoginAgain(ctx, p.Machine, n); err != nil {
		return err
	}
	return p.await(ctx, w)
}
