package wizards

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

func (w *newLUN) sourceForm() *frame.Form {
	return &frame.Form{Title: "space", Command: "esos disk list",
		Intro: "A LUN is a disk that an initiator sees. It needs space: on disks that are free, in a volume group that is there, or a device that is there already.",
		Help:  "Nothing is done before the last step has shown the plan.",
		Fields: []frame.Field{{Label: "Where from", One: &w.source, Options: w.sources(), Columns: []string{"space", "", "room"},
			Check: w.sourceCan, Changed: func() {
				w.size, w.poolSize = "", "" // others fit
				w.flow.number()
			}, Hint: "Space opens the choice."}}}
}

// sources are where the space of a LUN can come from.
func (w *newLUN) sources() []frame.Option {
	n := 0
	for _, o := range pick.Blocks(w.now.storage) {
		if o.Why == "" {
			n++
		}
	}
	o := frame.Option{Value: fromDisks, Cells: []string{"free disks", fmt.Sprintf("%d can be chosen", n), ""}}
	if n == 0 {
		o.Why = "no disk is free: System, Disks says what uses each. Plug one in, or choose something that is there"
	}
	all := []frame.Option{o}
	for _, g := range w.now.doc.Storage.VolumeGroups {
		room, missing := w.room(g.Name)
		o := frame.Option{Value: fromGroup + g.Name, Cells: []string{"volume group " + g.Name, fmt.Sprintf("volumes: %d", len(g.Volumes)), roomText(room)}}
		if missing > 0 {
			o.Why = fmt.Sprintf("%d of its devices are not there: plug them in again", missing)
		}
		all = append(all, o)
	}
	for _, d := range w.now.doc.Devices {
		all = append(all, frame.Option{Value: fromDevice + d.Name, Cells: []string{"device " + d.Name, string(d.Handler), d.Path}})
	}
	return all
}

func (w *newLUN) sourceCan(s string) error {
	for _, o := range w.sources() {
		if o.Value == s && o.Why != "" {
			return errors.New(o.Why)
		}
	}
	return nil
}

// room is how much of a volume group no volume has. Not known: 0.
func (w *newLUN) room(name string) (free int64, missing int) {
	for _, g := range w.now.storage.VolumeGroups {
		if g.Name == name {
			return g.Free, g.Missing
		}
	}
	return 0, 0
}

func roomText(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return "about " + pick.Size(bytes)
}

func (w *newLUN) sizes() []int64 {
	var all []int64
	for _, p := range w.disks {
		all = append(all, sizeOf(w.now.storage, p))
	}
	return all
}

func (w *newLUN) disksForm() *frame.Form {
	several := func() bool { return len(w.disks) > 1 }
	f := &frame.Form{Title: "disks", Command: "esos array create ARRAY DISK... --level LEVEL",
		Intro: "Which disks? Of several an array is made: its level says how many of them may fail.",
		Help:  "What is on a disk that is chosen is lost; the plan asks for its name then. The size of the smallest disk counts for all of an array."}
	f.Fields = []frame.Field{
		{Label: "Disks", Many: &w.disks, Columns: pick.BlockColumns(), Hint: "Space marks them. Those that are blank are the safe choice.",
			Load: func(ctx context.Context) ([]frame.Option, error) {
				s, err := w.desk.Client().Storage(ctx)
				if err == nil {
					w.now.storage = s
				}
				return pick.Blocks(s), err
			},
			Check: func(s string) error {
				if s == "" {
					return errors.New("choose at least one disk")
				}
				return nil
			},
			Changed: func() {
				w.level, w.size, w.poolSize = propose(len(w.disks)), "", ""
				f.Fields[1].Options = levels(w.sizes())
			}},
		{Label: "Level", One: &w.level, Show: several, Options: levels(w.sizes()), Columns: []string{"level", "usable", "survives"}, Check: w.levelCan,
			Changed: func() { w.size, w.poolSize = "", "" }, Hint: "What is proposed fits the number of disks."},
		{Label: "Name of the array", Text: &w.array, Show: several, Check: frame.Name(31, arrayNames(w.now.doc)), Hint: "Its path will be /dev/md/ and this name."},
		{Show: func() bool { return len(w.disks) == 1 }, Note: "One disk alone: all is lost when it fails. Choose two or more to have an array."},
	}
	return f
}

func (w *newLUN) levelCan(s string) error {
	for _, o := range levels(w.sizes()) {
		if o.Value == s && o.Why != "" {
			return errors.New(o.Why)
		}
	}
	return nil
}

// space is about how much a new volume can have.
func (w *newLUN) space() int64 {
	if w.source != fromDisks {
		room, _ := w.room(w.groupName())
		return room
	}
	const kept = 32 << 20 // by LVM, for what it notes there
	s := w.sizes()
	if len(s) == 1 {
		return s[0] - kept
	}
	return usable(w.level, s) - kept
}

// pools are the thin pools of the group.
func (w *newLUN) pools() []frame.Option {
	o := []frame.Option{{Value: "", Cells: []string{"(a new one)"}}}
	if w.source == fromDisks {
		return o
	}
	if g, err := w.now.doc.FindVolumeGroup(w.groupName()); err == nil {
		for _, v := range g.Volumes {
			if v.Type == config.ThinPool {
				o = append(o, frame.Option{Value: v.Name, Cells: []string{v.Name, v.Size.Human()}})
			}
		}
	}
	return o
}

func (w *newLUN) volumeForm() *frame.Form {
	space := w.space()
	pools := w.pools()
	if w.size == "" {
		w.size = round(space)
	}
	if w.poolSize == "" {
		w.poolSize = round(space - space/100 - 16<<20)
	}
	if !slices.ContainsFunc(pools, func(o frame.Option) bool { return o.Value == w.pool }) {
		w.pool = ""
	}
	if w.newPool == "" {
		w.newPool = "pool"
	}
	isThin := func() bool { return w.kind == thin }
	newPool := func() bool { return w.kind == thin && w.pool == "" }
	intro := "The volume is the part of the space that the initiator gets."
	if text := roomText(space); text != "" {
		intro += " There is room for " + text + "."
	}
	return &frame.Form{Title: "volume", Command: "esos volume create GROUP/VOLUME --size SIZE", Intro: intro,
		Help: "A plain volume takes all of its space at once. A thin one takes space from a pool as it is written, and can be snapshotted; watch that the pool does not run full.",
		Fields: []frame.Field{
			{Label: "Volume group", Text: &w.group, Show: func() bool { return w.source == fromDisks }, Check: frame.Name(60, groupNames(w.now.doc)), Hint: "A new one, on what was chosen."},
			{Label: "Kind", One: &w.kind, Options: []frame.Option{
				{Value: plain, Cells: []string{"plain", "takes its space at once"}}, {Value: thin, Cells: []string{"thin", "takes space as it is written; snapshots"}}},
				Hint: "Plain if in doubt."},
			{Label: "Thin pool", One: &w.pool, Show: isThin, Options: pools, Hint: "Where the space of thin volumes comes from."},
			{Label: "Name of the pool", Text: &w.newPool, Show: newPool, Check: frame.Name(60, nil), Hint: "Unique in the volume group."},
			{Label: "Size of the pool", Text: &w.poolSize, Show: newPool, Check: frame.Size(false), Hint: "In any unit: 100GiB, 1.5TB. LVM needs about a hundredth more."},
			{Label: "Name of the volume", Text: &w.volume, Check: frame.Name(60, volumeNames(w.now.doc)), Hint: "What you call it."},
			{Label: "Size", Text: &w.size, Check: frame.Size(false), Hint: "What the initiator sees, in any unit: 100GiB, 1.5TB. It can grow later."},
		}}
}

func (w *newLUN) targetForm() *frame.Form {
	if w.device == "" {
		w.device = w.volume
	}
	targets := append([]frame.Option{{Value: "", Cells: []string{"(a new one, iSCSI)"}}}, pick.Targets(w.now.doc)...)
	return &frame.Form{Title: "target", Command: "esos target create TARGET",
		Intro: "The initiator logs in to a target.",
		Help:  "One target can have many LUNs for many hosts; which host sees which, the host groups say.",
		Fields: []frame.Field{
			{Label: "Name of the device", Text: &w.device, Show: func() bool { return w.had() == "" }, Check: frame.Name(64, deviceNames(w.now.doc)), Hint: "What the array calls the disk that it serves."},
			{Label: "Target", One: &w.target, Options: targets, Changed: func() { w.hosts, w.connected = "", nil }, Hint: "One that is there will do, unless the hosts are to be kept apart."},
			{Label: "Name of the target", Text: &w.newTarget, Show: func() bool { return w.target == "" }, Check: newTarget, Hint: "An iSCSI name (iqn., eui., naa.), or a word: a name is made of it."},
			{Label: "Portal", Text: &w.portal, Show: w.needsPortal, Check: portal, Hint: "Where initiators connect: ADDRESS:PORT or [V6]:PORT; :3260 is every address of this machine."},
		}}
}

func newTarget(s string) error {
	if s == "" {
		return frame.Needed(s)
	}
	return wrong(&config.Document{Targets: []config.Target{{Name: config.NewTargetName(config.DriverISCSI, s)}}}, "targets[0].name")
}

func portal(s string) error {
	return wrong(&config.Document{ISCSI: config.ISCSI{Portals: []config.Portal{{Name: "all", Address: s}}}}, "iscsi.portals[0].address")
}

func (w *newLUN) hostsForm() *frame.Form {
	groups := append([]frame.Option{{Value: "", Cells: []string{"(a new one)"}}}, pick.Groups(w.now.doc, w.target)...)
	var names []string
	for _, g := range groups {
		names = append(names, g.Value)
	}
	if w.newHosts == "" {
		w.newHosts = free("hosts", names)
	}
	f := &frame.Form{Title: "initiator", Command: "esos lun map TARGET DEVICE --group GROUP",
		Intro: "Who sees the LUN? A host group has the initiators of the hosts that share it.",
		Help:  "Hosts that do not know of each other must not share a disk: they would destroy each other's data. Give each a group, unless they are a cluster."}
	f.Fields = []frame.Field{
		{Label: "Host group", One: &w.hosts, Options: groups, Columns: []string{"group", "its initiators"}, Changed: func() { w.connected = nil },
			Hint: "One that is there sees this LUN, too."},
		{Label: "Name of the group", Text: &w.newHosts, Show: func() bool { return w.hosts == "" }, Check: frame.Name(64, names), Hint: "After the host, or the cluster."},
		{Label: "Connected", Many: &w.connected, Load: w.known, Columns: []string{"initiator", "address", ""}, Hint: "Initiators that are logged in to this array now."},
		{Label: "Others", Text: &w.typed, Check: w.initiatorsCan, Hint: "Names of initiators, with blanks between them; on Linux in /etc/iscsi/initiatorname.iscsi."},
		{Label: "LUN", Text: &w.lun, Check: frame.Optional(frame.Number(0, 16383)), Hint: "Empty: the lowest that is free, which is right but for special cases."},
	}
	return f
}

// known are the initiators that are connected to any target.
func (w *newLUN) known(ctx context.Context) ([]frame.Option, error) {
	sessions, err := w.desk.Client().Sessions(ctx)
	if err != nil {
		return nil, err
	}
	var all []frame.Option
	for _, s := range sessions {
		if slices.ContainsFunc(all, func(o frame.Option) bool { return o.Value == s.Initiator }) {
			continue
		}
		o := frame.Option{Value: s.Initiator, Cells: []string{s.Initiator, s.Address, ""}}
		if g := w.groupOf(s.Initiator); g != "" {
			o.Cells[2] = "in group " + g
			o.Why = fmt.Sprintf("it is in group %s of this target already: choose that group above, and all of it sees the LUN", g)
		}
		all = append(all, o)
	}
	return all, nil
}

// groupOf is the group of the chosen target that names an initiator.
func (w *newLUN) groupOf(initiator string) string {
	t, err := w.now.doc.FindTarget(w.target)
	if err != nil {
		return ""
	}
	for _, g := range t.Groups {
		if slices.Contains(g.Initiators, initiator) {
			return g.Name
		}
	}
	return ""
}

func (w *newLUN) initiatorsCan(s string) error {
	for _, name := range frame.Words(s) {
		if why := w.driver().InitiatorProblem(w.driver().InitiatorName(name)); why != "" && !strings.ContainsAny(name, "*?") {
			return fmt.Errorf("%s %s", name, why)
		}
		if g := w.groupOf(name); g != "" {
			return fmt.Errorf("%s is in group %s of this target already: choose that group above", name, g)
		}
	}
	if len(w.connected) > 0 || len(frame.Words(s)) > 0 {
		return nil
	}
	if g, err := w.now.doc.FindGroup(w.target, w.hosts); err == nil && len(g.Initiators) > 0 {
		return nil
	}
	return errors.New("who is to see it? choose a connected initiator above, or type a name")
}
