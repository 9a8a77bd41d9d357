package appliance

import (
	"fmt"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
)

// large has 1,000 devices on 50 targets with 200 groups.
func large() *config.Document {
	d := &config.Document{Version: 1, Name: "large", ID: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
		ISCSI: config.ISCSI{Portals: []config.Portal{{Name: "p1", Address: "127.0.0.1:3260"}}}}
	for i := range 1000 {
		d.Devices = append(d.Devices, config.Device{Name: fmt.Sprintf("d%03d", i), Handler: config.FileIO, Size: 1 << 20})
	}
	for t := range 50 {
		target := config.Target{Name: fmt.Sprintf("iqn.2026-11.com.example:t%02d", t)}
		for g := range 4 {
			group := config.Group{Name: fmt.Sprintf("g%d", g), Initiators: []string{fmt.Sprintf("iqn.1993-08.org.debian:h%d-%d-*", t, g)}}
			for l := range 5 {
				group.LUNs = append(group.LUNs, config.LUN{LUN: l, Device: fmt.Sprintf("d%03d", t*20+g*5+l)})
			}
			target.Groups = append(target.Groups, group)
		}
		d.Targets = append(d.Targets, target)
	}
	return d
}

// BenchmarkApply is bar 7: the whole in under 5 s, one line in under 200 ms.
func BenchmarkApply(b *testing.B) {
	begin := func(b *testing.B) *Appliance {
		a, err := Open(b.Context(), Options{DataDir: b.TempDir(), Engine: &enginetest.Memory{}, Log: quiet(), Retry: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		return a
	}
	change := func(b *testing.B, a *Appliance, c Change) {
		op, err := a.Apply(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		if err := op.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	text, err := config.Marshal(large())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			a := begin(b)
			doc, _, err := config.Parse("large.yaml", text)
			if err != nil {
				b.Fatal(err)
			}
			change(b, a, Change{Document: doc})
			a.Close()
		}
	})
	b.Run("same", func(b *testing.B) {
		a := begin(b)
		change(b, a, Change{Document: large()})
		for b.Loop() {
			doc, _, err := config.Parse("large.yaml", text)
			if err != nil {
				b.Fatal(err)
			}
			change(b, a, Change{Document: doc})
		}
		a.Close()
	})
	b.Run("line", func(b *testing.B) {
		a := begin(b)
		change(b, a, Change{Document: large()})
		size := 1 << 20
		for b.Loop() {
			doc, _, err := config.Parse("large.yaml", text)
			if err != nil {
				b.Fatal(err)
			}
			size += 4096
			doc.Devices[500].Size = config.Size(size)
			change(b, a, Change{Document: doc})
		}
		a.Close()
	})
	b.Run("edit", func(b *testing.B) {
		a := begin(b)
		change(b, a, Change{Document: large()})
		size := config.Size(1 << 20)
		for b.Loop() {
			size += 4096
			change(b, a, Change{Edit: func(d *config.Document) error { d.Devices[500].Size = size; return nil }})
		}
		a.Close()
	})
}
