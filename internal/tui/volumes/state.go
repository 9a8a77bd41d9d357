package volumes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// state is the volume groups as they are declared and as they are.
type state struct {
	doc *config.Document
	now v1.StorageState
	// problem is why it is not known how they are; "" if it is.
	problem string
}

// group is a volume group; declared or now is nil where it is not that.
type group struct {
	name     string
	declared *config.VolumeGroup
	now      *v1.VolumeGroupState
	twice    bool // another one has the same name
}

// volume is a volume; its Volume is what is declared, or what can be told of
// one that is not.
type volume struct {
	config.Volume
	in       group
	declared bool
	now      *v1.VolumeState
}

// read reads the state. Who cannot be told how the groups are sees what is
// declared.
func read(d *frame.Desk) func(context.Context) (state, error) {
	return func(ctx context.Context) (state, error) {
		doc, err := d.Document(ctx)
		if err != nil {
			return state{}, err
		}
		s := state{doc: doc}
		var gone *client.UnreachableError
		switch s.now, err = d.Client().Storage(ctx); {
		case errors.As(err, &gone):
			return state{}, err
		case err != nil:
			s.problem = err.Error()
		default:
			s.problem = strings.Join(s.now.Problems, "\n")
		}
		return s, nil
	}
}

// with hands the state to a form that begins with it.
func with(d *frame.Desk, then func(state)) { frame.Load(d, "Read the volumes", read(d), then) }

// groups are all groups, declared ones first.
func (s state) groups() []group {
	var all []group
	for i := range s.doc.Storage.VolumeGroups {
		g := group{name: s.doc.Storage.VolumeGroups[i].Name, declared: &s.doc.Storage.VolumeGroups[i]}
		for j := range s.now.VolumeGroups {
			if n := &s.now.VolumeGroups[j]; n.Declared && n.Name == g.name {
				g.now = n
			}
		}
		all = append(all, g)
	}
	for i := range s.now.VolumeGroups {
		if n := &s.now.VolumeGroups[i]; !n.Declared {
			all = append(all, group{name: n.Name, now: n})
		}
	}
	for i := range all {
		all[i].twice = slices.ContainsFunc(all, func(g group) bool { return g.name == all[i].name && g.id() != all[i].id() })
	}
	return all
}

// id tells a group from others of its name.
func (g group) id() string {
	if g.declared != nil || g.now == nil {
		return g.name
	}
	return g.name + " " + g.now.UUID
}

// find finds a declared group.
func (s state) find(name string) group {
	for _, g := range s.groups() {
		if g.declared != nil && g.name == name {
			return g
		}
	}
	return group{name: name}
}

// volumes are all volumes: of each group those that are declared, then others,
// but no snapshots.
func (s state) volumes() []volume {
	var all []volume
	for _, g := range s.groups() {
		all = append(all, g.volumes()...)
	}
	return all
}

func (g group) volumes() []volume {
	var all []volume
	known := map[string]bool{}
	if g.declared != nil {
		for _, v := range g.declared.Volumes {
			all = append(all, volume{Volume: v, in: g, declared: true, now: g.state(v.Name)})
			known[v.Name], known[v.Was] = true, true
		}
	}
	if g.now == nil {
		return all
	}
	for i, v := range g.now.Volumes {
		if !known[v.Name] && !v.Snapshot {
			all = append(all, volume{Volume: config.Volume{Name: v.Name, Pool: v.Pool}, in: g, now: &g.now.Volumes[i]})
		}
	}
	return all
}

func (g group) state(name string) *v1.VolumeState {
	if g.now == nil {
		return nil
	}
	for i := range g.now.Volumes {
		if g.now.Volumes[i].Name == name {
			return &g.now.Volumes[i]
		}
	}
	return nil
}

// volume finds a declared volume by GROUP/VOLUME.
func (s state) volume(full string) (volume, bool) {
	for _, v := range s.volumes() {
		if v.declared && v.full() == full {
			return v, true
		}
	}
	return volume{}, false
}

// free is the room of a group on some of its devices, on all if none are named;
// -1 if that is not known.
func (g group) free(devices ...string) int64 {
	switch {
	case g.now == nil:
		return -1
	case len(devices) == 0:
		return g.now.Free
	}
	var n int64
	for _, d := range g.now.Devices {
		if slices.Contains(devices, d.As) {
			n += d.Free
		}
	}
	return n
}

func (g group) extent() int64 {
	switch {
	case g.now != nil && g.now.Extent > 0:
		return g.now.Extent
	case g.declared != nil && g.declared.ExtentSize > 0:
		return int64(g.declared.ExtentSize)
	}
	return 4 << 20
}

// devices are those that the document has, or that LVM finds.
func (g group) devices() []string {
	if g.declared != nil {
		return g.declared.Devices
	}
	if g.now == nil {
		return nil
	}
	var all []string
	for _, d := range g.now.Devices {
		all = append(all, d.Path)
	}
	return all
}

func (v volume) full() string { return v.in.name + "/" + v.Name }

func (v volume) path() string { return v.Path(v.in.name) }

// kind is what it is, in the document's words.
func (v volume) kind() config.VolumeType {
	if !v.declared && v.now != nil {
		return config.VolumeType(strings.ReplaceAll(v.now.Type, "-", "_"))
	}
	return cmp.Or(v.Type, config.Linear)
}

// size is what it has, or is to have.
func (v volume) size() int64 {
	if v.now != nil {
		return v.now.Size
	}
	return int64(v.Size)
}

// room is the space of a VDO in its group.
func (v volume) room() int64 {
	if v.now != nil && v.now.Physical > 0 {
		return v.now.Physical
	}
	return int64(v.Physical)
}

// percent is how full something is, where that is known.
func percent(p *float64) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("%.0f %%", *p)
}

// users are what of the document stands on a volume; of a pool how many volumes
// lie in it.
func (s state) users(v volume) []string {
	if !v.declared {
		return nil
	}
	users := s.doc.UsersOf(v.path())
	in := 0
	for _, w := range v.in.volumes() {
		if w.Pool == v.Name {
			in++
		}
	}
	switch in {
	case 0:
		return users
	case 1:
		return append(users, "1 volume")
	}
	return append(users, fmt.Sprintf("%d volumes", in))
}

// cached says in few words what is in front of a volume.
func cached(c *config.Cache) string {
	switch {
	case c == nil:
		return ""
	case c.Type == "writecache":
		return "writecache " + c.Size.Human()
	}
	return cmp.Or(c.Mode, "writethrough") + " " + c.Size.Human()
}

func groupColumns() []string { return []string{"group", "size", "free", "devices"} }

// option is a group to be chosen; why it cannot be.
func (g group) option(why string) frame.Option {
	size, free := "?", "?"
	if g.now != nil {
		size, free = pick.Size(g.now.Size), pick.Size(g.now.Free)
	}
	return frame.Option{Value: g.id(), Cells: []string{g.name, size, free, short(g.devices())}, Why: why}
}

// declaredGroups are the groups whose document can be changed; the others say
// why theirs cannot.
func (s state) declaredGroups() []frame.Option {
	var o []frame.Option
	for _, g := range s.groups() {
		o = append(o, g.option(g.stranger()))
	}
	return o
}

// stranger says why nothing can be done with a group that nobody declares.
func (g group) stranger() string {
	if g.declared != nil {
		return ""
	}
	return "it is not declared: somebody else's, or of another array; VG List can take it up (u)"
}

func volumeColumns() []string { return []string{"volume", "type", "size", "used by"} }

// choose are the volumes to be chosen; why says which cannot be. Those that are
// not declared can only be deleted.
func (s state) choose(why func(volume) string) []frame.Option {
	var o []frame.Option
	for _, v := range s.volumes() {
		text := why(v)
		if !v.declared && text == "" {
			text = "it is not declared: ESOS leaves it as it is"
		}
		o = append(o, v.option(s, text))
	}
	return o
}

func (v volume) option(s state, why string) frame.Option {
	o := frame.Option{Value: v.full(), Cells: []string{v.full(), string(v.kind()), pick.Size(v.size())}, Why: why}
	if users := s.users(v); len(users) > 0 {
		o.Cells = append(o.Cells, strings.Join(users, ", "))
	}
	return o
}

// deviceOptions are the devices of a group.
func (g group) deviceOptions(why func(path string) string) []frame.Option {
	var o []frame.Option
	for _, path := range g.devices() {
		size, free := "?", "?"
		if g.now != nil {
			for _, d := range g.now.Devices {
				if d.As == path {
					size, free = pick.Size(d.Size), pick.Size(d.Free)
				}
			}
		}
		text := ""
		if why != nil {
			text = why(path)
		}
		o = append(o, frame.Option{Value: path, Cells: []string{strings.TrimPrefix(path, "/dev/disk/by-id/"), size, free}, Why: text})
	}
	return o
}

// short puts paths into few words.
func short(paths []string) string {
	return strings.ReplaceAll(strings.Join(paths, ", "), "/dev/disk/by-id/", "")
}

func deviceColumns() []string { return []string{"device", "size", "free"} }
