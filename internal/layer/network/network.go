// Package network is the layer of the appliance's network: its name, its name
// servers, its interfaces. systemd-networkd sets interfaces up from files that
// this layer writes, so that the network comes up at boot without the daemon.
package network

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/networking"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Name is the layer's name in plans.
const Name = "network"

// Machine is the part of the machine that this layer drives
// (networking.Machine).
type Machine interface {
	Links() ([]networking.Link, error)
	DeleteLink(name string) error
	SetMTU(name string, mtu int) error
	Files(patterns ...string) (map[string]string, error)
	WriteFile(path, text string) error
	RemoveFile(path string) error
	Networkd(ctx context.Context) (running, settled bool)
	Reload(ctx context.Context, reconfigure ...string) error
	ReloadResolver(ctx context.Context) error
	Hostname() (string, error)
	SetHostname(name string) error
}

// Files of the machine's names, and of who is asked for others'.
const (
	hostnameFile = "/etc/hostname"
	hostsFile    = "/etc/hosts"
	resolverFile = "/etc/systemd/resolved.conf.d/50-esos.conf"
)

// Layer plans the network.
type Layer struct {
	Machine Machine
	// Patience is how long interfaces may take to be what they were declared
	// as; 25 s if 0.
	Patience time.Duration
}

// Name is network.
func (Layer) Name() string { return Name }

// Observe reads the kernel's interfaces and the files that are ours.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	var err error
	n := &seen.Network
	if n.Files, err = l.Machine.Files(dir+prefix+"*", hostnameFile, hostsFile, resolverFile); err != nil {
		return err
	}
	if !declared.Network.Declared() && len(interfaces(n.Files)) == 0 && n.Files[resolverFile] == "" {
		return nil // nothing of the network is ours
	}
	if n.Links, err = l.Machine.Links(); err != nil {
		return err
	}
	if n.Hostname, err = l.Machine.Hostname(); err != nil {
		return fmt.Errorf("read the machine's name: %w", err)
	}
	_, n.Settled = l.Machine.Networkd(ctx)
	return nil
}

// interfaces returns the names of the interfaces that files are of, in order.
func interfaces(files map[string]string) []string {
	var names []string
	for p := range files {
		rest, ok := strings.CutPrefix(p, dir+prefix)
		if !ok {
			continue
		}
		for _, s := range suffixes {
			if name, ok := strings.CutSuffix(rest, s); ok && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Plan changes the interfaces that differ, and nothing of the others.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	l.names(declared.Network, seen, b)
	l.resolver(declared.Network, seen, b)
	c := &change{machine: l.Machine, want: declared.Network, patience: cmp.Or(l.Patience, settleTime),
		sizes: map[string]int{}, undone: map[string]int{}}
	for _, f := range declared.Network.Interfaces {
		l.declare(f.WithDefaults(), seen, b, c)
	}
	for _, name := range interfaces(seen.Network.Files) {
		if declared.Network.Find(name) == nil {
			l.remove(name, seen, b, c)
		}
	}
	c.finish(b)
}

// declare plans one interface.
func (l Layer) declare(f config.Interface, seen *layer.Observed, b *plan.Builder, c *change) {
	object := "interface/" + f.Name
	link := find(seen.Network, f)
	_, before := seen.Before(object)
	if reason := misfit(f, link, seen.Network); reason != "" {
		if !before {
			b.Problem(object, "%s", reason)
			return
		}
		// Declared before: it may come back. Its files stay.
		b.Block(object, "%s", reason)
	}
	files := Render(c.want, f)
	had := filesOf(seen.Network.Files, f.Name)
	differs := !sameFiles(had, files)
	if !differs {
		if why := missing(f, c.want, link, seen.Network); why != "" && seen.Network.Settled && (link != nil || f.Kind != config.KindEthernet) {
			b.Add(c.step(plan.Step{
				Layer: Name, Object: object, Action: plan.Change,
				Sentence: fmt.Sprintf("Set up interface %s again: %s", f.Name, why),
			}, f.Name, files, had))
			c.again = append(c.again, f.Name)
		}
		return
	}
	step := plan.Step{Layer: Name, Object: object, Action: plan.Create, Sentence: fmt.Sprintf("Set up interface %s: %s", f.Name, describe(f))}
	if len(had) > 0 {
		step.Action, step.Sentence = plan.Change, "Change interface "+f.Name
		if old, ok := before2(seen, object); ok {
			step.Changes = config.Fields(old, f)
		}
	}
	if link != nil && link.Up && (len(link.Addresses) > 0 || link.Master != "") {
		step.Disrupts = "connections over " + f.Name + " may end"
	}
	b.Add(c.step(step, f.Name, files, had))
	c.touched = append(c.touched, f.Name)
	c.resize(link, had, files, f.Name)
	if link != nil && link.Kind != "" && had[path(f.Name, ".netdev")] != files[path(f.Name, ".netdev")] {
		c.outdated = append(c.outdated, f.Name)
	}
}

// before2 is the interface as it was declared, with its defaults.
func before2(seen *layer.Observed, object string) (config.Interface, bool) {
	v, ok := seen.Before(object)
	if !ok {
		return config.Interface{}, false
	}
	f, ok := v.(config.Interface)
	return f.WithDefaults(), ok
}

// remove plans the end of an interface that is declared no more.
func (l Layer) remove(name string, seen *layer.Observed, b *plan.Builder, c *change) {
	had := filesOf(seen.Network.Files, name)
	step := plan.Step{Layer: Name, Object: "interface/" + name, Action: plan.Delete,
		Sentence: fmt.Sprintf("Leave interface %s to the image's default", name)}
	link := seen.Network.Link(name)
	if had[path(name, ".netdev")] != "" {
		step.Sentence = "Remove interface " + name
		if link != nil {
			c.outdated = append(c.outdated, name)
		}
	}
	if link != nil && len(link.Addresses) > 0 {
		step.Disrupts = "connections over " + name + " end"
	}
	b.Add(c.step(step, name, nil, had))
	c.resize(link, had, nil, name)
}

// describe says in a few words what an interface is.
func describe(f config.Interface) string {
	var parts []string
	switch {
	case f.Bond != nil:
		parts = append(parts, fmt.Sprintf("%s bond of %s", f.Bond.Mode, strings.Join(f.Bond.Members, ", ")))
	case f.VLAN != nil:
		parts = append(parts, fmt.Sprintf("VLAN %d on %s", f.VLAN.ID, f.VLAN.Parent))
	case f.Bridge != nil && len(f.Bridge.Members) > 0:
		parts = append(parts, "bridge of "+strings.Join(f.Bridge.Members, ", "))
	case f.Bridge != nil || f.Kind == config.KindBridge:
		parts = append(parts, "bridge")
	default:
		parts = append(parts, "port")
	}
	parts = append(parts, f.Addresses...)
	if f.DHCP != "none" {
		parts = append(parts, map[string]string{"ipv4": "DHCP for IPv4", "ipv6": "DHCP for IPv6", "both": "DHCP"}[f.DHCP])
	}
	if f.MTU != 0 {
		parts = append(parts, fmt.Sprintf("MTU %d", f.MTU))
	}
	return strings.Join(parts, ", ")
}

func filesOf(files map[string]string, name string) map[string]string {
	of := map[string]string{}
	for _, s := range suffixes {
		if text, ok := files[path(name, s)]; ok {
			of[path(name, s)] = text
		}
	}
	return of
}

func sameFiles(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for p, text := range b {
		if have, ok := a[p]; !ok || have != text {
			return false
		}
	}
	return true
}
