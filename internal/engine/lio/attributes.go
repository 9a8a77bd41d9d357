package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

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

// attributesIn are the attributes in some directories of an object, the first
// of which has precedence.
func (e *Engine) attributesIn(at string, dirs ...string) attribute.Object {
	file := func(name string) (string, error) {
		for i, dir := range dirs {
			p := path.Join(at, dir, name)
			if i == len(dirs)-1 {
				return p, nil
			}
			if _, err := e.k.ReadFile(p); !errors.Is(err, fs.ErrNotExist) {
				return p, nil
			}
		}
		return "", fs.ErrNotExist
	}
	return attribute.Object{
		Names: func() ([]string, error) {
			var names []string
			for _, dir := range dirs {
				have, err := e.k.list(path.Join(at, dir))
				if err != nil {
					return nil, err
				}
				names = append(names, have...)
			}
			slices.Sort(names)
			return slices.Compact(names), nil
		},
		Read: func(name string) (string, error) {
			p, err := file(name)
			if err != nil {
				return "", err
			}
			return e.k.read(p)
		},
		Write: func(name, value string) error {
			p, err := file(name)
			if err != nil {
				return err
			}
			if value == "" {
				value = "\n" // a write of nothing is no request
			}
			return e.k.WriteFile(p, value)
		},
		Keep: func() error { return nil },
	}
}

// beginAttributes sets those of a device that is being made. Words of one that
// is gone say nothing of this one.
func (e *Engine) beginAttributes(at string, d config.Device) error {
	if err := e.words.Remove(deviceAttributes, d.Name); err != nil {
		return err
	}
	return e.putDeviceAttributes(at, d)
}

func (e *Engine) putDeviceAttributes(at string, d config.Device) error {
	var w attributesOfDevice
	known, err := e.words.Get(deviceAttributes, d.Name, &w)
	if err != nil {
		return err
	}
	want := attribute.Bare(d.Attributes)
	if w.Words.Idle(want) && !known {
		return nil
	}
	if errs := deviceAttributeProblems(d); len(errs) > 0 {
		return errors.Join(errs...)
	}
	w.Said = want
	keep := func() error { return e.words.Put(deviceAttributes, d.Name, w) }
	if err := keep(); err != nil {
		return err
	}
	o := e.attributesIn(at, "attrib")
	o.Keep = keep
	if err := w.Words.Put(o, &w.Said); err != nil {
		return err
	}
	if len(want) == 0 {
		return e.words.Remove(deviceAttributes, d.Name)
	}
	if w.Words.Forget(func(name string) bool { _, ok := want[name]; return ok }) {
		return keep()
	}
	return nil
}

// seeDeviceAttributes reads the attributes of a device that is ours.
func (e *Engine) seeDeviceAttributes(d *served) error {
	if !d.ours {
		return nil
	}
	var w attributesOfDevice
	if known, err := e.words.Get(deviceAttributes, d.Name, &w); err != nil || !known {
		return err
	}
	var err error
	if d.Attributes, err = w.Words.Observe(e.attributesIn(d.at, "attrib"), w.Said); err != nil {
		return fmt.Errorf("read device %s of LIO: %w", d.Name, err)
	}
	return nil
}

// putTargetAttributes sets those of a portal group, and those of its ACLs.
func (e *Engine) putTargetAttributes(w *targetWords, tpg string) error {
	o := e.attributesIn(tpg, "attrib", "param")
	o.Keep = func() error { return e.words.putTarget(*w) }
	o.Began = func(name string) (string, bool) {
		for _, dir := range []string{"attrib/", "param/"} {
			if v, ok := w.Was[dir+name]; ok {
				return v, true
			}
		}
		return "", false
	}
	if err := w.Attributes.Put(o, &w.Target.Attributes); err != nil {
		return err
	}
	return e.putACLAttributes(w, tpg)
}

// putACLAttributes sets those of the ACLs of a portal group, each as its group
// says.
func (e *Engine) putACLAttributes(w *targetWords, tpg string) error {
	if !w.aclAttributes() {
		return nil
	}
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return err
	}
	for _, initiator := range acls {
		group, err := e.groupOf(tpg, initiator)
		if err != nil {
			return err
		}
		said := new(map[string]string)
		if g := w.group(group); g != nil {
			said = &g.Attributes
		}
		o := e.attributesIn(path.Join(tpg, "acls", initiator), "attrib")
		o.Keep = func() error { return e.words.putTarget(*w) }
		if err := w.ACLAttributes.Put(o, said); err != nil {
			return fmt.Errorf("initiator %s: %w", initiator, err)
		}
	}
	return nil
}

// aclAttributes says whether ACLs have attributes that were put, or were once.
func (w *targetWords) aclAttributes() bool {
	return len(w.ACLAttributes.Was) > 0 ||
		slices.ContainsFunc(w.Target.Groups, func(g config.Group) bool { return len(g.Attributes) > 0 })
}

// forgetAttributes drops from the words what is as the kernel began with, and
// wanted otherwise no more.
func (w *targetWords) forgetAttributes() bool {
	own := w.Attributes.Forget(func(name string) bool { _, ok := w.Target.Attributes[name]; return ok })
	acls := w.ACLAttributes.Forget(func(name string) bool {
		return slices.ContainsFunc(w.Target.Groups, func(g config.Group) bool { _, ok := g.Attributes[name]; return ok })
	})
	return own || acls
}

// forgetAttributes does so once all portal groups are as they should be.
func (e *Engine) forgetAttributes(w *targetWords) error {
	if !w.forgetAttributes() {
		return nil
	}
	return e.words.putTarget(*w)
}

// attributes tells those of a target, and puts those of its ACLs into the views.
func (o *observer) attributes(t *config.Target, w *targetWords, views []view) error {
	if w.Attributes.Idle(t.Attributes) && !w.aclAttributes() {
		return nil
	}
	each := make([]map[string]string, len(views))
	for i, v := range views {
		tpg := w.place().tpg(v.tag)
		var err error
		if each[i], err = w.Attributes.Observe(o.attributesIn(tpg, "attrib", "param"), w.Target.Attributes); err != nil {
			return err
		}
		if !w.aclAttributes() {
			continue
		}
		views[i].attributes = map[string]map[string]string{}
		for _, initiator := range slices.Sorted(maps.Keys(v.acls)) {
			var said map[string]string
			if g := w.group(v.acls[initiator]); g != nil {
				said = g.Attributes
			}
			at := o.attributesIn(path.Join(tpg, "acls", initiator), "attrib")
			if views[i].attributes[initiator], err = w.ACLAttributes.Observe(at, said); err != nil {
				return fmt.Errorf("initiator %s: %w", initiator, err)
			}
		}
	}
	t.Attributes = attribute.Merge(each)
	return nil
}

// groupAttributes are those of a group as its ACLs have them; those of one
// without ACLs are as its words say.
func groupAttributes(words config.Group, views []view) map[string]string {
	var each []map[string]string
	acls := 0
	for _, v := range views {
		for initiator, group := range v.acls {
			if group != words.Name {
				continue
			}
			acls++
			if v.attributes != nil {
				each = append(each, v.attributes[initiator])
			}
		}
	}
	if acls == 0 {
		return words.Attributes
	}
	return attribute.Merge(each)
}
