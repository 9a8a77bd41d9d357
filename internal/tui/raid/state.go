package raid

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/inventory"
	"github.com/esos-project/esos/internal/tui/frame"
)

// state is the array's document and its storage, as both are now.
type state struct {
	doc *config.Document
	now v1.StorageState
}

// read reads it. It may be called from anywhere.
func read(ctx context.Context, d *frame.Desk) (state, error) {
	doc, err := d.Document(ctx)
	if err != nil {
		return state{}, err
	}
	now, err := d.Client().Storage(ctx)
	return state{doc, now}, err
}

// array is one array, and what it stands among.
type array struct {
	inventory.Array
	of state
}

func (s state) arrays() []array {
	var all []array
	for _, a := range inventory.Arrays(s.doc, s.now.Arrays) {
		all = append(all, array{a, s})
	}
	return all
}

// called is how people call an array: by its name, or its UUID if it has none.
func (x array) called() string {
	if x.Name == "" {
		return x.UUID
	}
	return x.Name
}

// object is by what name an array is given up. One that is not declared goes by
// its UUID where another one has its name.
func (x array) object() string {
	if x.Declared() {
		return "array/" + x.Name
	}
	if x.Name == "" || strings.ContainsAny(x.Name, "/, ") {
		return "array/" + x.UUID
	}
	for _, other := range x.of.arrays() {
		if other.Name == x.Name && other.Now != nil && other.Now.UUID != x.UUID || other.Name == x.Name && other.Now == nil {
			return "array/" + x.UUID
		}
	}
	return "array/" + x.Name
}

// level says how grave an array's state is.
func (x array) level() frame.Level {
	switch n := x.Now; {
	case n == nil, n.Declared != "" && !n.Running(), n.State == mdadm.Broken:
		return frame.Bad
	case n.Declared == "":
		return frame.Dim
	case n.Degraded > 0:
		return frame.Warn
	}
	return frame.Good
}

// bytes is what an array holds; nothing if that is not known.
func (x array) bytes() string {
	if x.Now == nil || x.Now.Size == 0 {
		return ""
	}
	return config.Size(x.Now.Size).Human()
}

// sync is what an array does by itself, and how far it is.
func (x array) sync() string {
	if x.Now == nil || !x.Now.Sync.Busy() {
		return ""
	}
	s := x.Now.Sync
	text := fmt.Sprintf("%s %.0f %%", s.Action, 100*s.Done)
	if s.Speed > 0 {
		text += ", " + config.Size(s.Speed).Human() + "/s"
	}
	return text
}

// count is how many disks an array has.
func (x array) count() int {
	if x.Now == nil {
		return len(x.Disks)
	}
	return max(len(x.Disks), x.Now.Disks)
}

// member is a disk of an array, as it is declared and as it is.
type member struct {
	Path  string // in the document; "" if it is not there
	ID    string
	Place string // disk, spare, journal; its number
	State string
	Level frame.Level
	Disk  v1.Disk
	there bool
	now   *mdadm.Member
}

// members are the disks that are declared, and those that the array has besides.
func (x array) members() []member {
	var all []member
	known := map[string]bool{}
	add := func(paths []string, place string) {
		for i, p := range paths {
			if p == "" {
				continue
			}
			m := member{Path: p, ID: strings.TrimPrefix(config.DiskObject(p), "disk/"), Place: place}
			if place == "disk" {
				m.Place = fmt.Sprintf("disk %d", i)
			}
			if m.Disk, m.there = inventory.Find(x.of.now, p); m.there {
				m.now = x.memberNow(m.Disk.Name)
				known[m.Disk.Name] = true
			}
			all = append(all, m)
		}
	}
	add(x.Disks, "disk")
	add(x.Spares, "spare")
	add([]string{x.Journal}, "journal")
	if x.Now != nil {
		for i, n := range x.Now.Members {
			if known[n.Kernel] {
				continue
			}
			m := member{ID: n.Kernel, Place: "not declared", now: &x.Now.Members[i]}
			if m.Disk, m.there = inventory.Find(x.of.now, n.Kernel); m.there {
				m.ID = m.Disk.ID
			}
			if !x.Declared() {
				m.Place = place(n)
			}
			all = append(all, m)
		}
	}
	for i := range all {
		all[i].State, all[i].Level = all[i].how()
	}
	return all
}

func place(n mdadm.Member) string {
	switch {
	case n.Is("journal"):
		return "journal"
	case n.Role < 0:
		return "spare"
	}
	return fmt.Sprintf("disk %d", n.Role)
}

func (x array) memberNow(kernel string) *mdadm.Member {
	if x.Now == nil {
		return nil
	}
	i := slices.IndexFunc(x.Now.Members, func(m mdadm.Member) bool { return m.Kernel == kernel })
	if i < 0 {
		return nil
	}
	return &x.Now.Members[i]
}

// how is the state of a member in a few words, and how grave that is.
func (m member) how() (string, frame.Level) {
	switch {
	case m.now == nil && !m.there:
		return "not there", frame.Bad
	case m.now == nil:
		return "there, not in the array", frame.Warn
	case m.now.Is("faulty"):
		return "failed", frame.Bad
	case m.now.Is(mdadm.Stale):
		return "left behind: the array went on without it", frame.Warn
	}
	text := strings.ReplaceAll(strings.Join(m.now.State, ", "), "_", "-")
	switch {
	case m.now.Is("in_sync"), m.now.Is("journal"):
		text = strings.Replace(text, "in-sync", "in sync", 1)
	case m.now.Is("spare") && m.now.Role >= 0:
		return strings.Replace(text, "spare", "being filled", 1), frame.Warn
	}
	if m.there && m.Disk.Trouble != "" {
		return text + "; failing", frame.Warn
	}
	return text, frame.Good
}
