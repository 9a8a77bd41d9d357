package appliance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/plan"
)

// AdoptError says why what somebody changed by hand cannot be written into the
// document.
type AdoptError struct{ Object, Message string }

// Error says it.
func (e *AdoptError) Error() string {
	return fmt.Sprintf("adopt %s: %s; 'esos drift revert %s' undoes it", e.Object, e.Message, e.Object)
}

// planAdoption plans to write what is observed of some objects (of all that
// drifted, if none is named) into the document. Its plan has no steps.
func (a *Appliance) planAdoption(ctx context.Context, c Change, before *config.Document, rev Revision) (*config.Document, *look, error) {
	k, err := a.plan(ctx, before, before, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := known(k.plan.Drift, c.Objects); err != nil {
		return nil, nil, err
	}
	chosen := func(object string) bool { return len(c.Objects) == 0 || slices.Contains(c.Objects, object) }
	next := before.Clone()
	for _, d := range k.plan.Drift {
		if !chosen(d.Object) {
			continue
		}
		if err := adoptObject(next, k.seen.Engine, d); err != nil {
			return nil, nil, &AdoptError{Object: d.Object, Message: err.Error()}
		}
	}
	c.Document, c.Edit = next, nil
	if next, err = a.next(c, before, rev); err != nil {
		return nil, nil, fmt.Errorf("what would be written into the document is not valid: %w", err)
	}
	// The proof: nothing of what was adopted is otherwise than it is now.
	again, err := a.plan(ctx, next, next, nil)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range again.plan.Drift {
		if chosen(d.Object) {
			return nil, nil, &AdoptError{Object: d.Object, Message: "the document has no words for what it is; it would still differ: " + d.String()}
		}
	}
	again.plan.Steps, again.plan.Notes, again.plan.Adopts = nil, nil, config.Diff(before, next)
	markLeft(again.plan)
	return next, again, nil
}

// adoptObject writes one object as it is into a document.
func adoptObject(doc *config.Document, s engine.State, d plan.Drift) error {
	for _, f := range d.Fields {
		if strings.Contains(f.New, engine.NotEverywhere) || strings.Contains(f.Field, engine.NotEverywhere) {
			return errors.New("it is not the same for all initiators or portals, or it is something that documents have no word for (" + f.Field + ")")
		}
	}
	kind, name, _ := strings.Cut(d.Object, "/")
	switch kind {
	case "discovery":
		doc.ISCSI.Discovery = s.ISCSI.Discovery
		return nil
	case "device":
		return adoptIn(&doc.Devices, s.Devices, d, func(v config.Device) bool { return v.Name == name })
	case "portal":
		return adoptIn(&doc.ISCSI.Portals, s.ISCSI.Portals, d, func(v config.Portal) bool { return v.Name == name })
	case "device-group":
		return adoptIn(&doc.DeviceGroups, s.DeviceGroups, d, func(v config.DeviceGroup) bool { return v.Name == name })
	case "target":
		return adoptIn(&doc.Targets, s.Targets, d, func(v config.Target) bool { return v.Name == name })
	case "group":
		return eachGroup(doc, s, func(target string, have, is *[]config.Group) error {
			if !strings.HasPrefix(name, target+"/") {
				return nil
			}
			return adoptIn(have, *is, d, func(v config.Group) bool { return name == target+"/"+v.Name })
		})
	case "lun":
		return eachMap(doc, s, func(target, group string, have, is *[]config.LUN) error {
			same := func(v config.LUN) bool { return d.Object == config.LUNObject(target, group, v.LUN) }
			if !slices.ContainsFunc(*have, same) && !slices.ContainsFunc(*is, same) {
				return nil
			}
			return adoptIn(have, *is, d, same)
		})
	}
	return fmt.Errorf("only what is served can be adopted")
}

// adoptIn adds, changes or removes one item of a list, as it is observed.
func adoptIn[T any](have *[]T, is []T, d plan.Drift, same func(T) bool) error {
	at := slices.IndexFunc(*have, same)
	from := slices.IndexFunc(is, same)
	switch {
	case d.What == plan.Missing:
		*have = slices.DeleteFunc(*have, same)
	case from < 0:
		return errors.New("it is gone meanwhile")
	case at < 0:
		*have = append(*have, is[from])
	default:
		// Only what differs: all else stays in the words of the document.
		old, now := reflect.ValueOf(&(*have)[at]).Elem(), reflect.ValueOf(is[from])
		for _, f := range d.Fields {
			key, _, _ := strings.Cut(f.Field, ".")
			key, _, _ = strings.Cut(key, "[")
			i := config.FieldIndex(old.Type(), key)
			if i < 0 {
				return fmt.Errorf("the document has no setting %q", key)
			}
			old.Field(i).Set(now.Field(i))
		}
	}
	return nil
}

// eachGroup visits the groups of the targets that both have.
func eachGroup(doc *config.Document, s engine.State, visit func(target string, have, is *[]config.Group) error) error {
	for i := range doc.Targets {
		for j := range s.Targets {
			if t := &doc.Targets[i]; t.Name == s.Targets[j].Name {
				if err := visit(t.Name, &t.Groups, &s.Targets[j].Groups); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// eachMap visits the LUN maps of the targets that both have.
func eachMap(doc *config.Document, s engine.State, visit func(target, group string, have, is *[]config.LUN) error) error {
	for i := range doc.Targets {
		for j := range s.Targets {
			if doc.Targets[i].Name != s.Targets[j].Name {
				continue
			}
			if err := visit(doc.Targets[i].Name, "", &doc.Targets[i].LUNs, &s.Targets[j].LUNs); err != nil {
				return err
			}
		}
	}
	return eachGroup(doc, s, func(target string, have, is *[]config.Group) error {
		for i := range *have {
			g := &(*have)[i]
			var none []config.LUN
			luns := &none
			for j := range *is {
				if (*is)[j].Name == g.Name {
					luns = &(*is)[j].LUNs
				}
			}
			if err := visit(target, g.Name, &g.LUNs, luns); err != nil {
				return err
			}
		}
		return nil
	})
}
