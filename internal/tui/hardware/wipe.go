package hardware

import (
	"context"
	"slices"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// giving is a way to give up what is on a disk.
type giving struct{ kind, command, title, text string }

// wipe makes a disk count as blank.
func wipe() giving {
	return giving{"disk/", "esos disk wipe ", "Wipe", "Its signatures, its partition table, and its first and last MiB are taken away, so that it counts as blank. What was on it is lost. " +
		"The rest of its bytes stays, and can be read by who has the disk: to have a disk forget, discard it, or use its own means."}
}

// discard tells a disk that nothing on it is needed.
func discard() giving {
	return giving{"discard/", "esos disk discard ", "Discard", "It is wiped, and told that none of its bytes is needed any more (TRIM, UNMAP): flash is as fast as new after that. " +
		"What was on it is lost, and can mostly not be read any more, though no standard promises that."}
}

// refused says why a disk cannot be given up in this way.
func (g giving) refused(k v1.Disk) string {
	switch {
	case k.Why != "":
		return k.Why
	case g.kind == discard().kind && !k.Discards:
		return "it takes no discards; wipe it instead"
	}
	return ""
}

func giveUpOne(d *frame.Desk, g giving) {
	pickDisk(d, g.title+" which disk?", g.refused, func(k v1.Disk) { g.ask(d, k) })
}

// ask shows the plan, whose confirmation is the disk's name. The document stays
// as it is.
func (g giving) ask(d *frame.Desk, k v1.Disk) {
	if why := g.refused(k); why != "" {
		d.Warn(g.title+" "+k.ID+"?", "That cannot be done: "+why+".")
		return
	}
	d.Ask(g.title+" "+k.ID+"?", g.text+"\n\nThe plan comes first: it says what would be lost, and asks for the disk's name.", "Show the plan", func() {
		name := g.kind + k.ID
		if g.kind == wipe().kind {
			d.Change(frame.Change{Why: g.command + k.ID, Destroy: []string{name}, Edit: func(*config.Document) error { return nil }})
			return
		}
		// The name that is consent is not that of the object which is discarded.
		var old client.Document
		d.Operate(frame.Operation{Title: g.command + k.ID,
			Plan: func(ctx context.Context, destroy []string) (v1.Plan, error) {
				var err error
				if old, err = d.Client().Document(ctx, false); err != nil {
					return v1.Plan{}, err
				}
				p, err := d.Client().Plan(ctx, old.Text, append(slices.Clone(destroy), name))
				p.Needs = append(p.Needs, name)
				return p, err
			},
			Begin: func(ctx context.Context, destroy []string) (v1.Operation, error) {
				return d.Client().Apply(ctx, old.Text, client.ChangeOptions{IfMatch: old.ETag, Why: g.command + k.ID, Destroy: destroy})
			}})
	})
}
