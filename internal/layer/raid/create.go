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
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

// missing plans an array that no disk knows of.
func (w *work) missing() {
	switch {
	case w.before():
		// Its disks may be late, or pulled: an empty array in its place would be
		// served as the data.
		w.b.Block(w.object, "%s", w.lost())
	case w.UUID != "":
		w.refuse("no disk says that it is part of an array with the UUID %s; plug its disks in, or leave uuid out to have a new array made", w.uuid)
	default:
		w.create()
	}
}

// lost says why an array that was declared before is not there.
func (w *work) lost() string {
	var gone []string
	for _, p := range w.Disks {
		if w.kernel(p) == "" {
			gone = append(gone, p)
		}
	}
	if len(gone) == 0 {
		return "its disks are there, but none of them says that it is part of it: they were wiped, or are others. It is not made anew by itself; " +
			"to give up what it held, remove it from the document, apply that, and declare it again"
	}
	return fmt.Sprintf("it is not there: %s missing. Plug the disks in; to give up what it held, remove it from the document", are(shorts(gone), len(gone)))
}

func are(names string, n int) string {
	if n == 1 {
		return names + " is"
	}
	return names + " are"
}

// claim asks for a device that is to be part of the array, and plans to wipe
// it. Without ok it cannot be had, and that is told.
func (w *work) claim(p string) (c layer.Claim, needs []plan.ID, ok bool) {
	c = w.seen.Claim(w.declared, w.b, p)
	switch {
	case c.Missing != "":
		return c, nil, false
	case c.Refused != "":
		w.refuse("%s", c.Refused+w.takeUp(c.Device))
		return c, nil, false
	}
	if foreign := w.takeUp(c.Device); foreign != "" && len(c.Needs) == 0 && !slices.Contains(w.seen.Destroy, c.Object) {
		w.refuse("%s%s; or name --destroy %s to have it wiped", c.Loses, foreign, c.Object)
		return c, nil, false
	}
	return c, disk.Wipe(w.l.Machine, c, w.b), true
}

// takeUp says how to take up the array that a device is part of; "" if it is
// of none.
func (w *work) takeUp(d block.Device) string {
	for _, a := range w.seen.Storage.RAID.Arrays {
		if _, ok := a.Member(d.Name); ok && a.UUID != w.uuid {
			return fmt.Sprintf(". It is part of the RAID %s array %q: to take that up with what it holds, declare it with uuid: %s", a.Level, a.Name, a.UUID)
		}
	}
	return ""
}

// create plans a new array.
func (w *work) create() {
	var needs []plan.ID
	var sizes []int64
	all := true
	for _, p := range slices.Concat(w.Disks, w.Spares, journals(w.Journal)) {
		c, more, ok := w.claim(p)
		if c.Missing != "" {
			w.refuse("%s; an array is made when all of its disks are there", c.Missing)
		}
		all = all && ok
		needs = append(needs, more...)
		if slices.Contains(w.Disks, p) {
			sizes = append(sizes, c.Size)
		}
	}
	if !all {
		return
	}
	if d, taken := w.seen.Storage.Blocks.Find(w.Path()); taken {
		w.refuse("%s is another array (%s) already; give it up, or take another name", w.Path(), d.Name)
		return
	}
	size := w.capacity(sizes)
	began := false
	w.b.Add(plan.Step{
		Layer: w.l.Name(), Object: w.object, Action: plan.Create, Needs: needs,
		Sentence: fmt.Sprintf("Create RAID %s array %s of %s%s", w.Level, w.Name, shorts(w.Disks), w.extras()),
		Do: func(ctx context.Context, _ plan.Report) error {
			return w.make(ctx, &began)
		},
		Undo: func(ctx context.Context) error {
			if !began { // what is there was not made by this step
				return nil
			}
			return w.unmake(ctx)
		},
	})
	w.b.Comes(w.Path(), plan.Coming{Step: plan.StepID(plan.Create, w.object), Size: size})
}

func journals(p string) []string {
	if p == "" {
		return nil
	}
	return []string{p}
}

func (w *work) extras() string {
	text := ""
	if len(w.Spares) > 0 {
		text += ", with the spare " + shorts(w.Spares)
	}
	if w.Journal != "" {
		text += ", with the journal " + short(w.Journal)
	}
	return text
}

// capacity is what the array will hold at least: mdadm keeps up to a
// thousandth of a disk for itself, and what is left over of a chunk.
func (w *work) capacity(sizes []int64) int64 {
	each := slices.Min(sizes)
	if each == 0 {
		return 0
	}
	chunk := int64(w.Chunk)
	if chunk == 0 {
		chunk = 512 << 10
	}
	usable := func(n int64) int64 {
		n -= n/1000 + 4<<20
		return max(0, n-n%chunk)
	}
	n := int64(len(sizes))
	switch w.Level {
	case "0": // of disks of different sizes it uses all
		sum := int64(0)
		for _, s := range sizes {
			sum += usable(s)
		}
		return sum
	case "1":
		return usable(each)
	case "4", "5":
		return usable(each) * (n - 1)
	case "6":
		return usable(each) * (n - 2)
	}
	copies := int64(2)
	if len(w.Layout) == 2 {
		copies = int64(w.Layout[1] - '0')
	}
	return usable(each) * n / max(1, copies)
}

// bitmap says whether the array has a write-intent bitmap.
func (w *work) bitmap() bool { return w.Bitmap != "none" && w.Journal == "" && w.Level != "0" }

// make makes the array.
func (w *work) make(ctx context.Context, began *bool) error {
	a, there, err := mdadm.Find(ctx, w.l.Machine, w.uuid)
	if err != nil {
		return err
	}
	if !there || !a.Running() {
		for _, p := range slices.Concat(w.Disks, w.Spares, journals(w.Journal)) {
			if err := blank(ctx, w.l.Machine, p); err != nil {
				return err
			}
		}
		*began = true
		n := mdadm.New{Name: w.Name, UUID: w.uuid, Level: w.Level, Disks: w.Disks, Spares: w.Spares, Journal: w.Journal,
			Chunk: int64(w.Chunk), Layout: w.Layout, Bitmap: w.bitmap()}
		if err := mdadm.Create(ctx, w.l.Machine, n); err != nil {
			return err
		}
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	if *began {
		// What shows through from an older array on the same disks is no data:
		// who makes something on this one would stumble over it.
		if a, err = w.now(ctx); err != nil {
			return err
		}
		if err := block.WipeAt(ctx, w.l.Machine, "/dev/"+a.Kernel); err != nil {
			return err
		}
	}
	return w.tune(ctx)
}

// unmake takes away what make made, and nothing else.
func (w *work) unmake(ctx context.Context) error {
	a, there, err := mdadm.Find(ctx, w.l.Machine, w.uuid)
	if err != nil {
		return err
	}
	if there {
		if err := mdadm.Stop(ctx, w.l.Machine, a.Kernel); err != nil {
			return err
		}
	}
	var errs []error
	for _, p := range slices.Concat(w.Disks, w.Spares, journals(w.Journal)) {
		errs = append(errs, clear(ctx, w.l.Machine, w.uuid, p))
	}
	return errors.Join(errs...)
}

// clear takes a device out of an array that does not run, for good. One that
// is of another array, or of none, is left.
func clear(ctx context.Context, m Machine, uuid, p string) error {
	s, err := mdadm.Examine(ctx, m, p)
	switch {
	case errors.Is(err, mdadm.ErrNoSuperblock):
		return nil
	case err != nil:
		return err
	case s.UUID != uuid:
		return nil
	}
	if err := mdadm.Zero(ctx, m, p); err != nil {
		return fmt.Errorf("clear %s: %w", p, err)
	}
	// The bitmap stays behind the superblock, and would count as data.
	return block.WipeAt(ctx, m, p)
}

// sizeOf puts a size into words, if it is known.
func sizeOf(n int64) string {
	if n == 0 {
		return "an unknown amount"
	}
	return config.Size(n).Human()
}

func list(names []string) string { return strings.Join(names, ", ") }
