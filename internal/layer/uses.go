package layer

import "github.com/esos-project/esos/internal/config"

// Use is an object of a document that has a block device.
type Use struct{ Object, Path string }

// Uses are the objects of a document that use block devices, each once for
// each path.
func Uses(doc *config.Document) []Use {
	var uses []Use
	add := func(object string, paths ...string) {
		for _, p := range paths {
			if p != "" {
				uses = append(uses, Use{object, p})
			}
		}
	}
	s := doc.Storage
	for _, a := range s.Arrays {
		add("array/"+a.Name, a.Disks...)
		add("array/"+a.Name, a.Spares...)
		add("array/"+a.Name, a.Journal)
	}
	for _, e := range s.Encrypted {
		add("encrypted/"+e.Name, e.Device)
	}
	for _, g := range s.VolumeGroups {
		add("volume-group/"+g.Name, g.Devices...)
	}
	for _, f := range s.FileSystems {
		add("filesystem/"+f.Name, f.Device)
	}
	for _, d := range doc.Devices { // with vdisk_fileio, too, it can be a block device's
		add("device/"+d.Name, d.Path)
	}
	return uses
}
