// Package snapshot takes snapshots of devices, of several at one moment, lists
// and deletes them, and knows when the next one of a schedule is due.
//
// A device whose store is a thin volume of LVM is snapshotted by LVM; an image
// file on xfs or btrfs by a file that shares its blocks. What a snapshot is of
// is written where it lies (tags, extended attributes): nothing is remembered.
package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
)

// Machine is the part of the host that volumes are snapshotted with
// (host.Linux).
type Machine interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
	Real(path string) string
	ReadFile(path string) ([]byte, error)
	Save(path string, data []byte, mode fs.FileMode) error
	Delete(path string) error
}

// Service takes, lists and deletes the snapshots of a machine. Its methods may
// be called at the same time.
type Service struct {
	machine Machine
	files   Files
	dataDir string
	now     func() time.Time

	mu sync.Mutex // held by whoever takes or deletes
}

// Options are what a Service is made of.
type Options struct {
	Machine Machine
	Files   Files
	DataDir string           // relative paths of devices are below it
	Now     func() time.Time // time.Now if nil
}

// New makes a service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{machine: o.Machine, files: o.Files, dataDir: o.DataDir, now: o.Now}
}

// Request asks for snapshots of devices, all of the same moment.
type Request struct {
	// Name is what the snapshots' name begins with: NAME-YYYYMMDD-HHMMSS.
	Name    string
	Devices []config.Device
	// Schedule is the name of the schedule that they are taken for, "" if
	// somebody asked for them.
	Schedule string
}

// Snapshot is a snapshot of one device.
type Snapshot struct {
	Device   string // that it was taken of
	Name     string // NAME-YYYYMMDD-HHMMSS; equal for all of one moment
	Schedule string
	Taken    time.Time
	Path     string // of its block device or file
	Size     int64  // bytes that a user of it sees
	Volume   *Volume
	// Users are what uses it: devices, clones yet to be made, and others.
	Users []string
}

// Volume is where the snapshot of a volume lies.
type Volume struct {
	Group, Name, Pool string
	UUID              string
	Active            bool
}

// ID is DEVICE@NAME.
func (s Snapshot) ID() string { return s.Device + "@" + s.Name }

// Object is what is named to have it deleted.
func (s Snapshot) Object() string { return "snapshot/" + s.ID() }

// ErrUsed is wrapped when a snapshot is not deleted because something uses it.
var ErrUsed = errors.New("in use")

// RefusedError says why no snapshot can be taken of devices as they are.
type RefusedError struct{ Why string }

// Error is the reason.
func (e *RefusedError) Error() string { return e.Why }

func refuse(format string, args ...any) error {
	return &RefusedError{Why: fmt.Sprintf(format, args...)}
}

// Take takes snapshots of all devices of a request, of the same moment: all of
// them or none.
func (s *Service) Take(ctx context.Context, r Request) ([]Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkName(r.Name); err != nil {
		return nil, err
	}
	if len(r.Devices) == 0 {
		return nil, refuse("no device was named to take a snapshot of")
	}
	if err := config.SnapshotTogether(r.Devices); err != nil {
		return nil, &RefusedError{Why: err.Error()}
	}
	taken := s.now().UTC().Truncate(time.Second)
	name := stamped(r.Name, taken)
	var made []Snapshot
	var err error
	if r.Devices[0].Handler == config.FileIO {
		made, err = s.takeImage(ctx, r, name)
	} else {
		made, err = s.takeVolumes(ctx, r, name)
	}
	if err != nil {
		return nil, fmt.Errorf("take snapshot %s of %s: %w", name, names(r.Devices), err)
	}
	for i := range made {
		made[i].Taken = taken
	}
	return made, nil
}

func names(devices []config.Device) string {
	all := make([]string, len(devices))
	for i, d := range devices {
		all[i] = d.Name
	}
	return strings.Join(all, ", ")
}

// List lists the snapshots there are, by device and the oldest first. What
// could not be looked at is told by the error beside those that were found.
func (s *Service) List(ctx context.Context, doc *config.Document) ([]Snapshot, error) {
	volumes, verr := s.listVolumes(ctx, doc)
	images, ierr := s.listImages(doc)
	all := append(volumes, images...)
	for i := range all {
		all[i].Users = append(all[i].Users, s.users(doc, all[i])...)
	}
	slices.SortStableFunc(all, func(a, b Snapshot) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), a.Taken.Compare(b.Taken), cmp.Compare(a.Name, b.Name))
	})
	return all, errors.Join(verr, ierr)
}

// users are what of a document uses a snapshot.
func (s *Service) users(doc *config.Document, snap Snapshot) (users []string) {
	for _, d := range doc.Devices {
		if p := s.full(d.Path); p == snap.Path || s.machine.Real(p) != "" && s.machine.Real(p) == s.machine.Real(snap.Path) {
			users = append(users, "device/"+d.Name)
		}
	}
	if snap.Volume == nil {
		return users
	}
	for _, g := range doc.Storage.VolumeGroups {
		for _, v := range g.Volumes {
			if g.Name == snap.Volume.Group && (v.Name == snap.Volume.Name || v.CloneOf == snap.Volume.Name) {
				users = append(users, config.VolumeObject(g.Name, v.Name))
			}
		}
	}
	return users
}

func (s *Service) full(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.dataDir, path)
}

// Find returns one snapshot. The error wraps config.ErrNotFound if it is not
// there.
func (s *Service) Find(ctx context.Context, doc *config.Document, device, name string) (Snapshot, error) {
	all, err := s.List(ctx, doc)
	for _, snap := range all {
		if snap.Device == device && snap.Name == name {
			return snap, nil
		}
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("look for snapshot %s@%s: %w", device, name, err)
	}
	return Snapshot{}, fmt.Errorf("snapshot %s@%s: %w; 'esos snapshot list' shows all", device, name, config.ErrNotFound)
}

// Delete deletes a snapshot that nothing uses.
func (s *Service) Delete(ctx context.Context, doc *config.Document, device, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap, err := s.Find(ctx, doc, device, name)
	if err != nil {
		return err
	}
	return s.delete(ctx, snap)
}

func (s *Service) delete(ctx context.Context, snap Snapshot) (err error) {
	if len(snap.Users) > 0 {
		return fmt.Errorf("delete snapshot %s: it is %w by %s; give that up first", snap.ID(), ErrUsed, strings.Join(snap.Users, ", "))
	}
	if snap.Volume != nil {
		err = s.deleteVolume(ctx, *snap.Volume)
	} else {
		err = s.files.Remove(snap.Path)
	}
	if err != nil {
		return fmt.Errorf("delete snapshot %s: %w", snap.ID(), err)
	}
	return nil
}
