// Package store looks after what holds the bytes of the devices that an engine
// serves: where it is, that an image file is as long as asked, and that no file
// is served twice.
package store

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
)

// Stores are those of an engine's devices.
type Stores struct {
	Files Files
	// Dir is what relative paths of devices are below of.
	Dir string

	// served are devices by the file that they serve: a hint, looked up before
	// it is believed. It is nil before anybody looked.
	served map[host.FileID]string
}

// Files looks at image files and block devices (host.Files).
type Files interface {
	Stat(path string) (host.FileInfo, error)
	Grow(ctx context.Context, path string, size int64, allocate bool, progress func(done int64)) error
}

// Resolve makes a device's path absolute.
func (s *Stores) Resolve(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.Dir, p)
}

// Fit looks at what holds the bytes of d, and makes an image file as long as d
// wants it. A missing one is refused: it is lost rather than new.
func (s *Stores) Fit(ctx context.Context, d config.Device) (host.FileInfo, error) {
	p := s.Resolve(d.Path)
	if d.Handler == config.NullIO || d.Handler == config.Memory || d.Handler == config.CDROM && p == "" {
		return host.FileInfo{}, nil
	}
	fi, err := s.Files.Stat(p)
	switch {
	case err != nil:
		return fi, err
	case d.Handler == config.FileIO && fi.Block:
		return fi, fmt.Errorf("%s is a block device (handler vdisk_blockio serves those)", p)
	case d.Handler == config.BlockIO && !fi.Block:
		return fi, fmt.Errorf("%s is not a block device (handler vdisk_fileio serves files)", p)
	case d.Handler == config.FileIO && fi.Size < int64(d.Size):
		if err := s.Files.Grow(ctx, p, int64(d.Size), d.Provisioning == config.Thick, nil); err != nil {
			return fi, err
		}
		fi.Size = int64(d.Size)
	}
	return fi, nil
}

// Devices takes note of all devices, which were just read, in place of those
// that were known.
func (s *Stores) Devices(all []config.Device) {
	s.served = map[host.FileID]string{}
	for _, d := range all {
		if d.Handler != config.FileIO {
			continue
		}
		if fi, err := s.Files.Stat(s.Resolve(d.Path)); err == nil {
			s.Made(d, fi)
		}
	}
}

// Made takes note of a device and its file. Block devices are claimed by the
// kernel itself, and media are only read.
func (s *Stores) Made(d config.Device, fi host.FileInfo) {
	if d.Handler == config.FileIO && s.served != nil {
		s.served[fi.ID] = d.Name
	}
}

// Gone takes note that a device is no more.
func (s *Stores) Gone(name string) {
	for id, n := range s.served {
		if n == name {
			delete(s.served, id)
		}
	}
}

// RefuseTwice refuses a file that another device serves: the kernel would not
// notice. Before anybody looked at all devices, read does; has says whether there
// still is one of a name.
func (s *Stores) RefuseTwice(d config.Device, fi host.FileInfo, read func() error, has func(name string) (bool, error)) error {
	if d.Handler != config.FileIO {
		return nil
	}
	if s.served == nil {
		if err := read(); err != nil {
			return err
		}
	}
	other, ok := s.served[fi.ID]
	if !ok || other == d.Name {
		return nil
	}
	there, err := has(other)
	if err == nil && there {
		return fmt.Errorf("%s is already served as device %s; two devices on one store destroy its data", fi.Path, other)
	}
	return err
}
