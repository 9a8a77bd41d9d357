package wizards

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// newLUN is what the wizard that makes a LUN asks for.
type newLUN struct {
	desk *frame.Desk
	flow *flow
	now  now

	source string // disks, group/NAME or device/NAME

	disks        []string
	level, array string // of several disks

	group, kind, pool, newPool, poolSize string
	volume, size                         string

	device, target, newTarget, portal string

	hosts, newHosts string
	connected       []string
	typed, lun      string
}

const (
	fromDisks  = "disks"
	fromGroup  = "group/"
	fromDevice = "device/"

	plain = "plain"
	thin  = "thin"
)

// makeLUN leads from disks to an initiator.
func makeLUN(d *frame.Desk) {
	frame.Load(d, "Look at the array", func(ctx context.Context) (now, error) { return look(ctx, d) }, func(n now) {
		w := &newLUN{desk: d, now: n, source: fromDisks, kind: plain, portal: ":3260"}
		w.array = numbered("data", arrayNames(n.doc))
		w.group = numbered("vg", groupNames(n.doc))
		w.volume = numbered("vol", slices.Concat(volumeNames(n.doc), deviceNames(n.doc)))
		w.newTarget = config.OurNames + strings.ToLower(n.doc.Name)
		if i := slices.IndexFunc(n.doc.Targets, func(t config.Target) bool { return t.Driver.Portals() }); i >= 0 {
			w.target = n.doc.Targets[i].Name
		}
		if i := slices.IndexFunc(w.sources(), func(o frame.Option) bool { return o.Why == "" }); i > 0 {
			w.source = w.sources()[i].Value
		}
		w.flow = &flow{desk: d, title: "Make me a LUN", doc: n.doc, edit: w.edit, finish: w.finish}
		w.flow.steps = []step{
			{form: w.sourceForm},
			{form: w.disksForm, skip: func() bool { return w.source != fromDisks }},
			{form: w.volumeForm, skip: func() bool { return w.had() != "" }},
			{form: w.targetForm},
			{form: w.hostsForm},
		}
		w.flow.start()
	})
}

// had is the device that is there already and is to be served, "" if one is
// made.
func (w *newLUN) had() string {
	name, ok := strings.CutPrefix(w.source, fromDevice)
	if !ok {
		return ""
	}
	return name
}

// groupName is the volume group that the volume is in.
func (w *newLUN) groupName() string {
	if name, ok := strings.CutPrefix(w.source, fromGroup); ok {
		return name
	}
	return w.group
}

// edit makes the change that the steps up to one ask for.
func (w *newLUN) edit(doc *config.Document, upTo int) error {
	if upTo >= 1 && w.source == fromDisks {
		if err := w.editArray(doc); err != nil {
			return err
		}
	}
	if upTo >= 2 && w.had() == "" {
		if err := w.editVolume(doc); err != nil {
			return err
		}
	}
	if upTo >= 3 {
		if err := w.editTarget(doc); err != nil {
			return err
		}
	}
	if upTo >= 4 {
		return w.editHosts(doc)
	}
	return nil
}

func (w *newLUN) editArray(doc *config.Document) error {
	if len(w.disks) < 2 {
		return nil
	}
	return doc.AddArray(config.Array{Name: w.array, Level: w.level, Disks: slices.Clone(w.disks)})
}

// base is what a new volume group stands on.
func (w *newLUN) base() []string {
	if len(w.disks) > 1 {
		return []string{config.Array{Name: w.array}.Path()}
	}
	return slices.Clone(w.disks)
}

func (w *newLUN) editVolume(doc *config.Document) error {
	group := w.groupName()
	if w.source == fromDisks {
		if err := doc.AddVolumeGroup(config.VolumeGroup{Name: group, Devices: w.base()}); err != nil {
			return err
		}
	}
	size, err := config.ParseSize(w.size)
	if err != nil {
		return err
	}
	v := config.Volume{Name: w.volume, Size: size}
	if w.kind == thin {
		v.Type, v.Pool = config.ThinDisk, w.pool
		if w.pool == "" {
			room, err := config.ParseSize(w.poolSize)
			if err != nil {
				return err
			}
			v.Pool = w.newPool
			if err := doc.AddVolume(group, config.Volume{Name: w.newPool, Type: config.ThinPool, Size: room}); err != nil {
				return err
			}
		}
	}
	return doc.AddVolume(group, v)
}

func (w *newLUN) editTarget(doc *config.Document) error {
	if w.had() == "" {
		path := config.Volume{Name: w.volume}.Path(w.groupName())
		if err := doc.AddDevice(config.Device{Name: w.device, Handler: config.BlockIO, Path: path}); err != nil {
			return err
		}
	}
	if w.needsPortal() {
		if err := doc.AddPortal(config.Portal{Name: "all", Address: w.portal}); err != nil {
			return err
		}
	}
	if w.target != "" {
		return nil
	}
	return doc.AddTarget(config.Target{Name: config.NewTargetName(config.DriverISCSI, w.newTarget)})
}

func (w *newLUN) editHosts(doc *config.Document) error {
	target, group := w.targetName(), w.hostsName()
	if w.hosts == "" {
		if err := doc.AddGroup(target, config.Group{Name: group}); err != nil {
			return err
		}
	}
	for _, name := range w.initiators() {
		if err := doc.AddInitiator(target, group, name); err != nil {
			return err
		}
	}
	n := -1
	if w.lun != "" {
		n, _ = strconv.Atoi(w.lun)
	}
	_, err := doc.MapLUN(target, group, config.LUN{LUN: n, Device: w.deviceName()})
	return err
}

func (w *newLUN) deviceName() string {
	if had := w.had(); had != "" {
		return had
	}
	return w.device
}

func (w *newLUN) targetName() string {
	if w.target != "" {
		return w.target
	}
	return config.NewTargetName(config.DriverISCSI, w.newTarget)
}

func (w *newLUN) driver() config.Driver {
	if t, err := w.now.doc.FindTarget(w.target); err == nil {
		return t.Driver
	}
	return config.DriverISCSI
}

// needsPortal says whether initiators could not connect anywhere yet.
func (w *newLUN) needsPortal() bool {
	return w.driver().Portals() && len(w.now.doc.ISCSI.Portals) == 0
}

// initiators are those that were chosen and typed.
func (w *newLUN) initiators() []string {
	all := slices.Clone(w.connected)
	for _, name := range frame.Words(w.typed) {
		if name = w.driver().InitiatorName(name); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// why is the change in a few words: the plan has the rest.
func (w *newLUN) why() string {
	what := "device " + w.had()
	switch {
	case w.source == fromDisks && len(w.disks) == 1:
		what = "one disk"
	case w.source == fromDisks:
		what = fmt.Sprintf("%d disks", len(w.disks))
	case w.had() == "":
		what = "volume group " + w.groupName()
	}
	return fmt.Sprintf("make me a LUN: LUN of %s for %s", what, w.hostsName())
}

func (w *newLUN) hostsName() string {
	if w.hosts != "" {
		return w.hosts
	}
	return w.newHosts
}

// commands are those that do the same.
func (w *newLUN) commands() []string {
	var all []string
	if w.source == fromDisks {
		names := make([]string, 0, len(w.disks))
		for _, p := range w.disks {
			names = append(names, strings.TrimPrefix(p, "/dev/disk/by-id/"))
		}
		if len(w.disks) > 1 {
			all = append(all, fmt.Sprintf("array create %s %s --level %s", w.array, strings.Join(names, " "), w.level))
		}
		all = append(all, fmt.Sprintf("volume-group create %s %s", w.group, strings.Join(w.base(), " ")))
	}
	if w.had() == "" {
		g := w.groupName()
		made := fmt.Sprintf("volume create %s/%s --size %s", g, w.volume, w.size)
		if w.kind == thin {
			pool := w.pool
			if pool == "" {
				pool = w.newPool
				all = append(all, fmt.Sprintf("volume create %s/%s --type thin_pool --size %s", g, pool, w.poolSize))
			}
			made += " --type thin --pool " + pool
		}
		all = append(all, made, fmt.Sprintf("device create %s --handler vdisk_blockio --path /dev/%s/%s", w.device, g, w.volume))
	}
	if w.needsPortal() {
		all = append(all, "portal create all "+w.portal)
	}
	if w.target == "" {
		all = append(all, "target create "+w.targetName())
	}
	group := w.hostsName()
	if w.hosts == "" {
		all = append(all, fmt.Sprintf("group create %s %s", w.targetName(), group))
	}
	if names := w.initiators(); len(names) > 0 {
		all = append(all, fmt.Sprintf("initiator add %s %s %s", w.targetName(), group, strings.Join(names, " ")))
	}
	return append(all, fmt.Sprintf("lun map %s %s --group %s", w.targetName(), w.deviceName(), group))
}

func (w *newLUN) finish(first *frame.Form) {
	w.desk.Change(frame.Change{Why: w.why(), From: first, Done: w.done, Edit: func(doc *config.Document) error { return w.edit(doc, 4) }})
}

// done tells what the initiator's administrator needs to know, as the array
// has it now.
func (w *newLUN) done() {
	frame.Load(w.desk, "Look at what was made", func(ctx context.Context) (string, error) {
		doc, err := w.desk.Document(ctx)
		if err != nil {
			return "", err
		}
		net, err := w.desk.Client().Network(ctx)
		if err != nil {
			return "", err
		}
		storage, err := w.desk.Client().Storage(ctx)
		return w.tell(doc, net, storage), err
	}, func(text string) {
		w.desk.Page(&frame.Page{Title: "The LUN is there", Command: "esos lun list", Text: text,
			Help: "What whoever administers the initiator needs to know. The menu Targets shows the sessions once it has logged in."})
	})
}

// numbered is the first of NAME, NAME2, ... that is not taken; vg0, vg1 ... for
// a name that is never without a number.
func numbered(name string, taken []string) string {
	if name == "data" {
		return free(name, taken)
	}
	for n := 0; ; n++ {
		if try := name + strconv.Itoa(n); !slices.Contains(taken, try) {
			return try
		}
	}
}

func arrayNames(doc *config.Document) (names []string) {
	for _, a := range doc.Storage.Arrays {
		names = append(names, a.Name)
	}
	return names
}

func groupNames(doc *config.Document) (names []string) {
	for _, g := range doc.Storage.VolumeGroups {
		names = append(names, g.Name)
	}
	return names
}

func volumeNames(doc *config.Document) (names []string) {
	for _, g := range doc.Storage.VolumeGroups {
		for _, v := range g.Volumes {
			names = append(names, v.Name)
		}
	}
	return names
}

func deviceNames(doc *config.Document) (names []string) {
	for _, d := range doc.Devices {
		names = append(names, d.Name)
	}
	return names
}

// sizeOf is the size of a block device by the path that documents have; 0 if it
// is not there.
func sizeOf(s v1.StorageState, path string) int64 {
	if d, ok := diskAt(s, path); ok {
		return d.Size
	}
	return 0
}

// diskAt finds a block device by a path.
func diskAt(s v1.StorageState, path string) (v1.Disk, bool) {
	for _, d := range slices.Concat(s.Disks, s.Blocks) {
		if d.Path == path || pick.Path(d) == path || slices.Contains(d.Links, path) {
			return d, true
		}
	}
	return v1.Disk{}, false
}
