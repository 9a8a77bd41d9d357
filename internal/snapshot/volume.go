package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
)

// Tags that say what a volume is a snapshot of (lvcreate(8), --addtag).
const (
	tagSnapshot = "esos.snapshot"
	tagName     = "esos.name="
	tagOf       = "esos.of="
	tagSchedule = "esos.schedule="
)

// fullPool is how many percent of a thin pool are in use when no snapshot is
// taken any more: from then on each write to its origin takes new space, and
// when there is none the writes of initiators fail.
const fullPool = 95

// lvmTime is how long it may take to ask LVM.
const lvmTime = 30 * time.Second

// lv is a logical volume, as LVM lists it.
type lv struct {
	Group     string `json:"vg_name"`
	Name      string `json:"lv_name"`
	UUID      string `json:"lv_uuid"`
	GroupUUID string `json:"vg_uuid"`
	DMPath    string `json:"lv_dm_path"`
	Tags      string `json:"lv_tags"`
	Pool      string `json:"pool_lv"`
	Size      string `json:"lv_size"`
	Attr      string `json:"lv_attr"`
	Data      string `json:"data_percent"`
	Metadata  string `json:"metadata_percent"`
}

const lvFields = "vg_name,lv_name,lv_uuid,vg_uuid,lv_dm_path,lv_tags,pool_lv,lv_size,lv_attr,data_percent,metadata_percent"

// path is a volume's block device, by the name that documents give it.
func (v lv) path() string { return "/dev/" + v.Group + "/" + v.Name }

// The letters of attr are told by lvs(8).
func (v lv) thin() bool   { return len(v.Attr) > 0 && v.Attr[0] == 'V' && v.Pool != "" }
func (v lv) active() bool { return len(v.Attr) > 4 && v.Attr[4] == 'a' }
func (v lv) held() bool   { return len(v.Attr) > 4 && v.Attr[4] == 's' }
func (v lv) open() bool   { return len(v.Attr) > 5 && v.Attr[5] == 'o' }

// device is what device-mapper calls an active volume; LVM makes its UUID of
// the group's and the volume's.
func (v lv) device() mapped {
	plain := func(uuid string) string { return strings.ReplaceAll(uuid, "-", "") }
	return mapped{Name: strings.TrimPrefix(v.DMPath, "/dev/mapper/"), UUID: "LVM-" + plain(v.GroupUUID) + plain(v.UUID)}
}

// tag is the value of a tag, "" without it.
func (v lv) tag(prefix string) string {
	for t := range strings.SplitSeq(v.Tags, ",") {
		if value, ok := strings.CutPrefix(t, prefix); ok {
			return value
		}
	}
	return ""
}

func (v lv) snapshot() (Snapshot, bool) {
	if !slices.Contains(strings.Split(v.Tags, ","), tagSnapshot) {
		return Snapshot{}, false
	}
	s := Snapshot{Device: v.tag(tagOf), Name: v.tag(tagName), Schedule: v.tag(tagSchedule), Path: v.path(),
		Volume: &Volume{Group: v.Group, Name: v.Name, Pool: v.Pool, UUID: v.UUID, Active: v.active() || v.held()}}
	var named bool
	s.Taken, named = takenAt(s.Name)
	s.Size, _ = strconv.ParseInt(v.Size, 10, 64) // 0 is shown as unknown
	if v.open() {
		s.Users = []string{"whoever has " + v.path() + " open"}
	}
	return s, named && s.Device != ""
}

// lvm makes a call of LVM. What it scans for its physical volumes must not be
// what it is to work on while that is held, or it waits for itself: it looks at
// no logical volume (scan_lvs), at nothing whose I/O is held, and for no list
// of devices that the appliance does not keep (lvm.conf(5), lvmdevices(8)).
func lvm(command string, args ...string) host.Call {
	return host.Call{Name: "lvm", Args: append([]string{command, "--devicesfile", "",
		"--config", "devices{scan_lvs=0 ignore_suspended_devices=1}"}, args...)}
}

// volumes asks LVM for all its volumes.
func (s *Service) volumes(ctx context.Context) ([]lv, error) {
	ctx, cancel := context.WithTimeout(ctx, lvmTime)
	defer cancel()
	out, err := s.machine.Output(ctx, lvm("lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", lvFields))
	if err != nil {
		return nil, fmt.Errorf("list the volumes of LVM: %w", err)
	}
	all, err := parseLVs(out)
	if err != nil {
		return nil, fmt.Errorf("list the volumes of LVM: %w", err)
	}
	return all, nil
}

// parseLVs reads lvs' report (lvmreport(7)).
func parseLVs(out []byte) ([]lv, error) {
	var report struct {
		Report []struct {
			LV []lv `json:"lv"`
		} `json:"report"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("read its report: %w", err)
	}
	var all []lv
	for _, r := range report.Report {
		all = append(all, r.LV...)
	}
	return all, nil
}

// listVolumes lists the snapshots of volumes. Where nothing of LVM is declared
// LVM is not asked: machines without it take no snapshots of volumes.
func (s *Service) listVolumes(ctx context.Context, doc *config.Document) ([]Snapshot, error) {
	if len(doc.Storage.VolumeGroups) == 0 && !slices.ContainsFunc(doc.Devices, func(d config.Device) bool { return d.Handler == config.BlockIO }) {
		return nil, nil
	}
	all, err := s.volumes(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Snapshot
	for _, v := range all {
		if snap, ok := v.snapshot(); ok {
			found = append(found, snap)
		}
	}
	return found, nil
}

// origin is a volume that a snapshot is taken of.
type origin struct {
	lv
	device config.Device
	made   string // the snapshot's name in the volume group
}

// takeVolumes takes snapshots of volumes, all of the same moment.
//
// All origins are suspended first; the moment is when the last one was. LVM
// then makes one snapshot after the other: of an origin that is suspended
// already it sends the pool's create_snap, and resumes the origin. Those whose
// turn is yet to come stay held. A write that completes on an origin that was
// resumed cannot depend on one that is held, since that has not completed
// since the moment; so what the later snapshots hold is as old as what the
// earlier ones do, as far as anybody who wrote can tell.
// (Documentation/admin-guide/device-mapper/thin-provisioning.rst: "The origin
// device must be suspended before creating the snapshot".)
func (s *Service) takeVolumes(ctx context.Context, r Request, name string) (made []Snapshot, err error) {
	if err := s.resumeLeft(ctx); err != nil {
		return nil, err
	}
	origins, err := s.origins(ctx, r.Devices, name)
	if err != nil {
		return nil, err
	}
	devices := make([]mapped, len(origins))
	for i, o := range origins {
		devices[i] = o.lv.device()
	}
	h, err := s.hold(ctx, devices)
	if err != nil {
		return nil, err
	}
	err = s.snap(ctx, h, origins, r.Schedule, name)
	if released := h.release(ctx); released != nil {
		err = errors.Join(err, released)
	}
	if err != nil {
		return nil, errors.Join(err, s.takeAway(ctx, origins))
	}
	for _, o := range origins {
		size, _ := strconv.ParseInt(o.Size, 10, 64)
		made = append(made, Snapshot{Device: o.device.Name, Name: name, Schedule: r.Schedule, Path: "/dev/" + o.Group + "/" + o.made, Size: size,
			Volume: &Volume{Group: o.Group, Name: o.made, Pool: o.Pool}})
	}
	return made, nil
}

// snap makes the snapshots while all is held.
func (s *Service) snap(ctx context.Context, h *hold, origins []origin, schedule, name string) error {
	for i, o := range origins {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.still(ctx, i); err != nil {
			return err
		}
		args := []string{"--snapshot", "--name", o.made, "--activate", "n", "--setactivationskip", "n", "--permission", "r",
			"--addtag", tagSnapshot, "--addtag", tagName + name, "--addtag", tagOf + o.device.Name}
		if schedule != "" {
			args = append(args, "--addtag", tagSchedule+schedule)
		}
		if err := s.change(ctx, lvm("lvcreate", append(args, o.Group+"/"+o.Name)...)); err != nil {
			return fmt.Errorf("of volume %s/%s: %w", o.Group, o.Name, err)
		}
		// It may have waited for what the time limit let go.
		if err := h.still(ctx, i+1); err != nil {
			return err
		}
	}
	return nil
}

// change has LVM change something. It is not killed when ctx ends.
func (s *Service) change(ctx context.Context, c host.Call) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTime)
	defer cancel()
	_, err := s.machine.Output(ctx, c)
	return err
}

// origins finds the volumes of devices, and refuses what cannot be done before
// anything is held.
func (s *Service) origins(ctx context.Context, devices []config.Device, name string) ([]origin, error) {
	all, err := s.volumes(ctx)
	if err != nil {
		return nil, err
	}
	var found []origin
	for _, d := range devices {
		i := slices.IndexFunc(all, func(v lv) bool { return s.leadsTo(d.Path, v) })
		if i < 0 {
			return nil, refuse("%s, on which device %s is, is no active volume of LVM; snapshots are taken of thin volumes", d.Path, d.Name)
		}
		v := all[i]
		o := origin{lv: v, device: d, made: v.Name + "." + name}
		switch {
		case !v.thin():
			return nil, refuse("volume %s/%s, on which device %s is, is not a thin one; others have no snapshots that are safe to keep: use a thin_pool with thin volumes", v.Group, v.Name, d.Name)
		case v.held():
			return nil, refuse("I/O of volume %s/%s is held by somebody else; 'dmsetup resume %s' lets go of it", v.Group, v.Name, v.device().Name)
		case slices.ContainsFunc(all, func(v lv) bool { return v.Group == o.Group && v.Name == o.made }):
			return nil, fmt.Errorf("volume %s/%s %w", o.Group, o.made, config.ErrExists)
		case len(mapperName(o.Group, o.made)) > mostMapped:
			return nil, refuse("the snapshot's name %s is too long for group %s; use shorter names", o.made, o.Group)
		}
		if err := poolHasRoom(all, v); err != nil {
			return nil, err
		}
		found = append(found, o)
	}
	return found, nil
}

// leadsTo says whether a path is that of an active volume.
func (s *Service) leadsTo(path string, v lv) bool {
	if !v.active() && !v.held() {
		return false
	}
	real := s.machine.Real(v.DMPath)
	return real != "" && s.machine.Real(path) == real
}

// mostMapped is how long a name of device-mapper can be (DM_NAME_LEN in
// dm-ioctl.h, less its end and what LVM may append).
const mostMapped = 120

// mapperName is a volume's name in device-mapper: LVM doubles the dashes.
func mapperName(group, name string) string {
	return strings.ReplaceAll(group, "-", "--") + "-" + strings.ReplaceAll(name, "-", "--")
}

// poolHasRoom refuses a snapshot that would have the pool run full.
func poolHasRoom(all []lv, v lv) error {
	i := slices.IndexFunc(all, func(p lv) bool { return p.Group == v.Group && p.Name == v.Pool })
	if i < 0 {
		return nil
	}
	for what, percent := range map[string]string{"data": all[i].Data, "metadata": all[i].Metadata} {
		if used, err := strconv.ParseFloat(percent, 64); err == nil && used >= fullPool {
			return refuse("the %s of thin pool %s/%s is %.0f %% full: with a snapshot more it would run full sooner, and then writes fail; grow the pool, or delete snapshots", what, v.Group, v.Pool, used)
		}
	}
	return nil
}

// takeAway deletes what a Take that failed made: it was looked before that
// nothing of these names was there. A call that failed may have made its
// snapshot all the same.
func (s *Service) takeAway(ctx context.Context, origins []origin) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTime)
	defer cancel()
	all, err := s.volumes(ctx)
	if err != nil {
		return fmt.Errorf("take away the snapshots that were made: %w", err)
	}
	var errs []error
	for _, o := range origins {
		for _, v := range all {
			if snap, ok := v.snapshot(); ok && v.Group == o.Group && v.Name == o.made {
				if err := s.removeVolume(ctx, *snap.Volume); err != nil {
					errs = append(errs, fmt.Errorf("take away snapshot %s: %w", snap.ID(), err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// removeVolume deletes the snapshot of a volume. It is deactivated first, which
// LVM refuses of one that is open; and of one that is not active lvremove asks
// nothing, so that no flag has to answer for whatever it asks.
func (s *Service) removeVolume(ctx context.Context, v Volume) error {
	all, err := s.volumes(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(l lv) bool { return l.UUID == v.UUID && l.Group == v.Group && l.Name == v.Name })
	if i < 0 {
		return nil
	}
	if _, ours := all[i].snapshot(); !ours {
		return fmt.Errorf("volume %s/%s is no snapshot of ESOS any more", v.Group, v.Name)
	}
	if all[i].active() || all[i].held() {
		if err := s.change(ctx, lvm("lvchange", "--activate", "n", v.Group+"/"+v.Name)); err != nil {
			return err
		}
	}
	return s.change(ctx, lvm("lvremove", v.Group+"/"+v.Name))
}
