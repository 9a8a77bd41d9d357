// Package raid is the layer of RAID arrays (md): it makes the arrays that are
// declared, starts them after a boot with the disks that are there, replaces
// disks and adds some, and deletes an array when its name is given for that.
package raid

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (host.Linux).
type Machine interface {
	mdadm.Machine
	block.Prober
	Real(path string) string
	Save(path string, data []byte, mode fs.FileMode) error
}

// Layer sets arrays up.
type Layer struct {
	Machine Machine
	DataDir string // when arrays were checked is kept below it
}

// Name is raid.
func (Layer) Name() string { return "raid" }

// Object names an array.
func Object(name string) string { return "array/" + name }

// UUID is by which a declared array is known.
func UUID(declared *config.Document, a config.Array) string {
	if a.UUID != "" {
		return strings.ToLower(a.UUID)
	}
	return config.DerivedUUID(declared.ID, Object(a.Name))
}

// Observe reads the arrays that run, and those that disks say they are part of.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	r := &seen.Storage.RAID
	if seen.Storage.Blocks == nil {
		return nil
	}
	var also []string
	for name, contents := range seen.Storage.Contents {
		if slices.ContainsFunc(contents, func(c block.Content) bool { return c.Type == "linux_raid_member" }) {
			also = append(also, name)
		}
	}
	inv := seen.Storage.Blocks.Without(func(d block.Device) bool { return layer.OnlyAPath(declared, d) })
	if r.State, r.Err = mdadm.Read(ctx, l.Machine, inv, also); r.Err != nil {
		return ctx.Err()
	}
	r.Checks, r.Err = l.Checks().Read()
	return ctx.Err()
}

// work is the planning of one array.
type work struct {
	config.Array
	l            Layer
	uuid, object string
	declared     *config.Document
	seen         *layer.Observed
	b            *plan.Builder
	found        mdadm.Array
	first        []plan.ID // what all other steps need: that it is started
	works        bool      // it serves, or will once it is started
}

// Plan brings arrays to what is declared.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	s := &seen.Storage
	err := s.Err
	if err == nil {
		err = s.RAID.Err
	}
	if err == nil && s.Blocks != nil {
		l.others(declared, seen, b)
	}
	planned := map[string]bool{}
	var visit func(a config.Array)
	visit = func(a config.Array) {
		if planned[a.Name] {
			return
		}
		planned[a.Name] = true
		for _, below := range declared.Storage.Arrays { // those that it stands on come first
			if slices.Contains(slices.Concat(a.Disks, a.Spares, []string{a.Journal}), below.Path()) {
				visit(below)
			}
		}
		switch {
		case err != nil:
			seen.Refuse(b, Object(a.Name), a, "the RAID arrays could not be looked at: %v", err)
		case s.Blocks != nil:
			w := &work{l: l, Array: a, uuid: UUID(declared, a), object: Object(a.Name), declared: declared, seen: seen, b: b}
			w.plan()
		}
	}
	for _, a := range declared.Storage.Arrays {
		visit(a)
	}
}

func (w *work) plan() {
	found, there := w.seen.Storage.RAID.Array(w.uuid)
	w.found = found
	switch {
	case !there:
		w.missing()
	case found.Running():
		w.running()
	default:
		w.stopped()
	}
}

// refuse says that what is declared cannot be had. An array that works, and
// was declared so before, goes on as it is.
func (w *work) refuse(format string, args ...any) {
	if before, ok := w.seen.Before(w.object); w.works && ok && len(config.Fields(before, w.Array)) == 0 {
		w.b.Degraded(w.object, format, args...)
		return
	}
	w.seen.Refuse(w.b, w.object, w.Array, format, args...)
}

// before says whether the document in force has the array, as the same one.
func (w *work) before() bool {
	v, ok := w.seen.Before(w.object)
	return ok && strings.EqualFold(v.(config.Array).UUID, w.UUID)
}

// path is how an array that is there, and does not run under its name, is told.
func (w *work) kernelPath() string { return "/dev/" + w.found.Kernel }

// friendly is how people call a device, by the kernel's name.
func friendly(seen *layer.Observed, kernel string) string {
	if d, ok := seen.Storage.Blocks.Named(kernel); ok {
		return d.Friendly()
	}
	return kernel
}

// short is how people call a device, by its path.
func short(p string) string { return strings.TrimPrefix(config.DiskObject(p), "disk/") }

func shorts(paths []string) string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = short(p)
	}
	return strings.Join(names, ", ")
}

// kernel is the kernel's name of what a path leads to; "" if to nothing.
func (w *work) kernel(p string) string {
	d, ok := w.seen.Storage.Blocks.Find(p)
	if !ok {
		return ""
	}
	return d.Name
}

// id makes the ID of a step about one disk of the array.
func (w *work) id(does, disk string) plan.ID {
	return plan.ID(does + " " + w.object + " " + disk)
}

// settle waits for udev, and for the link by which others find the array.
func (w *work) settle(ctx context.Context) error {
	if err := block.Settle(ctx, w.l.Machine); err != nil {
		return err
	}
	if w.l.Machine.Real(w.Path()) == "" {
		return fmt.Errorf("the array runs, but udev made no %s: see 'udevadm info' of it, and whether udev works", w.Path())
	}
	return nil
}

// now finds the array as it runs at this moment.
func (w *work) now(ctx context.Context) (mdadm.Array, error) {
	a, there, err := mdadm.Find(ctx, w.l.Machine, w.uuid)
	switch {
	case err != nil:
		return a, err
	case !there || !a.Running():
		return a, fmt.Errorf("array %s does not run", w.Name)
	}
	return a, nil
}

// blank refuses a device that holds anything. mdadm itself overwrites most of
// what it could find there without a word (util.c looks for ext2, reiserfs,
// RAID and partitions only, and only when an array is made).
func blank(ctx context.Context, m block.Prober, p string) error {
	contents, err := block.Contents(ctx, m, p)
	if err != nil {
		return err
	}
	for _, c := range contents {
		return fmt.Errorf("%s is not blank any more (%s): plan again", p, c)
	}
	return nil
}

// tune sets what the kernel does not keep, or what mdadm cannot say of one
// disk when an array is made.
func (w *work) tune(ctx context.Context) error {
	a, err := w.now(ctx)
	if err != nil {
		return err
	}
	for _, m := range a.Members {
		if on, known := w.writeMostly(m.Kernel); known && on != m.Is("write_mostly") {
			if err := mdadm.SetWriteMostly(w.l.Machine, a.Kernel, m.Kernel, on); err != nil {
				return err
			}
		}
	}
	if least, most := w.speeds(); w.Level != "0" && (least != a.SpeedMin || most != a.SpeedMax) {
		return mdadm.SetSpeed(w.l.Machine, a.Kernel, least, most)
	}
	return nil
}

// speeds are the declared limits in bytes a second, in the kernel's KiB.
func (w *work) speeds() (least, most int64) {
	return int64(w.SpeedMin) &^ 1023, int64(w.SpeedMax) &^ 1023
}

// writeMostly says whether a disk is to be read from last, and whether it is a
// disk of the document at all.
func (w *work) writeMostly(kernel string) (on, known bool) {
	for _, p := range w.Disks {
		if path.Base(w.l.Machine.Real(p)) == kernel {
			return slices.Contains(w.WriteMostly, p), true
		}
	}
	return false, false
}
