package vdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// arriving plans for a store that a step of the storage below brings: what
// serves it waits for that step. It says whether the store is not there yet, so
// that nothing can be said of it now.
func (l Layer) arriving(d config.Device, store layer.Store, declared *config.Document, seen *layer.Observed, b *plan.Builder) bool {
	coming, ok := b.Coming(d.Path)
	if !ok || d.Handler.PassThrough() {
		return false
	}
	image := "image/" + d.Name
	for _, step := range append(servers(d.Name, declared), plan.StepID(plan.Change, image)) {
		b.Need(step, coming.Step)
	}
	if store.Exists {
		return false // it only grows
	}
	if d.Handler != config.FileIO {
		return true
	}
	was := l.declaredBefore(d, seen)
	if before, _ := seen.Before("device/" + d.Name); was && before.(config.Device).Size == d.Size {
		return true // its image is there when its file system is, or the device is not served
	}
	l.appear(d, was, coming.Step, b)
	return true
}

// unmounted says why a path on a declared file system is not to be looked at:
// the file system is not mounted, and what is found or made at its directory is
// not on it.
func unmounted(d config.Device, declared *config.Document, seen *layer.Observed) string {
	object := declared.Storage.Provider(d.Path)
	name, ok := strings.CutPrefix(object, "filesystem/")
	if !ok {
		return ""
	}
	where := config.FileSystem{Name: name}.Path()
	if _, mounted := seen.Storage.FileSystems.Mounted(where); mounted {
		return ""
	}
	return fmt.Sprintf("%s is not mounted at %s, and so %s cannot be had", object, where, d.Path)
}

// servers are the steps that begin to serve a device, or change that.
func servers(device string, declared *config.Document) []plan.ID {
	steps := []plan.ID{plan.StepID(plan.Create, "device/"+device), plan.StepID(plan.Change, "device/"+device)}
	for _, s := range declared.NVMe.Subsystems {
		for _, ns := range s.Namespaces {
			if ns.Device == device {
				object := config.NamespaceObject(s.NQN, ns.NSID)
				steps = append(steps, plan.StepID(plan.Create, object), plan.StepID(plan.Change, object))
			}
		}
	}
	return steps
}

// appear plans the image file of a device on a file system that is not mounted
// yet: whether it is there already is seen only then. One that was declared
// before is never made anew.
func (l Layer) appear(d config.Device, was bool, mount plan.ID, b *plan.Builder) {
	full, size, thick := l.full(d.Path), int64(d.Size), d.Provisioning == config.Thick
	kind := "thin"
	if thick {
		kind = "thick"
	}
	s := plan.Step{
		Layer: l.Name(), Object: "image/" + d.Name, Action: plan.Create, Needs: []plan.ID{mount},
		Sentence: fmt.Sprintf("Create image file %s of %s (%s), unless it is there", d.Path, d.Size.Human(), kind),
	}
	switch {
	case was:
		s.Action, s.Sentence = plan.Change, fmt.Sprintf("Grow image file %s to %s", d.Path, d.Size.Human())
	case size == 0:
		s.Sentence = fmt.Sprintf("Look for image file %s", d.Path)
	}
	made := false
	s.Do = func(ctx context.Context, report plan.Report) error {
		fi, err := l.Files.Stat(full)
		switch missing := errors.Is(err, fs.ErrNotExist); {
		case missing && was:
			return fmt.Errorf("its image file %s is missing; bring it back, or remove the device to give it up", d.Path)
		case missing && size == 0:
			return fmt.Errorf("%s does not exist; give device %s a size to have it made", d.Path, d.Name)
		case missing:
			err = l.Files.Create(ctx, full, size, thick, progress(report, 0, size))
			made = err == nil || made
			return err
		case err != nil:
			return err
		case size > 0 && fi.Size > size && !was:
			return fmt.Errorf("%s exists already and has %s, more than the %s asked for; leave the size out to serve it as it is, or give another path", d.Path, config.Size(fi.Size).Human(), d.Size.Human())
		}
		return l.Files.Grow(ctx, full, size, thick, progress(report, fi.Size, size))
	}
	s.Undo = func(context.Context) error {
		if !made {
			return nil // nothing is ever cut, and what was there is somebody's
		}
		return l.Files.Remove(full)
	}
	b.Add(s)
}
