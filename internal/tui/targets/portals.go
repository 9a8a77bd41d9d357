package targets

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// portals shows the addresses that initiators connect to.
func portals(d *frame.Desk) {
	d.List(&frame.List{Title: "iSCSI Portals", Command: "esos portal list",
		Help:    "Addresses that initiators connect to. Targets are reached by all of them, unless they name some.",
		Empty:   "There is no portal, so no initiator can connect. Press a to add one.",
		Columns: []frame.Column{{Title: "portal"}, {Title: "address", Wide: true}, {Title: "group", Right: true}, {Title: "announced as"}, {Title: "iSER"}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, p := range doc.ISCSI.Portals {
				rows = append(rows, frame.Row{ID: p.Name, Cells: []string{p.Name, p.Address, fmt.Sprint(p.WithDefaults().Group), p.Announce, pick.YesNo(p.ISER)}})
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Key: 'c', Does: "change", Do: func(r frame.Row) { portal(d, r.ID) }},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { portal(d, "") }},
			{Key: 'd', Does: "remove", Do: func(r frame.Row) {
				d.Change(frame.Change{Why: pick.Command("portal", "delete", r.ID), Edit: func(doc *config.Document) error { return doc.RemovePortal(r.ID) }})
			}},
		}})
}

// portal asks for a new portal, or for other settings of one.
func portal(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		old := name != ""
		p := config.Portal{}
		f := &frame.Form{Title: "Add Portal", Command: "esos portal create PORTAL ADDRESS", Submit: "Add"}
		host, port := "", "3260"
		if old {
			have, err := s.Doc.FindPortal(name)
			if err != nil {
				d.Fail("Change portal "+name, err)
				return
			}
			p = *have
			if host, port, err = net.SplitHostPort(p.Address); err != nil {
				host, port = p.Address, ""
			}
			f.Title, f.Command, f.Submit = "Portal "+name, "esos portal set "+name, "Change"
			f.Intro = "Sessions on the old address end when the address changes."
		}
		group := fmt.Sprint(p.WithDefaults().Group)
		f.Help = "Portals of one portal group are paths of the same target port; those of several groups are several ports."
		f.Fields = []frame.Field{
			{Label: "Name", Text: &p.Name, Show: func() bool { return !old }, Hint: "Letters, digits and . _ -, such as front1.",
				Check: frame.Name(64, pick.Taken(s.Doc.ISCSI.Portals, func(p config.Portal) string { return p.Name }))},
			{Label: "Address", Text: &host, Check: frame.Optional(frame.Address), Hint: "One of this machine, IPv4 or IPv6, such as 192.0.2.10 or 2001:db8::10. Every address if nothing is typed."},
			{Label: "TCP port", Text: &port, Hint: "3260 is iSCSI's.", Check: func(text string) error {
				if err := frame.Number(1, 65535)(text); err != nil {
					return err
				}
				for _, x := range s.Doc.ISCSI.Portals {
					if x.Address == net.JoinHostPort(host, text) && x.Name != name {
						return fmt.Errorf("portal %s has this address and port", x.Name)
					}
				}
				return nil
			}},
			{Label: "Portal group", Text: &group, Check: frame.Number(1, 65535), Hint: "Portal group tag; 1 as a rule. Paths with an access state of their own (ALUA) need one of their own."},
			{Label: "Announced as", Text: &p.Announce, Check: frame.Optional(hostPort), Hint: "host:port that is told in discovery instead, behind NAT; empty as a rule."},
			{Label: "iSER", Yes: &p.ISER, Show: func() bool { return s.Doc.EngineName() != "native" || p.ISER }, Hint: "Over RDMA, too; the address must be that of an RDMA device."},
		}
		f.Do = func() {
			want := p
			want.Address = net.JoinHostPort(host, port)
			if want.Group, _ = strconv.Atoi(group); want.Group == 1 { // it was checked
				want.Group = 0
			}
			args := []string{"portal", "create", want.Name, want.Address, "--group", group}
			if old {
				args = []string{"portal", "set", name, "--address", want.Address, "--group", group}
			}
			if want.Announce != "" {
				args = append(args, "--announce", want.Announce)
			}
			if want.ISER {
				args = append(args, "--iser")
			}
			d.Change(frame.Change{Why: strings.TrimSpace(pick.Command(args...)), From: f, Edit: func(doc *config.Document) error {
				if !old {
					return doc.AddPortal(want)
				}
				have, err := doc.FindPortal(name)
				if err != nil {
					return err
				}
				*have = want
				return nil
			}})
		}
		d.Form(f)
	})
}
