package upkeep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
)

// served is what is known of who serves.
type served struct {
	status   v1.Status
	document *config.Document
	sessions []engine.Session
	counters engine.Statistics
}

// engineInformation shows who serves, and what they did so far.
func engineInformation(d *frame.Desk) {
	p := &frame.Page{Title: "Engine Information", Command: "esos status",
		Help: "Who serves SCSI, since when, what it is asked to serve and what it did since it came up. Statistics in this menu shows what it does now."}
	read := func() {
		frame.Load(d, "Look at the engine", func(ctx context.Context) (served, error) {
			var s served
			var err error
			if s.status, err = d.Client().Status(ctx); err != nil {
				return s, err
			}
			if s.document, err = d.Document(ctx); err != nil {
				return s, err
			}
			if s.sessions, err = d.Client().Sessions(ctx); err != nil {
				return s, err
			}
			s.counters, err = d.Client().Statistics(ctx)
			return s, err
		}, func(s served) { p.Text = s.text() })
	}
	p.Keys = []frame.PageKey{{Key: 'l', Does: "look again", Do: read}}
	d.Page(p)
	read()
}

func (s served) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(&b, "%-14s %s\n", name, text)
		}
	}
	can := abilityOf(s.status.Engine)
	line("Engine", "%s", strings.TrimSuffix(s.status.Engine+": "+can.what, ": "))
	line("Version", "ESOS %s", s.status.Version)
	line("Array", "%s, %s", s.document.Name, s.status.State)
	line("Setup", "%s", s.document.ID)
	line("Up since", "%s", when(s.status.Started))
	line("Document", "revision %d of %s by %s", s.status.Revision.Number, when(s.status.Revision.When), s.status.Revision.Who)
	for _, p := range s.status.Problems {
		line("Problem", "%s", p)
	}
	b.WriteString("\n")
	line("Portals", "%s", strings.Join(s.status.Portals, ", "))
	line("Targets", "%d%s", s.status.Targets, kinds(s.document.Targets, func(t config.Target) string { return t.WithDefaults().Driver.Human() }))
	line("Devices", "%d%s", s.status.Devices, kinds(s.document.Devices, func(d config.Device) string { return string(d.Handler) }))
	line("LUNs", "%d", s.status.LUNs)
	active := 0
	for _, x := range s.sessions {
		active += x.Active
	}
	line("Sessions", "%d, with %s under way", len(s.sessions), count(active, "command"))
	var n engine.Counters
	for _, l := range s.counters.LUNs {
		n.Reads, n.Writes, n.Other, n.Errors = n.Reads+l.Counters.Reads, n.Writes+l.Counters.Writes, n.Other+l.Counters.Other, n.Errors+l.Counters.Errors
		n.ReadBytes, n.WriteBytes = n.ReadBytes+l.Counters.ReadBytes, n.WriteBytes+l.Counters.WriteBytes
	}
	line("Done so far", "%d reads (%s), %d writes (%s)", n.Reads, size(n.ReadBytes), n.Writes, size(n.WriteBytes))
	line("", "%d others, %d errors", n.Other, n.Errors)
	if can.what != "" {
		b.WriteString("\n")
		line("Transports", "%s", strings.Join(can.transports(), ", "))
		line("Device types", "%s", strings.Join(can.handlerNames(), ", "))
	}
	if text := attributesText(s.document); text != "" {
		b.WriteString("\nThe engine's own attributes that the document sets:\n" + text)
	}
	return b.String()
}

// kinds counts what there is of each kind.
func kinds[T any](all []T, kind func(T) string) string {
	n := map[string]int{}
	for _, x := range all {
		n[kind(x)]++
	}
	var words []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		words = append(words, fmt.Sprintf("%d %s", n[k], k))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// attributesText are what the document has no words of its own for, such as
// numbers of threads.
func attributesText(doc *config.Document) string {
	var b strings.Builder
	add := func(object string, attributes map[string]string) {
		for _, k := range slices.Sorted(maps.Keys(attributes)) {
			fmt.Fprintf(&b, "  %s: %s = %s\n", object, k, attributes[k])
		}
	}
	for _, x := range doc.Devices {
		add("device "+x.Name, x.Attributes)
	}
	for _, t := range doc.Targets {
		add("target "+t.Name, t.Attributes)
		for _, g := range t.Groups {
			add("group "+g.Name+" of "+t.Name, g.Attributes)
		}
	}
	return b.String()
}

// ability is what an engine can do.
type ability struct {
	what     string
	iser     bool
	drivers  []config.Driver
	handlers []config.Handler
}

// abilityOf is what an engine can do on a machine that has what it takes.
func abilityOf(name string) ability {
	kernels := []config.Driver{config.DriverISCSI, config.DriverSRP, config.DriverFC, config.DriverFCoE, config.DriverLocal}
	switch name {
	case "native":
		return ability{"ESOS's own target, in user space", false, []config.Driver{config.DriverISCSI},
			[]config.Handler{config.FileIO, config.BlockIO, config.NullIO, config.Memory, config.CDROM}}
	case "lio":
		return ability{"the target of every Linux kernel", true, kernels,
			[]config.Handler{config.FileIO, config.BlockIO, config.NullIO, config.Memory, config.PassDisk, config.PassTape, config.PassCDROM, config.PassChanger}}
	case "scst":
		return ability{"the SCSI target subsystem for Linux", false, kernels,
			[]config.Handler{config.FileIO, config.BlockIO, config.NullIO, config.CDROM, config.PassDisk, config.PassTape, config.PassCDROM, config.PassChanger,
				config.PassMODisk, config.PassProcessor, config.PassRAID}}
	}
	return ability{}
}

func (a ability) transports() []string {
	var s []string
	for _, d := range a.drivers {
		s = append(s, d.Human())
	}
	if a.iser {
		s = append(s, "iSER")
	}
	return s
}

func (a ability) handlerNames() []string {
	var s []string
	for _, h := range a.handlers {
		s = append(s, string(h))
	}
	return s
}
