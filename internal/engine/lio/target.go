package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
)

// setting is a file of an object and what it should read.
type setting struct{ file, value string }

// PutTarget implements engine.Engine.
func (e *Engine) PutTarget(ctx context.Context, t config.Target) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putTarget(ctx, t); err != nil {
		return fmt.Errorf("put target %s: %w", t.Name, err)
	}
	return nil
}

func (e *Engine) putTarget(ctx context.Context, t config.Target) error {
	t = own(t)
	t.Attributes = attribute.Bare(t.Attributes)
	if errs := ownProblems(t); len(errs) > 0 {
		return errors.Join(errs...)
	}
	p, there, err := e.locate(t.Name)
	if err != nil {
		return err
	}
	if there && p.driver != t.Driver {
		return fmt.Errorf("it is served by driver %s, and a target's driver cannot change; delete the target and create it anew", p.driver)
	}
	p = place{fabricOf(t.Driver), t.Name}
	w, err := e.words.target(p)
	if err != nil {
		return err
	}
	t.Groups, t.LUNs = w.Target.Groups, w.Target.LUNs
	w.Target = t
	if !there {
		// Words of a target that is gone say nothing of this one.
		w.Target.Groups, w.Target.LUNs, w.Was = nil, nil, nil
		w.Attributes, w.ACLAttributes = attribute.Words{}, attribute.Words{}
	}
	if err := e.words.putTarget(w); err != nil {
		return err
	}
	if !there {
		if err := e.make(ctx, p); err != nil {
			return err
		}
	}
	if err := e.hearEthernet(p.fabric); err != nil {
		return err
	}
	portals, err := e.portals()
	if err != nil {
		return err
	}
	if err := e.arrange(&w, portals); err != nil {
		return err
	}
	return e.dropOtherTags(w, portals)
}

// arrange brings a target's portal groups to its words: there is one for each
// tag, with the addresses that it is reached by.
func (e *Engine) arrange(w *targetWords, portals []config.Portal) error {
	for _, tag := range tagsOf(w.Target, portals) {
		tpg := w.place().tpg(tag)
		there, err := e.k.exists(tpg)
		if err != nil {
			return err
		}
		if !there {
			if err := e.k.mkdir(tpg); err != nil {
				return err
			}
			// Fibre Channel's begin with letting in everybody.
			if err := e.k.setIfThere(path.Join(tpg, "attrib/generate_node_acls"), "0"); err != nil {
				return err
			}
		}
		if err := e.noteDefaults(w, tpg); err != nil {
			return err
		}
		if err := e.configure(w, tag); err != nil {
			return err
		}
		if err := e.copyAccess(w, tag); err != nil {
			return err
		}
		if err := e.putTargetAttributes(w, tpg); err != nil {
			return err
		}
		if w.place().portals() {
			if err := e.addresses(w, tag, portals); err != nil {
				return err
			}
		}
		// Last: who logs in finds all that there is.
		if err := e.setGate(w, tpg, !w.Target.Disabled); err != nil {
			return err
		}
	}
	return e.forgetAttributes(w)
}

// addresses opens the addresses of one portal group, and closes others.
func (e *Engine) addresses(w *targetWords, tag int, portals []config.Portal) error {
	tpg := w.place().tpg(tag)
	want := map[string]bool{}
	for _, p := range portals {
		if p.Group == tag && reaches(w.Target, p.Name) {
			want[kernelAddress(p.Address)] = true
		}
	}
	have, err := e.k.list(path.Join(tpg, "np"))
	if err != nil {
		return err
	}
	for _, a := range have {
		if !want[a] && len(w.Target.Portals) > 0 {
			if err := e.k.rmdir(path.Join(tpg, "np", a)); err != nil {
				return err
			}
		}
		delete(want, a)
	}
	for _, p := range portals {
		if p.Group == tag && reaches(w.Target, p.Name) {
			if err := e.listen(tpg, p, !want[kernelAddress(p.Address)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropOtherTags removes the portal groups of tags that a target is not
// reached by any more.
func (e *Engine) dropOtherTags(w targetWords, portals []config.Portal) error {
	want := tagsOf(w.Target, portals)
	have, err := e.tags(w.place())
	if err != nil {
		return err
	}
	for _, tag := range have {
		if !slices.Contains(want, tag) {
			if err := e.dropPortGroup(w.place().tpg(tag)); err != nil {
				return err
			}
		}
	}
	return nil
}

// noteDefaults reads what the kernel begins a portal group with, before any of
// it is changed: a setting that is taken out of the document goes back to it.
func (e *Engine) noteDefaults(w *targetWords, tpg string) error {
	if w.Was != nil {
		return nil
	}
	was := map[string]string{}
	for _, dir := range []string{"attrib", "param"} {
		names, err := e.k.list(path.Join(tpg, dir))
		if err != nil {
			return err
		}
		for _, name := range names {
			if was[dir+"/"+name], err = e.k.read(path.Join(tpg, dir, name)); err != nil {
				return err
			}
		}
	}
	w.Was = was
	return e.words.putTarget(*w)
}

// optional is a setting that falls back to what the kernel began with.
func (w *targetWords) optional(file, value string) setting {
	if value == "" {
		value = w.Was[file]
	}
	return setting{file, value}
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "Yes"
	}
	return "No"
}

// settings are the files of a portal group, but the one that enables it.
func (w *targetWords) settings(tag int) []setting {
	f := w.place().fabric
	var all []setting
	if f.portals() {
		all = w.iscsiSettings()
	}
	if f.protects {
		all = append(all, setting{"attrib/prod_mode_write_protect", "0"}) // see mapLUN
	}
	// A portal group that cannot be closed has its identifier from the start.
	if id := w.Target.RelativeIDs[tag]; id != 0 && f.gate == enableGate {
		all = append(all, setting{"rtpi", strconv.Itoa(id)})
	}
	return slices.DeleteFunc(all, func(s setting) bool { return s.value == "" })
}

func (w *targetWords) iscsiSettings() []setting {
	t, p := w.Target, w.Target.Parameters
	return []setting{
		{"attrib/authentication", digit(len(t.Auth.Users) > 0)},
		{"attrib/demo_mode_discovery", "0"}, // who may not log in does not see the target
		w.optional("attrib/default_cmdsn_depth", count(p.QueuedCommands)),
		w.optional("param/TargetAlias", t.Alias),
		w.optional("param/HeaderDigest", strings.Join(p.HeaderDigest, ",")),
		w.optional("param/DataDigest", strings.Join(p.DataDigest, ",")),
		w.optional("param/MaxRecvDataSegmentLength", count(p.MaxRecvDataSegmentLength)),
		w.optional("param/MaxBurstLength", count(p.MaxBurstLength)),
		w.optional("param/FirstBurstLength", count(p.FirstBurstLength)),
		w.optional("param/MaxOutstandingR2T", count(p.MaxOutstandingR2T)),
		w.optional("param/InitialR2T", yesNo(p.InitialR2T)),
		w.optional("param/ImmediateData", yesNo(p.ImmediateData)),
	}
}

// configure sets the files of a portal group and of its ACLs.
func (e *Engine) configure(w *targetWords, tag int) error {
	tpg := w.place().tpg(tag)
	for _, s := range w.settings(tag) {
		err := e.setSetting(tpg, s)
		if err != nil {
			return err
		}
	}
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return err
	}
	for _, initiator := range acls {
		if err := e.configureACL(w, tpg, initiator); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) setSetting(tpg string, s setting) error {
	file := path.Join(tpg, s.file)
	now, err := e.k.read(file)
	switch {
	case s.file == "rtpi" && errors.Is(err, fs.ErrNotExist):
		return nil // the kernel gives each LUN's port one of its own then
	case err != nil:
		return unsettable(s.file, err)
	case equal(now, s.value):
		return nil
	}
	if s.file == "rtpi" { // cannot change in a portal group that is enabled
		if err := e.k.set(path.Join(tpg, "enable"), "0"); err != nil {
			return err
		}
	}
	if err := e.k.WriteFile(file, s.value); err != nil {
		return unsettable(s.file, err)
	}
	return nil
}

// DeleteTarget implements engine.Engine. Its sessions end.
func (e *Engine) DeleteTarget(_ context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, there, err := e.locate(name)
	if err == nil && there {
		err = e.releasing(name, func() error { return e.dropTarget(p) })
	}
	if err == nil {
		err = e.words.Remove("targets", name)
	}
	if err != nil {
		return fmt.Errorf("delete target %s: %w", name, err)
	}
	return nil
}

func (e *Engine) dropTarget(p place) error {
	tags, err := e.tags(p)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := e.dropPortGroup(p.tpg(tag)); err != nil {
			return err
		}
	}
	return e.k.rmdir(p.path())
}

// dropPortGroup takes a portal group apart in the only order that the kernel
// lets: who is logged in leaves first.
func (e *Engine) dropPortGroup(tpg string) error {
	if placeAt(tpg).gate == enableGate {
		if err := e.k.set(path.Join(tpg, enableGate), "0"); err != nil {
			return err
		}
	}
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return err
	}
	for _, initiator := range acls {
		if err := e.dropACL(tpg, initiator); err != nil {
			return err
		}
	}
	for _, dir := range []string{"lun", "np"} {
		names, err := e.k.list(path.Join(tpg, dir))
		if err != nil {
			return err
		}
		for _, name := range names {
			if dir == "np" {
				err = e.k.rmdir(path.Join(tpg, dir, name))
			} else {
				err = e.k.unlink(path.Join(tpg, dir, name))
			}
			if err != nil {
				return err
			}
		}
	}
	return e.k.rmdir(tpg)
}
