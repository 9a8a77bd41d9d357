package raid

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/plan"
)

// place is a declared disk and what there is of it.
type place struct {
	path   string
	kernel string // "" if it is not there
	needs  []plan.ID
}

// sorted is the declared disks by what is to be done about them, and the
// members that are not declared.
type sorted struct {
	idle       []place // in the array and standing by, declared as disks
	failed     []place // in the array and taken for failed
	returning  []place // were in the array, and are not now
	newcomers  []place // are to be added
	newSpares  []place // are to be added as spares
	absent     []string
	refused    []string       // cannot be had, which is told
	vacant     int            // places that nobody holds
	extra      []mdadm.Member // hold a place, and are not declared
	extraSpare []mdadm.Member
	extraDead  []mdadm.Member // failed or gone, and not declared
}

// members plans which disks the array has. What cannot be had of that is told.
func (w *work) members() {
	level, ok := w.shape()
	if !ok {
		return
	}
	s := w.sort()
	if !w.possible(s) {
		return
	}
	for _, m := range s.extraDead {
		w.removeDead(m)
	}
	for _, m := range s.extraSpare {
		if s.vacant > 0 { // the kernel takes it at once, and rightly so
			w.b.Degraded(w.object, "the spare %s is not declared any more, and takes an empty place", friendly(w.seen, m.Kernel))
			continue
		}
		w.removeSpare(m)
	}
	for _, p := range s.returning {
		w.addBack(p)
	}
	var added []plan.ID
	for _, p := range slices.Concat(s.newcomers, s.newSpares) {
		added = append(added, w.add(p))
	}
	// Those who come first fill the places that are empty: the kernel does so.
	able := append(slices.Clone(s.idle), s.newcomers...)
	filled := min(max(0, s.vacant-len(s.returning)), len(able))
	able = able[filled:]
	// One that is yet to be started may have to be made consistent first.
	busy := w.found.Sync.Busy() || w.found.Degraded > 0 || len(w.first) > 0 || filled > 0 || len(s.returning) > 0
	w.replace(s.extra, able, busy)
	w.grow(level, len(s.extra)+len(s.absent)+len(s.refused) == 0, busy, added)
	w.failures(s)
}

// shape compares what an array is once made. It returns the level to change
// to, "" if none.
func (w *work) shape() (level string, ok bool) {
	f := w.found
	w.journals()
	if w.Level != f.Level {
		switch {
		case w.Level == "5" && (f.Level == "1" && f.Disks == 2 || f.Level == "4"), w.Level == "6" && f.Level == "5" && len(w.Disks) > f.Disks:
			level = w.Level
		default:
			w.refuse("it is RAID %s, and is not made RAID %s in place; declare another array, move the data, and delete this one%s", f.Level, w.Level,
				map[bool]string{true: " (RAID 5 becomes RAID 6 with one disk more)"}[f.Level == "5" && w.Level == "6"])
		}
	}
	switch {
	case len(w.Disks) < f.Disks:
		w.refuse("it has %d disks, and the document names %d: an array is not made smaller. To take a disk out, name another one in its place; "+
			"to use fewer, declare another array, move the data, and delete this one", f.Disks, len(w.Disks))
		return "", false
	case w.Chunk != 0 && f.Chunk != 0 && int64(w.Chunk) != f.Chunk:
		w.refuse("its chunk is %s, and is not changed in place to %s; leave chunk as it is", sizeOf(f.Chunk), w.Chunk.Human())
	case w.Layout != "" && f.Layout != "" && w.Layout != f.Layout && level == "" && w.found.Sync.Action != "reshape":
		w.refuse("its layout is %s, and is not changed in place to %s; leave layout as it is", f.Layout, w.Layout)
	}
	return level, true
}

// journals compares the journal.
func (w *work) journals() {
	has := ""
	for _, m := range w.found.Members {
		if m.Is("journal") && !m.Is("faulty") {
			has = m.Kernel
		}
	}
	switch {
	case w.Journal == "" && w.found.Policy != "journal":
	case w.Journal == "":
		w.refuse("it has a journal, which is not taken away in place; name its device (%s) as journal", friendly(w.seen, has))
	case w.found.Policy != "journal":
		w.refuse("an array gets its journal when it is made; leave journal out")
	case has == "":
		w.b.Degraded(w.object, "its journal %s has failed or is gone, and it is not written to until it has one again: 'mdadm --manage %s --add-journal DEVICE' gives it one", w.Journal, w.Path())
	case w.kernel(w.Journal) != has:
		w.refuse("its journal is on %s, and is not moved in place; name that as journal", friendly(w.seen, has))
	}
}

// sort looks at each declared disk and each member.
func (w *work) sort() (s sorted) {
	declared := map[string]bool{}
	for i, p := range slices.Concat(w.Disks, w.Spares) {
		at := place{path: p, kernel: w.kernel(p)}
		m, in := w.found.Member(at.kernel)
		old, was := w.seen.Storage.RAID.Left[at.kernel]
		declared[at.kernel] = true
		switch {
		case at.kernel != "" && in && m.Is(mdadm.Stale), at.kernel != "" && was && old.UUID == w.uuid:
			s.returning = append(s.returning, at)
		case at.kernel != "" && in && m.Is("faulty"):
			s.failed = append(s.failed, at)
		case at.kernel != "" && in:
			if m.Role < 0 && i < len(w.Disks) {
				s.idle = append(s.idle, at)
			}
		default:
			c, needs, can := w.claim(p)
			at.needs = needs
			switch {
			case c.Missing != "":
				s.absent = append(s.absent, p)
			case !can:
				s.refused = append(s.refused, p)
			case i < len(w.Disks):
				s.newcomers = append(s.newcomers, at)
			default:
				s.newSpares = append(s.newSpares, at)
			}
		}
	}
	held := map[int]bool{}
	for _, m := range w.found.Members {
		_, there := w.seen.Storage.Blocks.Named(m.Kernel)
		dead := m.Is("faulty") || !there
		if m.Role >= 0 && !dead && !m.Is(mdadm.Stale) {
			held[m.Role] = true
		}
		switch {
		case declared[m.Kernel] || m.Is("journal") || m.Is(mdadm.Stale):
		case dead:
			s.extraDead = append(s.extraDead, m)
		case m.Role < 0:
			s.extraSpare = append(s.extraSpare, m)
		default:
			s.extra = append(s.extra, m)
		}
	}
	s.vacant = max(0, w.found.Disks-len(held))
	return s
}

// possible refuses changes of members that would cost data or redundancy.
func (w *work) possible(s sorted) bool {
	switch {
	case w.UUID != "" && !w.before() && len(s.extra) > 0:
		// Disks that are named wrongly must not be copied over by mistake.
		w.refuse("the array with the UUID %s has other disks than those that are named: %s is not among them. Name its own disks to take it up; replace them later",
			w.uuid, w.names(s.extra))
		return false
	case w.found.Level == "0" && len(s.newcomers)+len(s.extra)+len(s.newSpares) > 0:
		w.refuse("the disks of a RAID 0 are not replaced, and it does not grow: it has no redundancy that this could be done with. Declare another array, and move the data")
		return false
	}
	return true
}

func (w *work) names(members []mdadm.Member) string {
	var names []string
	for _, m := range members {
		names = append(names, friendly(w.seen, m.Kernel))
	}
	return list(names)
}

// removeDead plans to forget a member that has failed, or whose disk is gone.
// What it holds stays: it may be wanted if more disks fail.
func (w *work) removeDead(m mdadm.Member) {
	_, there := w.seen.Storage.Blocks.Named(m.Kernel)
	what := "which has failed,"
	if !there {
		what = "which is gone,"
		if !m.Is("faulty") && !w.found.Enough(m.Kernel) {
			w.b.Degraded(w.object, "%s is gone, and the array does not work without it: plug it in again", m.Kernel)
			return
		}
	}
	w.b.Add(plan.Step{
		ID: w.id("remove", m.Kernel), Layer: w.l.Name(), Object: w.object, Action: plan.Change, Needs: w.first,
		Sentence: fmt.Sprintf("Take %s, %s out of array %s", friendly(w.seen, m.Kernel), what, w.Name),
		Do: func(ctx context.Context, _ plan.Report) error {
			a, err := w.now(ctx)
			if err != nil {
				return err
			}
			now, in := a.Member(m.Kernel)
			if !in {
				return nil
			}
			gone := w.l.Machine.Real("/dev/"+m.Kernel) == ""
			if !now.Is("faulty") && !gone {
				return fmt.Errorf("%s works again, and is left in array %s: plan again", m.Kernel, w.Name)
			}
			if !now.Is("faulty") && !a.Enough(m.Kernel) {
				return fmt.Errorf("array %s does not work without %s: it stays", w.Name, m.Kernel)
			}
			return mdadm.Remove(ctx, w.l.Machine, a.Kernel, m.Kernel, gone)
		},
		// Not undone: the array lacked it before, and what failed is not put back.
	})
}

// removeSpare plans to give a spare up.
func (w *work) removeSpare(m mdadm.Member) {
	p := "/dev/" + m.Kernel
	id := w.id("remove", m.Kernel)
	w.b.Add(plan.Step{
		ID: id, Layer: w.l.Name(), Object: w.object, Action: plan.Change, Needs: w.first,
		Sentence: fmt.Sprintf("Take the spare %s out of array %s", friendly(w.seen, m.Kernel), w.Name),
		Do: func(ctx context.Context, _ plan.Report) error {
			a, err := w.now(ctx)
			if err != nil {
				return err
			}
			if now, in := a.Member(m.Kernel); in {
				if now.Role >= 0 {
					return fmt.Errorf("%s is in use by array %s meanwhile: plan again", m.Kernel, w.Name)
				}
				if err := mdadm.Remove(ctx, w.l.Machine, a.Kernel, m.Kernel, false); err != nil {
					return err
				}
			}
			return clear(ctx, w.l.Machine, w.uuid, p)
		},
		Undo: func(ctx context.Context) error { return w.addNow(ctx, p, mdadm.Add) },
	})
	w.b.Frees(m.Kernel, id)
}

// addBack plans to take a disk in again that was in the array before.
func (w *work) addBack(at place) {
	w.b.Add(plan.Step{
		ID: w.id("add", short(at.path)), Layer: w.l.Name(), Object: w.object, Action: plan.Change, Needs: w.first,
		Sentence: fmt.Sprintf("Take %s, which is back, into array %s again", short(at.path), w.Name),
		Do: func(ctx context.Context, _ plan.Report) error {
			return w.addNow(ctx, at.path, mdadm.AddBack)
		},
		// Not undone: the disk belongs to the array before this change and after it.
	})
}

// addNow adds a device, unless it is in the array already. A member of that
// name whose disk is gone is forgotten first.
func (w *work) addNow(ctx context.Context, p string, add func(ctx context.Context, m mdadm.Machine, kernel, device string) error) error {
	a, err := w.now(ctx)
	if err != nil {
		return err
	}
	if _, in := a.Member(path.Base(w.l.Machine.Real(p))); in {
		return nil
	}
	return add(ctx, w.l.Machine, a.Kernel, p)
}

// add plans to take a new disk in.
func (w *work) add(at place) plan.ID {
	id := w.id("add", short(at.path))
	as := "Add %s to array %s"
	if slices.Contains(w.Spares, at.path) {
		as = "Add %s to array %s as a spare"
	}
	began := false
	w.b.Add(plan.Step{
		ID: id, Layer: w.l.Name(), Object: w.object, Action: plan.Change, Needs: slices.Concat(w.first, at.needs),
		Sentence: fmt.Sprintf(as, short(at.path), w.Name),
		Do: func(ctx context.Context, _ plan.Report) error {
			return w.addNow(ctx, at.path, func(ctx context.Context, m mdadm.Machine, kernel, device string) error {
				if err := blank(ctx, w.l.Machine, device); err != nil {
					return err
				}
				began = true
				return mdadm.Add(ctx, m, kernel, device)
			})
		},
		Undo: func(ctx context.Context) error {
			if !began {
				return nil
			}
			return w.takeOut(ctx, at.path)
		},
	})
	return id
}

// takeOut takes a disk out again that was just added, unless the array needs
// it by now.
func (w *work) takeOut(ctx context.Context, p string) error {
	a, there, err := mdadm.Find(ctx, w.l.Machine, w.uuid)
	if err != nil {
		return err
	}
	kernel := path.Base(w.l.Machine.Real(p))
	if m, in := a.Member(kernel); there && in {
		if !a.Enough(kernel) {
			return fmt.Errorf("array %s does not work without %s any more: it stays", w.Name, p)
		}
		if m.Role >= 0 && !m.Is("faulty") {
			if err := mdadm.Fail(ctx, w.l.Machine, a.Kernel, kernel); err != nil {
				return err
			}
		}
		if err := mdadm.Remove(ctx, w.l.Machine, a.Kernel, kernel, false); err != nil {
			return err
		}
	}
	return clear(ctx, w.l.Machine, w.uuid, p)
}

// replace plans that disks take the place of members that are not declared any
// more, and that work: those stay in use until all is copied.
func (w *work) replace(extra []mdadm.Member, able []place, busy bool) {
	for _, old := range extra {
		name := friendly(w.seen, old.Kernel)
		if slices.ContainsFunc(w.found.Members, func(m mdadm.Member) bool { return m.Role == old.Role && m.Is("replacement") }) {
			continue // it is being copied: tell says so
		}
		switch {
		case len(able) == 0:
			w.b.Degraded(w.object, "%s is not declared any more, and stays in use until a disk is there to take its place", name)
			continue
		case busy:
			w.b.Degraded(w.object, "%s takes the place of %s when the array is done with what it does now", short(able[0].path), name)
			able = able[1:]
			continue
		}
		by := able[0]
		able = able[1:]
		w.b.Add(plan.Step{
			ID: w.id("replace", old.Kernel), Layer: w.l.Name(), Object: w.object, Action: plan.Change,
			Needs:    slices.Concat(w.first, []plan.ID{w.id("add", short(by.path))}),
			Sentence: fmt.Sprintf("Copy %s to %s in array %s, and use that in its place", name, short(by.path), w.Name),
			Do: func(ctx context.Context, _ plan.Report) error {
				a, err := w.now(ctx)
				if err != nil {
					return err
				}
				kernel := path.Base(w.l.Machine.Real(by.path))
				m, in := a.Member(kernel)
				switch {
				case !in:
					return fmt.Errorf("%s is not in array %s any more: plan again", by.path, w.Name)
				case m.Role >= 0:
					return nil
				}
				return mdadm.Replace(ctx, w.l.Machine, a.Kernel, old.Kernel, kernel)
			},
			Undo: func(ctx context.Context) error {
				if err := w.takeOut(ctx, by.path); err != nil {
					return err
				}
				a, err := w.now(ctx)
				if err != nil {
					return err
				}
				if m, in := a.Member(old.Kernel); in && m.Is("want_replacement") {
					return mdadm.KeepInUse(w.l.Machine, a.Kernel, old.Kernel)
				}
				return nil
			},
		})
	}
}

// grow plans to spread the array over more disks, and to change its level.
func (w *work) grow(level string, whole, busy bool, added []plan.ID) {
	more := len(w.Disks) - w.found.Disks
	if more <= 0 && level == "" {
		return
	}
	if !whole || busy {
		w.b.Degraded(w.object, "it is spread over %d disks when it is whole, and done with what it does now", len(w.Disks))
		return
	}
	n := len(w.Disks)
	what := []string{}
	if more > 0 {
		what = append(what, fmt.Sprintf("from %d to %d disks", w.found.Disks, n))
	}
	if level != "" {
		what = append(what, fmt.Sprintf("from RAID %s to RAID %s", w.found.Level, level))
	}
	w.b.Add(plan.Step{
		ID: w.id("grow", "disks"), Layer: w.l.Name(), Object: w.object, Action: plan.Change, Needs: slices.Concat(w.first, added),
		Sentence: fmt.Sprintf("Reshape array %s %s; it stays in use, and what that adds is there when the reshape is done", w.Name, strings.Join(what, " and ")),
		Do: func(ctx context.Context, _ plan.Report) error {
			a, err := w.now(ctx)
			if err != nil {
				return err
			}
			if a.Disks >= n && (level == "" || a.Level == level) {
				return nil
			}
			err = mdadm.Grow(ctx, w.l.Machine, a.Kernel, level, n)
			if now, look := w.now(ctx); look == nil && now.Disks >= n && (level == "" || now.Level == level) && err != nil && ctx.Err() == nil {
				return nil // the kernel is at it, whatever became of mdadm
			}
			return err
		},
		// Not undone: a reshape that has begun goes on, and an array is not made
		// smaller.
	})
}
