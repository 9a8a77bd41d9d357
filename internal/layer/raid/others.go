package raid

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// others leaves arrays alone that are not declared, and says so; those whose
// name is given for that are deleted.
func (l Layer) others(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	mine, names := map[string]bool{}, map[string]bool{}
	for _, a := range declared.Storage.Arrays {
		mine[UUID(declared, a)], names[a.Name] = true, true
	}
	for _, a := range seen.Storage.RAID.Arrays {
		if mine[a.UUID] {
			continue
		}
		object := Object(a.Name)
		if a.Name == "" || names[a.Name] || strings.ContainsAny(a.Name, "/, ") {
			object = Object(a.UUID)
		}
		names[a.Name] = true
		if slices.Contains(seen.Destroy, object) {
			l.delete(object, a, declared, seen, b)
			continue
		}
		var disks []string
		for _, m := range a.Members {
			disks = append(disks, friendly(seen, m.Kernel))
		}
		if user := l.user(a, declared, seen); user != "" {
			// It runs now, and nobody would start it after the next boot.
			tell := b.Degraded
			if _, before := seen.Before(object); before {
				tell = b.Problem // this change takes it out of the document
			}
			tell(object, "the document uses %s, which is the RAID array %q that it does not declare, and that is not started after a boot: declare it with uuid: %s", user, a.Name, a.UUID)
			continue
		}
		b.Note(object, "RAID %s %q on %s (UUID %s) is not declared, and left alone. To take it up with what it holds, declare it with uuid: %s; to give that up, name --destroy %s",
			a.Level, a.Name, list(disks), a.UUID, a.UUID, object)
	}
	l.left(declared, seen, b, mine)
}

// left tells of disks that say they are part of a declared array which runs
// without them.
func (Layer) left(declared *config.Document, seen *layer.Observed, b *plan.Builder, mine map[string]bool) {
	wanted := map[string]bool{}
	for _, p := range declared.Storage.Uses() {
		if d, ok := seen.Storage.Blocks.Find(p); ok {
			wanted[d.Name] = true
		}
	}
	for _, d := range seen.Storage.Blocks.Devices() { // in a settled order
		s, ok := seen.Storage.RAID.Left[d.Name]
		if !ok || wanted[d.Name] || !mine[s.UUID] {
			continue
		}
		object := config.DiskObject(d.Path)
		if len(d.Links) > 0 {
			object = config.DiskObject(d.Links[0])
		}
		b.Note(object, "it was a disk of array %s, which works without it; name --destroy %s to wipe it", s.Name, object)
	}
}

// user is the path by which the document uses an array that it does not
// declare; "" if it does not.
func (Layer) user(a mdadm.Array, declared *config.Document, seen *layer.Observed) string {
	paths := declared.Storage.Uses()
	for _, d := range declared.Devices {
		if d.Handler == config.BlockIO {
			paths = append(paths, d.Path)
		}
	}
	for _, p := range paths {
		if d, ok := seen.Storage.Blocks.Find(p); ok && a.Kernel != "" && d.Name == a.Kernel {
			return p
		}
	}
	return ""
}

// delete plans to give an array up, with all that it holds.
func (l Layer) delete(object string, a mdadm.Array, declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	if user := l.user(a, declared, seen); user != "" {
		b.Problem(object, "%s is still used by the document: it is not deleted", user)
		return
	}
	link := mdadm.Link(a.Name)
	standing := layer.Standing(seen.InForce, link)
	if own, ok := seen.Storage.Blocks.Named(a.Kernel); ok && len(standing) == 0 && len(own.Above)+len(own.Mounts) > 0 {
		b.Problem(object, "%s is in use by %s, which is not ESOS's: give that up first", own.Path, list(slices.Concat(own.Above, own.Mounts)))
		return
	}
	var needs []plan.ID
	var unnamed []string
	for _, above := range standing {
		if !strings.HasPrefix(above, "device/") && !strings.HasPrefix(above, "volume/") && !slices.Contains(seen.Destroy, above) {
			unnamed = append(unnamed, above)
		}
		needs = append(needs, plan.StepID(plan.Delete, above))
	}
	if own, ok := seen.Storage.Blocks.Named(a.Kernel); ok && len(own.Above)+len(own.Mounts) > 0 && len(unnamed) > 0 {
		b.Problem(object, "%s %s on it: name --destroy for that, too", list(unnamed), map[bool]string{true: "stands", false: "stand"}[len(unnamed) == 1])
		return
	}
	if own, ok := seen.Storage.Blocks.Named(a.Kernel); ok {
		if kept := seen.Keeps(declared, own); kept != "" && !slices.Contains(needs, plan.StepID(plan.Delete, kept)) {
			if !slices.Contains(seen.Destroy, kept) {
				b.Problem(object, "it holds what %s has: name --destroy %s for that, too", kept, kept)
				return
			}
			needs = append(needs, plan.StepID(plan.Delete, kept))
		}
	}
	var disks, members []string
	for _, m := range a.Members {
		disks = append(disks, friendly(seen, m.Kernel))
		members = append(members, m.Kernel)
	}
	cleared := map[string]bool{}
	step := plan.Step{
		Layer: l.Name(), Object: object, Action: plan.Delete, Phase: plan.Clear, Needs: needs,
		Sentence: fmt.Sprintf("Delete RAID %s array %s, and wipe %s", a.Level, a.Name, list(disks)),
		Destroys: fmt.Sprintf("%s is lost with all that it holds", sizeOf(a.Size)),
		Do: func(ctx context.Context, _ plan.Report) error {
			return l.destroy(ctx, a.UUID, members, cleared)
		},
		Undo: func(ctx context.Context) error { return l.restore(ctx, a, members, len(cleared) > 0) },
	}
	b.Add(step)
	for _, m := range members {
		b.Frees(m, plan.StepID(plan.Delete, object))
	}
}

// destroy stops an array and wipes its members.
func (l Layer) destroy(ctx context.Context, uuid string, members []string, cleared map[string]bool) error {
	a, there, err := mdadm.Find(ctx, l.Machine, uuid)
	if err != nil {
		return err
	}
	if there {
		for _, m := range a.Members {
			if !slices.Contains(members, m.Kernel) {
				return fmt.Errorf("it has got another member meanwhile (%s): plan again", m.Kernel)
			}
		}
		if err := mdadm.Stop(ctx, l.Machine, a.Kernel); err != nil {
			return err
		}
	}
	for _, m := range members {
		p := "/dev/" + m
		s, err := mdadm.Examine(ctx, l.Machine, p)
		switch {
		case errors.Is(err, mdadm.ErrNoSuperblock) && !cleared[m], err == nil && s.UUID != uuid:
			continue // a failed disk that cannot be read, or one that is another's by now
		case err != nil && !errors.Is(err, mdadm.ErrNoSuperblock):
			return err
		}
		cleared[m] = true
		if err := mdadm.Zero(ctx, l.Machine, p); err != nil {
			return fmt.Errorf("clear %s: %w", p, err)
		}
		if err := l.wipe(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// wipe takes the ends of a device, so that it is blank to whoever looks.
func (l Layer) wipe(ctx context.Context, p string) error {
	inv, err := block.Read(ctx, l.Machine)
	if err != nil {
		return err
	}
	d, ok := inv.Find(p)
	if !ok {
		return fmt.Errorf("wipe %s: it is not there any more", p)
	}
	return block.Wipe(ctx, l.Machine, d)
}

// restore starts an array again that was to be deleted, if nothing of it was
// wiped yet.
func (l Layer) restore(ctx context.Context, a mdadm.Array, members []string, cleared bool) error {
	if cleared {
		return errors.New("what it held is lost: its disks are being wiped")
	}
	if _, there, err := mdadm.Find(ctx, l.Machine, a.UUID); err != nil || there || a.Kernel == "" {
		return err
	}
	devices := make([]string, len(members))
	for i, m := range members {
		devices[i] = "/dev/" + m
	}
	return mdadm.Assemble(ctx, l.Machine, a.Name, a.UUID, devices)
}
