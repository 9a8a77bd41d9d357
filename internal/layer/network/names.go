package network

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/networking"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

type link = networking.Link

// names plans the machine's name: the kernel's, the file that the next boot
// reads, and the line that makes it known to the machine itself. One that is
// not declared stays what it is.
func (l Layer) names(want config.Network, seen *layer.Observed, b *plan.Builder) {
	h := want.Names()
	if h.Hostname == "" {
		return
	}
	old, hosts := seen.Network.Files[hostnameFile], seen.Network.Files[hostsFile]
	next := renderHosts(hosts, h)
	had := seen.Network.Hostname
	if strings.TrimSpace(old) == h.Hostname && hosts == next && had == h.Hostname {
		return
	}
	put := func(name, kernel, hosts string) error {
		return errors.Join(l.Machine.WriteFile(hostsFile, hosts), l.Machine.WriteFile(hostnameFile, name), l.Machine.SetHostname(kernel))
	}
	full := h.Hostname
	if h.Domain != "" {
		full += "." + h.Domain
	}
	b.Add(plan.Step{
		Layer: Name, Object: "hostname", Action: plan.Change,
		Sentence: fmt.Sprintf("Name the machine %s", full),
		Changes:  config.Fields(config.Hostname{Hostname: strings.TrimSpace(old)}, config.Hostname{Hostname: h.Hostname}),
		Do: func(context.Context, plan.Report) error {
			return put(h.Hostname+"\n", h.Hostname, next)
		},
		Undo: func(context.Context) error { return put(old, had, hosts) },
	})
}

// resolver plans who is asked for names.
func (l Layer) resolver(want config.Network, seen *layer.Observed, b *plan.Builder) {
	text, had := renderResolver(want.Resolver()), seen.Network.Files[resolverFile]
	if text == had {
		return
	}
	put := func(ctx context.Context, text string) error {
		var err error
		if text == "" {
			err = l.Machine.RemoveFile(resolverFile)
		} else {
			err = l.Machine.WriteFile(resolverFile, text)
		}
		if err != nil {
			return err
		}
		return l.Machine.ReloadResolver(ctx)
	}
	s := plan.Step{
		Layer: Name, Object: "dns", Action: plan.Change,
		Do:   func(ctx context.Context, _ plan.Report) error { return put(ctx, text) },
		Undo: func(ctx context.Context) error { return put(ctx, had) },
	}
	switch {
	case text == "":
		s.Action, s.Phase, s.Sentence = plan.Delete, plan.Build, "Ask only the name servers that DHCP tells of"
	case len(want.DNS) == 0:
		s.Sentence = "Look for short names in " + strings.Join(want.Search, ", ")
	default:
		s.Sentence = "Ask " + strings.Join(want.DNS, ", ") + " for names"
	}
	if had == "" {
		s.Action = plan.Create
	}
	b.Add(s)
}
