package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// change is all that one plan does to interfaces. Their files are written one
// step each; the last step has them all put into force at once, since a bond,
// its ports and the VLANs on it come about together or not at all.
type change struct {
	machine  Machine
	want     config.Network
	ids      []plan.ID
	touched  []string       // whose files are written
	again    []string       // to be set up though nothing of their files changed
	outdated []string       // bonds, VLANs, bridges to be taken away first
	undo     []string       // to be taken away when this is undone
	sizes    map[string]int // MTUs to be set that no file says
	undone   map[string]int // and those to be set when this is undone
	patience time.Duration
}

// settleTime is how long interfaces may take to be what they were declared as.
// Duplicate address detection takes a second or two (RFC 4862 5.4), a bond and
// what is on it about as long each.
const settleTime = 25 * time.Second

// step completes a step that brings an interface's files from had to files.
func (c *change) step(s plan.Step, name string, files, had map[string]string) plan.Step {
	// One phase for all, and so one order: they are put into force together.
	s.Phase = plan.Build
	s.Do = func(context.Context, plan.Report) error { return c.write(name, files) }
	first := len(c.ids) == 0
	if had[path(name, ".netdev")] != files[path(name, ".netdev")] {
		c.undo = append(c.undo, name)
	}
	s.Undo = func(ctx context.Context) error {
		err := c.write(name, had)
		if first { // undone last: every file is back
			err = errors.Join(err, c.force(ctx, c.undo, c.again, c.undone))
		}
		return err
	}
	c.ids = append(c.ids, plan.StepID(s.Action, s.Object))
	return s
}

// resize notes an interface whose MTU one file says and the other does not: one
// that is said no more stays what it was.
func (c *change) resize(l *link, had, files map[string]string, name string) {
	const key = "\nMTUBytes="
	p := path(name, ".network")
	before, after := strings.Contains(had[p], key), strings.Contains(files[p], key)
	switch {
	case l == nil || before == after:
	case before && (l.Kind == "" || files != nil):
		c.sizes[l.Name] = config.DefaultMTU
	case after:
		c.undone[l.Name] = l.MTU
	}
}

// write makes an interface's files what they are to be.
func (c *change) write(name string, files map[string]string) error {
	for _, s := range suffixes {
		p := path(name, s)
		text, ok := files[p]
		if !ok {
			if err := c.machine.RemoveFile(p); err != nil {
				return err
			}
			continue
		}
		if err := c.machine.WriteFile(p, text); err != nil {
			return err
		}
	}
	return nil
}

// finish adds the step that puts all that was written into force.
func (c *change) finish(b *plan.Builder) {
	if len(c.ids) == 0 {
		return
	}
	b.Add(plan.Step{
		Layer: Name, Object: Name, Action: plan.Change, Needs: c.ids, Phase: plan.Build,
		Sentence: "Put the network's settings into force",
		Do: func(ctx context.Context, _ plan.Report) error {
			if err := c.force(ctx, c.outdated, c.again, c.sizes); err != nil {
				return err
			}
			return c.wait(ctx)
		},
	})
}

// force takes away what cannot be changed in place and has the files read.
func (c *change) force(ctx context.Context, outdated, again []string, sizes map[string]int) error {
	// From the top down: a bond that goes takes the VLANs on it along, and
	// those would then be made anew without having been declared so.
	for _, name := range slices.Backward(outdated) {
		if err := c.machine.DeleteLink(name); err != nil {
			return err
		}
	}
	links, err := c.machine.Links()
	if err != nil {
		return err
	}
	// After those went: a bond gives its ports back the MTU that they came with.
	for _, l := range links {
		if mtu, ok := sizes[l.Name]; ok && l.MTU != mtu {
			if err := c.machine.SetMTU(l.Name, mtu); err != nil {
				return err
			}
		}
	}
	var there []string
	for _, name := range outdated {
		// What is made anew gets its ports back only when they are told.
		if f := c.want.Find(name); f != nil {
			there = append(there, c.neighbours(*f, links)...)
		}
	}
	for _, name := range again {
		f := c.want.Find(name)
		if f == nil {
			continue
		}
		if l := find(layer.Network{Links: links}, f.WithDefaults()); l != nil {
			there = append(there, l.Name)
		} else { // made again by what it is on, or what is in it
			there = append(there, c.neighbours(*f, links)...)
		}
	}
	slices.Sort(there)
	return c.machine.Reload(ctx, slices.Compact(there)...)
}

// neighbours are the interfaces that a lost one is made again with.
func (c *change) neighbours(f config.Interface, links []link) []string {
	names := slices.Clone(f.Members())
	if f.VLAN != nil {
		names = append(names, f.VLAN.Parent)
	}
	var there []string
	for _, n := range names {
		if l := declaredLink(c.want, layer.Network{Links: links}, n); l != nil {
			there = append(there, l.Name)
		}
	}
	return there
}

// wait returns when every interface that was touched is what it was declared
// as, or says which one is not.
func (c *change) wait(ctx context.Context) error {
	if running, _ := c.machine.Networkd(ctx); !running {
		return nil // the system starts; it reads the files by and by
	}
	deadline := time.Now().Add(c.patience)
	for {
		late, err := c.late()
		if err != nil {
			return err
		}
		if len(late) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			text := make([]string, 0, len(late))
			for _, name := range slices.Sorted(maps.Keys(late)) {
				text = append(text, fmt.Sprintf("interface %s: %s", name, late[name]))
			}
			return fmt.Errorf("after %v still not as declared: %s; journalctl -u systemd-networkd may tell why", c.patience, strings.Join(text, "; "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// late returns what is missing of the interfaces that were touched.
func (c *change) late() (map[string]string, error) {
	links, err := c.machine.Links()
	if err != nil {
		return nil, err
	}
	n := layer.Network{Links: links}
	late := map[string]string{}
	names := slices.Concat(c.touched, c.again)
	for _, name := range c.outdated { // took along what was on it
		for _, v := range c.want.VLANs(name) {
			names = append(names, v.Name)
		}
	}
	for _, name := range names {
		f := c.want.Find(name)
		if f == nil {
			continue
		}
		d := f.WithDefaults()
		l := find(n, d)
		if l == nil && d.Kind == config.KindEthernet {
			continue // a port that is not there; its files wait for it
		}
		if why := missing(d, c.want, l, n); why != "" {
			late[name] = why
		}
	}
	return late, nil
}
