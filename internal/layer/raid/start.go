package raid

import (
	"context"
	"errors"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/plan"
)

// stopped plans to start an array that is on disks, and does not run: after a
// boot, say.
func (w *work) stopped() {
	if why := w.unstartable(); why != "" {
		w.refuse("it cannot be started: %s", why)
		return
	}
	w.works = true
	w.start("Start")
	w.members()
	w.tell()
}

// unstartable says what an array lacks to be started.
func (w *work) unstartable() string {
	journal := false
	for _, m := range w.found.Members {
		journal = journal || m.Is("journal")
	}
	var gone []string
	for _, p := range w.Disks {
		if w.kernel(p) == "" {
			gone = append(gone, p)
		}
	}
	missing := ""
	if len(gone) > 0 {
		missing = "; " + are(shorts(gone), len(gone)) + " missing"
	}
	switch {
	case !w.found.Enough(""):
		return fmt.Sprintf("of the %d disks of RAID %s, %d are there and up to date%s. It is started when enough of them are back", w.found.Disks, w.found.Level, w.found.Disks-w.found.Degraded, missing)
	case w.found.Policy == "journal" && !journal:
		return "its journal is missing, and may hold what the disks do not have yet. Plug it in"
	}
	return ""
}

// start plans to start the array with what is there, under its name.
func (w *work) start(verb string) {
	var devices []string
	for _, m := range w.found.Members {
		if !m.Is(mdadm.Stale) && !m.Is("faulty") {
			devices = append(devices, "/dev/"+m.Kernel)
		}
	}
	with := ""
	if w.found.Degraded > 0 {
		with = fmt.Sprintf(" with %d of its %d disks", w.found.Disks-w.found.Degraded, w.found.Disks)
	}
	if !w.before() && w.UUID != "" {
		w.b.Note(w.object, "it exists already (%s); it is taken up with what it holds", sizeOf(w.found.Size))
	}
	step := plan.Step{
		Layer: w.l.Name(), Object: w.object, Action: plan.Create,
		Sentence: fmt.Sprintf("%s RAID %s array %s%s", verb, w.found.Level, w.Name, with),
		Do: func(ctx context.Context, _ plan.Report) error {
			a, there, err := mdadm.Find(ctx, w.l.Machine, w.uuid)
			if err != nil {
				return err
			}
			if there && (!a.Running() || w.l.Machine.Real(w.Path()) != "/dev/"+a.Kernel) {
				// Gathered by somebody and not started, or under another name.
				if err := mdadm.Stop(ctx, w.l.Machine, a.Kernel); err != nil {
					return err
				}
				there = false
			}
			if !there {
				if err := w.assemble(ctx, devices); err != nil {
					return err
				}
			}
			if err := w.settle(ctx); err != nil {
				return err
			}
			return w.tune(ctx)
		},
		Undo: func(ctx context.Context) error { return w.unstart(ctx, devices) },
	}
	w.b.Add(step)
	w.first = []plan.ID{plan.StepID(plan.Create, w.object)}
	w.b.Comes(w.Path(), plan.Coming{Step: w.first[0], Size: w.found.Size})
}

// unstart stops the array, or has it run under the name again that it had.
func (w *work) unstart(ctx context.Context, devices []string) error {
	a, there, err := mdadm.Find(ctx, w.l.Machine, w.uuid)
	if err != nil {
		return err
	}
	if there && w.found.Running() && w.l.Machine.Real(w.Path()) != "/dev/"+a.Kernel {
		return nil // it never stopped
	}
	if there {
		if err := mdadm.Stop(ctx, w.l.Machine, a.Kernel); err != nil {
			return err
		}
	}
	if w.found.Running() {
		return mdadm.Assemble(ctx, w.l.Machine, w.found.Name, w.uuid, devices)
	}
	return nil
}

// assemble starts the array. One that the kernel gathered and could not start
// is let go of again.
func (w *work) assemble(ctx context.Context, devices []string) error {
	err := mdadm.Assemble(ctx, w.l.Machine, w.Name, w.uuid, devices)
	if err == nil {
		return nil
	}
	if a, there, look := mdadm.Find(ctx, w.l.Machine, w.uuid); look == nil && there && !a.Running() {
		err = errors.Join(err, mdadm.Stop(ctx, w.l.Machine, a.Kernel))
	}
	return fmt.Errorf("%w. If it lacked disks when the machine stopped in the middle of writes, some of its data may be wrong, and the kernel starts it only by hand: "+
		"'mdadm --assemble --run --force %s' (mdadm(8))", err, w.Path())
}

// running plans what an array that runs needs.
func (w *work) running() {
	if !w.found.Enough("") || w.found.State == mdadm.Broken {
		w.b.Block(w.object, "it has failed: of the %d disks of RAID %s, %d work. What it holds cannot be had; stop what uses it, see what the disks say (mdadm --examine), and start it again",
			w.found.Disks, w.found.Level, w.found.Disks-w.found.Degraded)
		return
	}
	if d, ok := w.seen.Storage.Blocks.Find(w.Path()); !ok || d.Name != w.found.Kernel {
		own, known := w.seen.Storage.Blocks.Named(w.found.Kernel)
		if ok {
			w.refuse("%s is another array (%s); give it up, or take another name", w.Path(), d.Name)
			return
		}
		if known && len(own.Above)+len(own.Mounts) > 0 {
			w.refuse("it runs as %s, not as %s, and is in use: stop what uses it, or boot again", w.kernelPath(), w.Path())
			return
		}
		w.start("Start again, under its name,")
	} else if !w.before() && w.UUID != "" {
		w.b.Note(w.object, "it exists already (%s); it is taken up with what it holds", config.Size(w.found.Size).Human())
	}
	w.works = true
	w.members()
	w.settings()
	w.tell()
}
