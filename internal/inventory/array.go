package inventory

import (
	"fmt"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// Array is a RAID array as it is declared and as it is.
type Array struct {
	config.Array
	Now *v1.ArrayState `json:"now,omitempty"`
}

// Arrays puts together what the document declares and what there is: the
// declared ones first.
func Arrays(doc *config.Document, now []v1.ArrayState) []Array {
	all := []Array{}
	byName := map[string]*v1.ArrayState{}
	for i := range now {
		byName[now[i].Declared] = &now[i]
	}
	for _, x := range doc.Storage.Arrays {
		all = append(all, Array{Array: x, Now: byName[x.Name]})
	}
	for i := range now {
		if now[i].Declared == "" {
			all = append(all, Array{Array: config.Array{Name: now[i].Name, Level: now[i].Level, UUID: now[i].UUID}, Now: &now[i]})
		}
	}
	return all
}

// Declared says whether the document has it.
func (a Array) Declared() bool { return a.Now == nil || a.Now.Declared != "" }

// State is how an array is, in few words.
func (a Array) State() string {
	n := a.Now
	switch {
	case n == nil:
		return "not there"
	case !n.Running():
		return n.State
	}
	text := n.State
	if n.Degraded > 0 {
		text = fmt.Sprintf("degraded, %d of %d disks", n.Disks-n.Degraded, n.Disks)
	}
	if n.Sync.Busy() {
		text += fmt.Sprintf(", %s %.0f %%", n.Sync.Action, 100*n.Sync.Done)
	}
	if n.Declared == "" {
		text += ", not declared"
	}
	return text
}

// Pairs is all that is known of an array.
func (a Array) Pairs() Pairs {
	var p Pairs
	p.add("Name", a.Name)
	p.add("Path", a.Path())
	p.add("Level", a.Level)
	p.add("State", a.State())
	p.add("Disks", strings.Join(a.Disks, "; "))
	p.add("Spares", strings.Join(a.Spares, "; "))
	p.add("Journal", a.Journal)
	p.add("Write-mostly", strings.Join(a.WriteMostly, "; "))
	p.add("Check", a.Check)
	p.add("Speed, least", size(a.SpeedMin))
	p.add("Speed, most", size(a.SpeedMax))
	n := a.Now
	if n == nil {
		p.add("UUID", a.UUID)
		return p
	}
	p.add("UUID", n.UUID)
	p.add("Size", config.Size(n.Size).Human())
	p.add("Chunk", size(config.Size(n.Chunk)))
	p.add("Layout", n.Layout)
	p.add("After a crash", n.Policy)
	var members []string
	for _, m := range n.Members {
		place := "-"
		if m.Role >= 0 {
			place = fmt.Sprint(m.Role)
		}
		members = append(members, fmt.Sprintf("%s: %s, %s", place, m.Kernel, strings.Join(m.State, ", ")))
	}
	p.add("Members", strings.Join(members, "; "))
	p.add("Last check", checked(n.Check))
	return p
}

// checked is how the last check of an array went.
func checked(k *v1.ArrayCheck) string {
	switch {
	case k == nil:
		return ""
	case k.Finished.IsZero():
		return k.Action + " begun " + when(k.Begun)
	}
	return fmt.Sprintf("%s of %s: %d sectors differed", k.Action, when(k.Finished), k.Mismatches)
}

func size(s config.Size) string {
	if s == 0 {
		return ""
	}
	return s.String()
}
