package remote

import (
	"context"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/nvmehost"
)

// nvme is the way to a subsystem that is declared.
func (p *planning) nvme(n config.RemoteNVMe) way {
	to := nvmehost.Path{Subsystem: n.Subsystem, Transport: n.Transport, Address: n.Endpoint()}
	w := p.controller(n.Object(), to)
	w.declared = n
	if n.Transport == "tcp" {
		w.tcp = to.Address.String()
	}
	return w
}

// controller is the way that a controller is, or may become.
func (p *planning) controller(object string, to nvmehost.Path) way {
	w := way{object: object, text: "NVMe subsystem " + to.String(), forget: func() error { return nil }}
	if i := slices.IndexFunc(p.seen.Storage.Remote.NVMe, to.Is); i >= 0 {
		c := p.seen.Storage.Remote.NVMe[i]
		w.there, w.works, w.disks = true, c.State == nvmehost.Live, c.Disks
	}
	w.brings = func(path string) bool { return byID(path, "nvme-") }
	w.in = func(ctx context.Context) error { return nvmehost.Connect(ctx, p.Machine, to) }
	now := func() (nvmehost.Controller, bool, error) {
		list, err := nvmehost.Controllers(p.Machine)
		i := slices.IndexFunc(list, to.Is)
		if err != nil || i < 0 {
			return nvmehost.Controller{}, false, err
		}
		return list[i], true, nil
	}
	w.look = func() (bool, []string, error) { c, ok, err := now(); return ok, c.Disks, err }
	w.again = func(context.Context) error { return nil } // controllers tell of new disks by themselves
	w.out = func(ctx context.Context) error {
		c, ok, err := now()
		if err != nil || !ok {
			return err
		}
		return nvmehost.Disconnect(ctx, p.Machine, c)
	}
	return w
}

// byID says whether a path is one of those names of disks in /dev/disk/by-id
// that tell nothing of where they come from.
func byID(path string, prefixes ...string) bool {
	name, ok := strings.CutPrefix(path, "/dev/disk/by-id/")
	return ok && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func has(list []string, s string) bool { return slices.Contains(list, s) }
