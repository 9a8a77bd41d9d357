package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// login plans a login.
func (p *planning) login(w way) {
	p.b.Add(plan.Step{
		Layer: p.Name(), Object: w.object, Action: plan.Create, Phase: plan.Build, Reveals: true,
		Sentence: "Log in to " + w.text,
		Do: func(ctx context.Context, _ plan.Report) error {
			if p.lost <= 0 {
				return errors.New("it was not tried: others that are not there took the time for that; it is tried at the next look")
			}
			began := time.Now()
			err := p.logIn(ctx, w)
			if err != nil {
				p.lost -= time.Since(began)
			}
			return err
		},
		Undo: func(ctx context.Context) error { return p.logOut(ctx, w, false) },
	})
}

func (p *planning) logIn(ctx context.Context, w way) error {
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	if w.tcp != "" {
		// A login to nobody takes long, and its error says little.
		reach, done := context.WithTimeout(ctx, reachTime)
		err := p.Machine.Reach(reach, w.tcp)
		done()
		if err != nil {
			return err
		}
	}
	if err := w.in(ctx); err != nil {
		return err
	}
	return p.await(ctx, w)
}

// await waits until the disks of a login are there. A target that shows none
// is no error: the next look tells.
func (p *planning) await(ctx context.Context, w way) error {
	end := time.Now().Add(p.patience())
	asked := false
	for {
		if err := block.Settle(ctx, p.Machine); err != nil {
			return err
		}
		there, disks, err := w.look()
		switch {
		case err != nil:
			return err
		case !there:
			return fmt.Errorf("%s ended the login at once; its own log says why", w.text)
		case len(disks) > 0 || time.Now().After(end):
			return nil
		}
		if !asked && time.Until(end) < p.patience()/2 {
			if err := w.again(ctx); err != nil {
				return err
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// logOut ends a login unless something uses its disks; with force it does so
// all the same.
func (p *planning) logOut(ctx context.Context, w way, force bool) error {
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	there, disks, err := w.look()
	if err != nil {
		return err
	}
	if there {
		if !force {
			inv, err := block.Read(ctx, p.Machine)
			if err != nil {
				return err
			}
			if by := layer.Users(inv, disks, disks); len(by) > 0 {
				return fmt.Errorf("%s; give that up first", strings.Join(by, ", "))
			}
		}
		if err := w.out(ctx); err != nil {
			return err
		}
	}
	return errors.Join(w.forget(), block.Settle(ctx, p.Machine))
}

// takeUp has disks that come with logins of this plan, and that the document
// begins to use with it, looked at before anything is made on them: what they
// hold cannot be shown in the plan, so it must be nothing.
func (p *planning) takeUp(coming []way) {
	used := p.used()
	for _, u := range layer.Uses(p.declared) {
		if p.isThere(u.Path) || has(used, u.Path) {
			continue
		}
		for _, w := range coming {
			if !w.brings(u.Path) {
				continue
			}
			login := plan.StepID(plan.Create, w.object)
			if strings.HasPrefix(u.Object, "device/") { // it is served as it is
				p.b.Comes(u.Path, plan.Coming{Step: login})
				break
			}
			id := plan.StepID("look", config.DiskObject(u.Path))
			p.b.Comes(u.Path, plan.Coming{Step: id})
			if p.b.Has(id) {
				break
			}
			p.b.Add(plan.Step{
				ID: id, Layer: p.Name(), Object: config.DiskObject(u.Path), Action: plan.Create, Phase: plan.Build, Needs: []plan.ID{login},
				Sentence: fmt.Sprintf("Look at %s, which must be blank", u.Path),
				Do: func(ctx context.Context, _ plan.Report) error {
					return layer.Blank(ctx, p.Machine, u.Path, p.patience())
				},
				Undo: func(context.Context) error { return nil }, // it changed nothing
			})
			break
		}
	}
}
