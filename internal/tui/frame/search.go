package frame

import (
	"context"

	"github.com/rivo/uniseg"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// Found is an object of the array that search can show.
type Found struct {
	Object string // like device/db01
	Do     func(d *Desk)
}

// SetFinder says how search finds the objects of a document.
func (d *Desk) SetFinder(find func(*config.Document, v1.StorageState) []Found) { d.finder = find }

// search shows all actions and objects to choose from by a part of their names.
func (d *Desk) search() {
	if p, ok := d.top().(*Picker); d.entries == nil || ok && p.search {
		return
	}
	LoadElse(d, "Look for objects", func(ctx context.Context) ([]Found, error) {
		doc, err := d.Document(ctx)
		if err != nil || d.finder == nil {
			return nil, err
		}
		s, err := d.o.Client.Storage(ctx)
		if err != nil {
			s = v1.StorageState{} // who may not see disks finds the rest
		}
		return d.finder(doc, s), nil
	}, d.find, func(error) { d.find(nil) }) // actions are found without the array
}

func (d *Desk) find(objects []Found) {
	p := &Picker{search: true, Title: "Search", Intro: "Type a part of what you look for: an action, a device, a target, an initiator, a disk ..."}
	var do []func(*Desk)
	add := func(name, where, does string, f func(*Desk)) {
		p.Options = append(p.Options, Option{Value: where + "/" + name, Cells: []string{name, where, does}})
		do = append(do, f)
	}
	// What an action does gives way to names: of those, every letter counts.
	width, _ := d.screen.Size()
	names, titles := 0, 0
	for _, f := range objects {
		names = max(names, uniseg.StringWidth(f.Object))
	}
	all := d.entries()
	for _, m := range all {
		titles = max(titles, uniseg.StringWidth(m.Title))
		for _, a := range m.Actions {
			names = max(names, uniseg.StringWidth(a.Title))
		}
	}
	room := width - 16 - names - titles
	if room < 20 { // a few letters of it say nothing
		room = 0
	}
	for _, m := range all {
		for _, a := range m.Actions {
			does := ""
			if room > 0 {
				does = cut(a.Does, room)
			}
			add(a.Title, m.Title, does, a.Do)
		}
	}
	for _, f := range objects {
		add(f.Object, "object", "", f.Do)
	}
	p.Do = func(chosen []string) {
		d.Close(p)
		for i, o := range p.Options {
			if o.Value == chosen[0] {
				do[i](d)
				return
			}
		}
	}
	d.Pick(p)
}
