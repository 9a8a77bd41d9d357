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
	tagMaking   = "esos.making" // it is not yet of the moment that it is named for
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
	Group       string `json:"vg_name"`
	Name        string `json:"lv_name"`
	UUID        string `json:"lv_uuid"`
	GroupUUID   string `json:"vg_uuid"`
	DMPath      string `json:"lv_dm_path"`
	Tags        string `json:"lv_tags"`
	Pool        string `json:"pool_lv"`
	Size        string `json:"lv_size"`
	Attr        string `json:"lv_attr"`
	ThinID      string `json:"thin_id"`        // its number in the pool
	Transaction string `json:"transaction_id"` // of a pool, the last one
	Data        string `json:"data_percent"`
	Metadata    string `json:"metadata_percent"`
}

const lvFields = "vg_name,lv_name,lv_uuid,vg_uuid,lv_dm_path,lv_tags,pool_lv,lv_size,lv_attr,thin_id,transaction_id,data_percent,metadata_percent"

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

func (v lv) tagged(tag string) bool { return slices.Contains(strings.Split(v.Tags, ","), tag) }

func (v lv) snapshot() (Snapshot, bool) {
	if !v.tagged(tagSnapshot) {
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
// Of one volume LVM makes one itself. Of several it cannot: its command makes
// one at a time, and of an origin that is suspended already it makes a volume
// that the pool does not have, and counts the pool's transactions wrong from
// then on (seen with 2.03.31: "Thin pool has unexpected transaction id"). So
// LVM makes an empty volume for each, which gives it its name and its number in
// the pool; and while I/O of all origins is held the pool is told to make the
// snapshots under these numbers. That is a message of some milliseconds
// (Documentation/admin-guide/device-mapper/thin-provisioning.rst: "The origin
// device must be suspended before creating the snapshot"); LVM's count of
// transactions has no part in it.
func (s *Service) takeVolumes(ctx context.Context, r Request, name string) (made []Snapshot, err error) {
	if err := s.resumeLeft(ctx); err != nil {
		return nil, err
	}
	origins, err := s.origins(ctx, r.Devices, name)
	if err != nil {
		return nil, err
	}
	for _, o := range origins {
		// What is in memory goes to the disk now, not while I/O is held.
		if err := s.call(ctx, host.Call{Name: "sync", Args: []string{o.path()}}); err != nil {
			return nil, fmt.Errorf("write what is cached of volume %s/%s: %w", o.Group, o.Name, err)
		}
	}
	if len(origins) == 1 {
		err = s.create(ctx, origins[0], name, r.Schedule)
	} else {
		err = s.together(ctx, origins, name, r.Schedule)
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

// create makes a snapshot with LVM.
func (s *Service) create(ctx context.Context, o origin, name, schedule string) error {
	args := append([]string{"--snapshot", "--permission", "r"}, o.tags(tagSnapshot, name, schedule)...)
	return s.lvcreate(ctx, o, append(args, o.Group+"/"+o.Name))
}

// reserve makes an empty volume with LVM, which gives it its number in the pool.
func (s *Service) reserve(ctx context.Context, o origin, name, schedule string) error {
	args := append([]string{"--type", "thin", "--virtualsize", o.Size + "b", "--thinpool", o.Pool}, o.tags(tagMaking, name, schedule)...)
	return s.lvcreate(ctx, o, append(args, o.Group))
}

// tags are those of a snapshot, with its name.
func (o origin) tags(first, name, schedule string) []string {
	args := []string{"--name", o.made, "--activate", "n", "--setactivationskip", "n", "--addtag", first, "--addtag", tagName + name, "--addtag", tagOf + o.device.Name}
	if schedule != "" {
		args = append(args, "--addtag", tagSchedule+schedule)
	}
	return args
}

func (s *Service) lvcreate(ctx context.Context, o origin, args []string) error {
	if err := s.change(ctx, lvm("lvcreate", args...)); err != nil {
		return fmt.Errorf("of volume %s/%s: %w", o.Group, o.Name, err)
	}
	return ctx.Err()
}

// together makes snapshots of one moment. They carry another tag until they
// are.
func (s *Service) together(ctx context.Context, origins []origin, name, schedule string) (err error) {
	h, err := s.prepareHold(origins)
	if err != nil {
		return err
	}
	for _, o := range origins {
		if err := s.reserve(ctx, o, name, schedule); err != nil {
			return err
		}
	}
	numbers, err := s.numbers(ctx, origins)
	if err != nil {
		return err
	}
	for _, r := range numbers {
		if err := s.message(ctx, r.pool, fmt.Sprintf("delete %s", r.id)); err != nil {
			return err
		}
	}
	if err := h.hold(ctx); err != nil {
		return errors.Join(err, h.release(ctx))
	}
	err = s.fill(ctx, h, numbers)
	if err := errors.Join(err, h.release(ctx)); err != nil {
		return err
	}
	args := []string{"--permission", "r", "--deltag", tagMaking, "--addtag", tagSnapshot}
	for _, o := range origins {
		args = append(args, o.Group+"/"+o.made)
	}
	if err := s.change(ctx, lvm("lvchange", args...)); err != nil {
		return fmt.Errorf("mark the snapshots as done: %w", err)
	}
	h.done()
	return nil
}

// fill takes the snapshots while I/O is held.
func (s *Service) fill(ctx context.Context, h *hold, all []reserved) error {
	for _, r := range all {
		if err := errors.Join(ctx.Err(), h.over()); err != nil {
			return err
		}
		if err := s.message(ctx, r.pool, fmt.Sprintf("create_snap %s %s", r.id, r.origin)); err != nil {
			return errors.Join(err, h.over())
		}
	}
	return h.still(ctx)
}

// reserved is what a pool is told to make: the pool's name in device-mapper, the
// snapshot's number in it and the origin's.
type reserved struct{ pool, id, origin string }

// numbers finds them out, and that they can be believed: under a number that
// is another volume's, that volume's data would be deleted.
func (s *Service) numbers(ctx context.Context, origins []origin) ([]reserved, error) {
	all, err := s.volumes(ctx)
	if err != nil {
		return nil, err
	}
	var found []reserved
	for _, o := range origins {
		var made, now, pool lv
		owners := map[string]int{} // of numbers in the pool
		for _, v := range all {
			switch {
			case v.Group != o.Group:
				continue
			case v.Name == o.Pool:
				pool = v
				continue
			case v.Pool == o.Pool:
				owners[v.ThinID]++
			}
			if v.UUID == o.UUID {
				now = v
			}
			if v.Name == o.made && v.tagged(tagMaking) && v.tag(tagOf) == o.device.Name {
				made = v
			}
		}
		_, err := strconv.ParseUint(made.ThinID, 10, 24)
		if err != nil || now.ThinID == "" || owners[made.ThinID] != 1 || owners[now.ThinID] != 1 || made.active() || made.held() || made.Pool != o.Pool {
			return nil, fmt.Errorf("LVM's list does not tell snapshot %s/%s and its number %q in the pool apart from others", o.Group, o.made, made.ThinID)
		}
		mapper := mapperName(o.Group, o.Pool) + "-tpool"
		if err := s.poolAgrees(ctx, mapper, pool); err != nil {
			return nil, err
		}
		found = append(found, reserved{pool: mapper, id: made.ThinID, origin: now.ThinID})
	}
	return found, nil
}

// poolAgrees says whether LVM and the kernel are at the same transaction of a
// pool: otherwise LVM's numbers are not the kernel's.
func (s *Service) poolAgrees(ctx context.Context, mapper string, pool lv) error {
	ctx, cancel := context.WithTimeout(ctx, lvmTime)
	defer cancel()
	out, err := s.machine.Output(ctx, host.Call{Name: "dmsetup", Args: []string{"status", mapper}})
	if err != nil {
		return fmt.Errorf("ask for the state of thin pool %s/%s: %w", pool.Group, pool.Name, err)
	}
	id, writable := parsePool(string(out))
	if id != pool.Transaction || !writable {
		return refuse("thin pool %s/%s is not healthy: LVM is at its transaction %q, and the kernel says %q; see lvmthin(7), METADATA CHECK AND REPAIR", pool.Group, pool.Name, pool.Transaction, strings.TrimSpace(string(out)))
	}
	return nil
}

// parsePool reads the status of a thin pool (thin-provisioning.rst, "Status"):
// its transaction, and whether it takes writes.
func parsePool(text string) (transaction string, writable bool) {
	f := strings.Fields(text)
	if len(f) < 8 || f[2] != "thin-pool" {
		return "", false
	}
	return f[3], f[7] == "rw"
}

// message tells a thin pool something.
func (s *Service) message(ctx context.Context, pool, text string) error {
	if err := s.change(ctx, host.Call{Name: "dmsetup", Args: []string{"message", pool, "0", text}}); err != nil {
		return fmt.Errorf("tell thin pool %s to %s: %w", pool, text, err)
	}
	return nil
}

// call runs a program that can be ended.
func (s *Service) call(ctx context.Context, c host.Call) error {
	ctx, cancel := context.WithTimeout(ctx, lvmTime)
	defer cancel()
	_, err := s.machine.Output(ctx, c)
	return err
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
			if v.Group == o.Group && v.Name == o.made && v.tag(tagOf) == o.device.Name {
				if err := s.removeVolume(ctx, v); err != nil {
					errs = append(errs, fmt.Errorf("take away snapshot %s/%s: %w", v.Group, v.Name, err))
				}
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // the marker stays
	}
	return s.resumeLeft(ctx)
}

// removeVolume deletes the snapshot of a volume. It is deactivated first, which
// LVM refuses of one that is open; and of one that is not active lvremove asks
// nothing, so that no flag has to answer for whatever it asks.
func (s *Service) removeVolume(ctx context.Context, v lv) error {
	if v.active() || v.held() {
		if err := s.change(ctx, lvm("lvchange", "--activate", "n", v.Group+"/"+v.Name)); err != nil {
			return err
		}
	}
	return s.change(ctx, lvm("lvremove", v.Group+"/"+v.Name))
}

// deleteVolume deletes a snapshot, if it still is one.
func (s *Service) deleteVolume(ctx context.Context, v Volume) error {
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
	return s.removeVolume(ctx, all[i])
}
