package scst

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
)

// deviceAttributes are where the words of devices' attributes are, for those
// that have any.
const deviceAttributes = "attributes"

// attributesOfDevice are those words.
type attributesOfDevice struct {
	Said  map[string]string `json:"said,omitempty"` // as they were put
	Words attribute.Words   `json:"words"`
}

// attributesAt are the attributes of an object: the files in its directory that
// can be read. own are those that ESOS sets itself, which are not told as
// others that there are.
func (e *Engine) attributesAt(ctx context.Context, at string, own attribute.Owned) attribute.Object {
	return attribute.Object{
		Names: func() ([]string, error) {
			all, err := e.k.list(at)
			if err != nil {
				return nil, err
			}
			var names []string
			for _, name := range all {
				if own.Problem(name) != "" || ownMany(name) {
					continue
				}
				if _, err := e.k.read(ctx, path.Join(at, name)); err == nil { // an object in it, or a request, cannot be
					names = append(names, name)
				} else if ctx.Err() != nil {
					return nil, err
				}
			}
			return names, nil
		},
		Read: func(name string) (string, error) { return e.k.read(ctx, path.Join(at, name)) },
		Write: func(name, value string) error {
			if value == "" {
				value = "\n" // a write of nothing is no request
			}
			return e.k.write(ctx, path.Join(at, name), value)
		},
		Keep: func() error { return nil },
	}
}

// inKernel is where a device is in the tree; a SCSI device has its address for
// a name there.
func (e *Engine) inKernel(name string) (string, error) {
	name, err := e.kernelName(name)
	return path.Join("devices", name), err
}

// putDeviceAttributes sets those of a device; fresh says that it is being made:
// words of one that is gone say nothing of it.
func (e *Engine) putDeviceAttributes(ctx context.Context, d config.Device, fresh bool) error {
	if fresh {
		if err := e.words.Remove(deviceAttributes, d.Name); err != nil {
			return err
		}
	}
	var w attributesOfDevice
	known, err := e.words.Get(deviceAttributes, d.Name, &w)
	if err != nil {
		return err
	}
	want := attribute.Bare(d.Attributes)
	if w.Words.Idle(want) && !known {
		return nil
	}
	at, err := e.inKernel(d.Name)
	if err != nil {
		return err
	}
	w.Said = want
	o := e.attributesAt(ctx, at, ownOfDevice(d.Handler))
	o.Keep = func() error { return e.words.Put(deviceAttributes, d.Name, w) }
	if err := o.Keep(); err != nil {
		return err
	}
	if err := w.Words.Put(o, &w.Said); err != nil {
		return err
	}
	if len(want) == 0 {
		return e.words.Remove(deviceAttributes, d.Name)
	}
	if w.Words.Forget(in(want)) {
		return o.Keep()
	}
	return nil
}

// in says of names whether they are attributes that are declared.
func in(declared map[string]string) func(string) bool {
	return func(name string) bool { _, ok := declared[name]; return ok }
}

// seeDeviceAttributes reads the attributes of a device that is ours.
func (e *Engine) seeDeviceAttributes(ctx context.Context, d *served) error {
	if d.Attributes = nil; !d.ours {
		return nil
	}
	var w attributesOfDevice
	if known, err := e.words.Get(deviceAttributes, d.Name, &w); err != nil || !known {
		return err
	}
	at, err := e.inKernel(d.Name)
	if err != nil {
		return err
	}
	if d.Attributes, err = w.Words.Observe(e.attributesAt(ctx, at, nil), w.Said); err != nil {
		return fmt.Errorf("read device %s of SCST: %w", d.Name, err)
	}
	return nil
}

// putTargetAttributes sets those of a target.
func (e *Engine) putTargetAttributes(ctx context.Context, p place, w *targetWords) error {
	o := e.attributesAt(ctx, p.path(), ownOfTarget(p.driver))
	o.Keep = func() error { return e.keep(*w) }
	if err := w.Attributes.Put(o, &w.Target.Attributes); err != nil {
		return err
	}
	if w.Attributes.Forget(in(w.Target.Attributes)) {
		return o.Keep()
	}
	return nil
}

// putGroupAttributes sets those of a host group, which is in the words.
func (e *Engine) putGroupAttributes(ctx context.Context, p place, w *targetWords, group string) error {
	g := w.group(group)
	words := w.GroupAttributes[group]
	if g == nil || words.Idle(g.Attributes) {
		return nil
	}
	o := e.attributesAt(ctx, p.group(group), nil)
	o.Keep = func() error {
		if w.GroupAttributes == nil {
			w.GroupAttributes = map[string]attribute.Words{}
		}
		if w.GroupAttributes[group] = words; words.Idle(nil) {
			delete(w.GroupAttributes, group)
		}
		return e.keep(*w)
	}
	if err := words.Put(o, &g.Attributes); err != nil {
		return err
	}
	if words.Forget(in(g.Attributes)) {
		return o.Keep()
	}
	return nil
}

// attributes reads those of a target.
func (o *observer) attributes(t *config.Target, p place, w *targetWords) (err error) {
	t.Attributes, err = w.Attributes.Observe(o.attributesAt(o.ctx, p.path(), nil), w.Target.Attributes)
	return err
}

// groupAttributes reads those of a host group.
func (o *observer) groupAttributes(p place, w *targetWords, group string) (map[string]string, error) {
	var said map[string]string
	if g := w.group(group); g != nil {
		said = g.Attributes
	}
	words := w.GroupAttributes[group]
	return words.Observe(o.attributesAt(o.ctx, p.group(group), nil), said)
}

// ownMany says whether a file is one of an attribute of ours that may be there
// several times.
func ownMany(file string) bool {
	return slices.ContainsFunc([]string{"IncomingUser", "OutgoingUser", allowedPortal}, func(name string) bool { return numbered(file, name) })
}

// attributeProblems says which attributes a document may not name.
func attributeProblems(attributes map[string]string, own attribute.Owned) problems {
	var p problems
	for _, why := range own.Problems(attributes) {
		p.add(true, "%s", why)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if !ownMany(name) {
			continue
		}
		by := "auth"
		if strings.HasPrefix(name, allowedPortal) {
			by = "portals"
		}
		p.add(true, "attribute %s is said by %s; write that instead", name, by)
	}
	return p
}
