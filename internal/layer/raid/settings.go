package raid

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/plan"
)

// settings plans what is changed of an array in use at once.
func (w *work) settings() {
	if len(w.first) > 0 { // starting it sets them
		return
	}
	f := w.found
	if has := f.Policy == "bitmap"; w.bitmap() != has && f.Policy != "journal" && f.Level != "0" {
		if f.Sync.Busy() {
			w.b.Degraded(w.object, "its bitmap is changed when the array is done with what it does now")
		} else {
			w.setBitmap(!has)
		}
	}
	changes := w.changes()
	if len(changes) == 0 {
		return
	}
	before := f
	w.b.Add(plan.Step{
		Layer: w.l.Name(), Object: w.object, Action: plan.Change, Changes: changes,
		Sentence: "Change how array " + w.Name + " uses its disks",
		Do:       func(ctx context.Context, _ plan.Report) error { return w.tune(ctx) },
		Undo: func(ctx context.Context) error {
			a, err := w.now(ctx)
			if err != nil {
				return err
			}
			for _, m := range before.Members {
				if now, in := a.Member(m.Kernel); in && now.Is("write_mostly") != m.Is("write_mostly") {
					if err := mdadm.SetWriteMostly(w.l.Machine, a.Kernel, m.Kernel, m.Is("write_mostly")); err != nil {
						return err
					}
				}
			}
			if before.SpeedMin != a.SpeedMin || before.SpeedMax != a.SpeedMax {
				return mdadm.SetSpeed(w.l.Machine, a.Kernel, before.SpeedMin, before.SpeedMax)
			}
			return nil
		},
	})
}

// changes are the settings that differ, of those that the kernel changes at once.
func (w *work) changes() []config.FieldChange {
	f := w.found
	var changes []config.FieldChange
	var had, has []string
	for _, p := range w.Disks {
		m, in := f.Member(w.kernel(p))
		if !in || m.Is("faulty") {
			continue
		}
		if m.Is("write_mostly") {
			had = append(had, short(p))
		}
		if slices.Contains(w.WriteMostly, p) {
			has = append(has, short(p))
		}
	}
	if !slices.Equal(had, has) {
		changes = append(changes, config.FieldChange{Field: "write_mostly", Old: strings.Join(had, " "), New: strings.Join(has, " ")})
	}
	if f.Level == "0" {
		return changes
	}
	least, most := w.speeds()
	for _, s := range []struct {
		field    string
		is, want int64
	}{{"speed_min", f.SpeedMin, least}, {"speed_max", f.SpeedMax, most}} {
		if s.is != s.want {
			changes = append(changes, config.FieldChange{Field: s.field, Old: sizeText(s.is), New: sizeText(s.want)})
		}
	}
	return changes
}

func sizeText(n int64) string {
	if n == 0 {
		return ""
	}
	return config.Size(n).String()
}

func (w *work) setBitmap(on bool) {
	set := func(ctx context.Context, on bool) error {
		a, err := w.now(ctx)
		if err != nil {
			return err
		}
		if (a.Policy == "bitmap") == on {
			return nil
		}
		return mdadm.SetBitmap(ctx, w.l.Machine, a.Kernel, on)
	}
	does := "Take the write-intent bitmap from array " + w.Name + ": a resync after a crash reads all of it"
	if on {
		does = "Give array " + w.Name + " a write-intent bitmap"
	}
	w.b.Add(plan.Step{
		ID: w.id("change", "bitmap"), Layer: w.l.Name(), Object: w.object, Action: plan.Change, Sentence: does,
		Do:   func(ctx context.Context, _ plan.Report) error { return set(ctx, on) },
		Undo: func(ctx context.Context) error { return set(ctx, !on) },
	})
}

// failures tells which disks are missing or have failed.
func (w *work) failures(s sorted) {
	var failed []string
	for _, at := range s.failed {
		failed = append(failed, short(at.path))
	}
	left := ""
	if n := w.redundant(); n == 0 {
		left = "; it has no redundancy left: one more that fails takes the data with it"
	}
	if len(failed) > 0 {
		w.b.Degraded(w.object, "%s failed; name another disk in its place ('esos array replace-disk %s OLD NEW'). If it was only unplugged, 'mdadm %s --remove DISK' has it taken in again%s", list(failed)+map[bool]string{true: " has", false: " have"}[len(failed) == 1], w.Name, w.Path(), left)
	}
	if len(s.absent) > 0 {
		// Who asked for a disk that is not there waits for it in vain.
		if _, same := w.seen.Before(w.object); same && w.before() && !w.changed() {
			w.b.Degraded(w.object, "%s missing%s", are(shorts(s.absent), len(s.absent)), left)
		} else {
			w.refuse("%s missing", are(shorts(s.absent), len(s.absent)))
		}
	}
	if vacant := s.vacant - len(s.returning) - len(s.newcomers) - len(s.idle); vacant > 0 && len(failed)+len(s.absent) == 0 {
		w.b.Degraded(w.object, "it lacks %s of its %d disks%s", strconv.Itoa(vacant), w.found.Disks, left)
	}
}

// changed says whether the document names other disks than the one in force.
func (w *work) changed() bool {
	v, ok := w.seen.Before(w.object)
	if !ok {
		return true
	}
	before := v.(config.Array)
	return slices.ContainsFunc(slices.Concat(w.Disks, w.Spares), func(p string) bool {
		return !slices.Contains(before.Disks, p) && !slices.Contains(before.Spares, p)
	})
}

// redundant counts the members that the array could lose one after the other
// and still work, in the worst order.
func (w *work) redundant() int { return Redundant(w.found) }

// Redundant says how many more disks an array can lose for certain, 0 or 1.
func Redundant(a mdadm.Array) int {
	for _, m := range a.Members {
		if m.Is("in_sync") && !a.Enough(m.Kernel) {
			return 0
		}
	}
	if a.Level == "0" {
		return 0
	}
	return 1
}

// tell tells what the array does by itself, and what its last check found.
func (w *work) tell() {
	f := w.found
	if f.State == "readonly" {
		w.b.Degraded(w.object, "it can only be read: 'mdadm --readwrite %s' lets it be written to again", w.Path())
	}
	if words, ok := map[string]string{"recover": "a disk is being filled", "resync": "it is being made consistent", "reshape": "it is being reshaped"}[f.Sync.Action]; ok {
		w.b.Degraded(w.object, "%s: %s", words, percent(f.Sync.Done))
	}
	if c, ok := w.seen.Storage.RAID.Checks[w.uuid]; ok && c.Mismatches > 0 && !c.Finished.IsZero() {
		did := "differ: 'esos array check " + w.Name + " --repair' corrects them"
		if c.Action == "repair" {
			did = "differed, and were corrected"
		}
		w.b.Note(w.object, "its last %s (%s) found %d sectors that %s", c.Action, c.Finished.Format("2006-01-02"), c.Mismatches, did)
	}
}

func percent(f float64) string { return fmt.Sprintf("%.0f %%", 100*f) }
