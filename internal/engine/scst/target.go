package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
)

// targetWordsKind is where the words of targets are.
const targetWordsKind = "targets"

// targetWords are those of a target.
type targetWords struct {
	// Target is as it was put; of its groups there are the names and the
	// initiators in their order, and of LUNs those that are read-only twice:
	// their device is, too.
	Target config.Target `json:"target"`
	// Secrets are those of Target.Auth, beside it.
	Secrets []string `json:"secrets,omitempty"`
	// Was holds SCST's own values of what we set, by the file; nil for a target
	// that is not ours.
	Was map[string]string `json:"was"`
	// Attributes are words of the target's own attributes, GroupAttributes of
	// those of its groups.
	Attributes      attribute.Words            `json:"attributes"`
	GroupAttributes map[string]attribute.Words `json:"group_attributes,omitempty"`

	kept bool // there are words: nobody else made it
}

func (w *targetWords) ours() bool { return w.Was != nil }

// target reads the words of a target; those of one without any are its name.
func (e *Engine) target(p place) (targetWords, error) {
	none := targetWords{Target: config.Target{Name: p.name, Driver: p.driver}}
	w := none
	ok, err := e.words.Get(targetWordsKind, p.name, &w)
	if err != nil || !ok || w.Target.Name != p.name || w.Target.Driver != p.driver || !w.Target.Auth.Reveal(w.Secrets) {
		return none, err
	}
	w.kept = true
	return w, nil
}

func (e *Engine) keep(w targetWords) error {
	w.Secrets = w.Target.Auth.Secrets()
	return e.words.Put(targetWordsKind, w.Target.Name, w)
}

// group returns a host group's words, nil if there are none.
func (w *targetWords) group(name string) *config.Group {
	for i := range w.Target.Groups {
		if w.Target.Groups[i].Name == name {
			return &w.Target.Groups[i]
		}
	}
	return nil
}

// PutTarget implements engine.Engine.
func (e *Engine) PutTarget(ctx context.Context, t config.Target) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putTarget(ctx, t.WithDefaults()); err != nil {
		return fmt.Errorf("put target %s: %w", t.Name, err)
	}
	return nil
}

func (e *Engine) putTarget(ctx context.Context, t config.Target) error {
	if err := ownProblems(t).join(); err != nil {
		return err
	}
	t.Attributes = attribute.Bare(t.Attributes)
	p := place{t.Driver, t.Name}
	if other, there, err := e.locate(t.Name); err != nil {
		return err
	} else if there && other.driver != p.driver {
		return fmt.Errorf("it is served by driver %s, and a target's driver cannot change; delete the target and create it anew", other.driver)
	}
	if err := e.ready(ctx, p.driver); err != nil {
		return err
	}
	there, err := e.k.exists(p.path())
	if err != nil {
		return err
	}
	w, err := e.target(p)
	if err != nil {
		return err
	}
	if !there {
		// Words of a target that is gone say nothing of this one.
		w = targetWords{}
		if err := e.keep(targetWords{Target: t}); err != nil {
			return err
		}
		if err := e.make(ctx, p); err != nil {
			return err
		}
	}
	t.Groups, t.LUNs = w.Target.Groups, w.Target.LUNs
	w.Target = t
	if err := e.noteDefaults(ctx, p, &w); err != nil {
		return err
	}
	if err := e.keep(w); err != nil {
		return err
	}
	if err := e.configure(ctx, p, &w); err != nil {
		return err
	}
	if err := e.putTargetAttributes(ctx, p, &w); err != nil {
		return err
	}
	if err := e.joinTarget(ctx, p.name); err != nil {
		return err
	}
	// Last: who logs in finds all that there is.
	if err := e.enable(ctx, p, !t.Disabled); err != nil {
		return err
	}
	switch {
	case t.Disabled:
		return e.closeAll(ctx, p, func(string) bool { return true })
	case t.Driver == config.DriverLocal:
		return e.logInHere(ctx, p)
	}
	return nil
}

// noteDefaults reads what SCST begins a target with, before any of it is
// changed: a setting that is taken out of the document goes back to it.
func (e *Engine) noteDefaults(ctx context.Context, p place, w *targetWords) error {
	if w.Was != nil {
		return nil
	}
	was := map[string]string{}
	for _, s := range parameters(config.Target{}) {
		v, there, err := e.k.optional(ctx, path.Join(p.path(), s.file))
		if err != nil {
			return err
		}
		if there {
			was[s.file] = v
		}
	}
	w.Was = was
	return nil
}

// setting is a file of a target and what it should read; nothing to say if it
// is "".
type setting struct{ file, value string }

// parameters are the files of an iSCSI target that a document speaks of.
func parameters(t config.Target) []setting {
	p := t.Parameters
	interval := count(p.NopInInterval)
	if p.NopInInterval < 0 {
		interval = "0"
	}
	redirect := ""
	if t.Redirect != "" {
		redirect = strings.TrimSuffix(t.Redirect, ":"+strconv.Itoa(defaultPort)) + " temp" // as it is read
	}
	return []setting{
		{"alias", t.Alias}, {"redirect", redirect},
		{"HeaderDigest", digests(p.HeaderDigest)}, {"DataDigest", digests(p.DataDigest)},
		{"MaxRecvDataSegmentLength", count(p.MaxRecvDataSegmentLength)}, {"MaxBurstLength", count(p.MaxBurstLength)},
		{"FirstBurstLength", count(p.FirstBurstLength)}, {"MaxOutstandingR2T", count(p.MaxOutstandingR2T)},
		{"InitialR2T", yesNo(p.InitialR2T)}, {"ImmediateData", yesNo(p.ImmediateData)},
		{"QueuedCommands", count(p.QueuedCommands)}, {"NopInInterval", interval}, {"NopInTimeout", count(p.NopInTimeout)},
		{"MaxSessions", count(p.MaxSessions)},
	}
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

// digests writes a list of them as SCST reads it (digest_val_to_str).
func digests(list []string) string {
	sorted := slices.Clone(list)
	sort.Sort(sort.Reverse(sort.StringSlice(sorted))) // None before CRC32C
	return strings.Join(sorted, ",")
}

// settings are a target's parameters; what is not declared is as SCST began.
func (w *targetWords) settings() []setting {
	if w.Target.Driver != config.DriverISCSI {
		return nil
	}
	all := parameters(w.Target)
	for i := range all {
		if all[i].value == "" {
			all[i].value = w.Was[all[i].file]
		}
	}
	return all
}

// configure sets a target's parameters, who may log in, and where.
func (e *Engine) configure(ctx context.Context, p place, w *targetWords) error {
	for _, s := range w.settings() {
		_, had := w.Was[s.file]
		if s.value == "" && !had {
			continue
		}
		err := e.k.set(ctx, path.Join(p.path(), s.file), s.value)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the SCST that runs has no %s for targets: %w; leave it out, or use engine: native", s.file, err)
		}
		if err != nil {
			return fmt.Errorf("set %s: %w", s.file, err)
		}
	}
	if id := w.Target.RelativeIDs[config.LoneTag]; id != 0 {
		if err := e.setRelativeID(ctx, p, id); err != nil {
			return err
		}
	}
	if p.driver != config.DriverISCSI {
		return nil
	}
	if err := e.putAuth(ctx, p.name, w.Target.Auth); err != nil {
		return err
	}
	portals, err := e.portals()
	if err != nil {
		return err
	}
	return e.admit(ctx, w.Target, portals)
}

// setRelativeID gives a target its relative target port identifier. SCST sees
// that it is unique only once the target is enabled.
func (e *Engine) setRelativeID(ctx context.Context, p place, id int) error {
	file := path.Join(p.path(), "rel_tgt_id")
	now, err := e.k.read(ctx, file)
	if err != nil || now == strconv.Itoa(id) {
		return err
	}
	owner, err := e.ownerOf(ctx, id)
	if err != nil {
		return err
	}
	if owner.name != "" {
		idle, err := e.idle(ctx, owner)
		if err != nil {
			return err
		}
		if !idle {
			return fmt.Errorf("relative target port identifier %d: target %s has it; write another one in relative_ids", id, owner.name)
		}
		if err := e.moveAway(ctx, owner); err != nil {
			return fmt.Errorf("take relative target port identifier %d from %s, which serves nobody: %w", id, owner.name, err)
		}
	}
	return e.k.write(ctx, file, strconv.Itoa(id))
}

// ownerOf is the target that has a relative target port identifier; its name is
// "" if none has.
func (e *Engine) ownerOf(ctx context.Context, id int) (place, error) {
	all, err := e.everyTarget()
	if err != nil {
		return place{}, err
	}
	for _, p := range all {
		has, _, err := e.k.optional(ctx, path.Join(p.path(), "rel_tgt_id"))
		if err != nil {
			return place{}, err
		}
		if has == strconv.Itoa(id) {
			return p, nil
		}
	}
	return place{}, nil
}

// moveAway gives a target that nobody uses an identifier that nobody is likely
// to write: the loopback's module takes the first one for its own.
func (e *Engine) moveAway(ctx context.Context, p place) error {
	for id := mostRelativeID; id > 0; id-- {
		owner, err := e.ownerOf(ctx, id)
		if err != nil {
			return err
		}
		if owner.name == "" {
			return e.k.write(ctx, path.Join(p.path(), "rel_tgt_id"), strconv.Itoa(id))
		}
	}
	return errors.New("all are taken")
}

// mostRelativeID is the largest one (SCST_MAX_REL_TGT_ID).
const mostRelativeID = 65535

// DeleteTarget implements engine.Engine. SCST deletes a target that is enabled
// under its initiators; here they are closed first.
func (e *Engine) DeleteTarget(ctx context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, there, err := e.locate(name)
	if err == nil && there {
		err = e.dropTarget(ctx, p)
	}
	if err == nil {
		err = e.words.Remove(targetWordsKind, name)
	}
	if err != nil {
		return fmt.Errorf("delete target %s: %w", name, err)
	}
	return nil
}

func (e *Engine) dropTarget(ctx context.Context, p place) error {
	if err := e.enable(ctx, p, false); err != nil {
		return err
	}
	if err := e.closeAll(ctx, p, func(string) bool { return true }); err != nil {
		return err
	}
	if !virtual(p.driver) { // the port stays, without anything
		groups, err := e.groups(p)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := e.k.write(ctx, path.Join(p.path(), "ini_groups/mgmt"), "del "+g); err != nil {
				return err
			}
		}
		luns, err := e.k.list(p.luns(""))
		if err != nil {
			return err
		}
		if len(luns) > 0 {
			if err := e.k.write(ctx, path.Join(p.luns(""), "mgmt"), "clear"); err != nil {
				return err
			}
		}
	} else if err := e.k.write(ctx, path.Join(driverPath(p.driver), "mgmt"), "del_target "+p.name); err != nil {
		return err
	}
	return e.words.Remove(targetWordsKind, p.name)
}

// sortAs brings a list into the order of some names; others come after.
func sortAs[T any](list []T, order []string, name func(T) string) {
	rank := func(v T) int {
		if i := slices.Index(order, name(v)); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(list, func(a, b T) int { return rank(a) - rank(b) })
}
