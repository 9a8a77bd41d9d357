package layer

import (
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Standing lists the objects of a document that stand on a block device, over
// however many parts, those right on it first.
func Standing(d *config.Document, path string) []string {
	if d == nil {
		return nil
	}
	var found []string
	var on func(p string)
	add := func(object string, paths ...string) {
		if slices.Contains(found, object) {
			return
		}
		found = append(found, object)
		for _, p := range paths {
			on(p)
		}
	}
	on = func(p string) {
		for _, a := range d.Storage.Arrays {
			if slices.Contains(a.Disks, p) || slices.Contains(a.Spares, p) || a.Journal == p {
				add("array/"+a.Name, a.Path())
			}
		}
		for _, e := range d.Storage.Encrypted {
			if e.Device == p {
				add("encrypted/"+e.Name, e.Path())
			}
		}
		for _, g := range d.Storage.VolumeGroups {
			if !slices.Contains(g.Devices, p) {
				continue
			}
			add("volume-group/" + g.Name)
			for _, v := range g.Volumes {
				add(config.VolumeObject(g.Name, v.Name), v.Path(g.Name))
			}
		}
		for _, f := range d.Storage.FileSystems {
			if f.Device == p {
				add("filesystem/"+f.Name, f.Path())
			}
		}
		for _, v := range d.Devices {
			if v.Path == p || strings.HasPrefix(v.Path, p+"/") {
				add("device/" + v.Name)
			}
		}
	}
	on(path)
	return found
}
