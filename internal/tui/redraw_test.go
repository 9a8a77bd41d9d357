package tui_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/home"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// many is a document with 1,000 devices and 1,000 LUNs.
func many() string {
	var b strings.Builder
	b.WriteString("version: 1\nname: big\ndevices:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "- {name: db%04d, handler: vdisk_nullio, size: 1GiB}\n", i)
	}
	b.WriteString("targets:\n- name: iqn.2026-11.org.esos-project:big\n  luns:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "  - {lun: %d, device: db%04d}\n", i, i)
	}
	return b.String()
}

// BenchmarkRedraw draws screens of 200x60 of an array with 1,000 sessions and
// 1,000 LUNs, all of it anew each time. A redraw is to take less than 16 ms.
func BenchmarkRedraw(b *testing.B) {
	a := apitest.New(b, apitest.Options{Document: many()})
	var sessions []engine.Session
	for i := range 1000 {
		sessions = append(sessions, engine.Session{ID: fmt.Sprint(i), Target: "iqn.2026-11.org.esos-project:big", Initiator: fmt.Sprintf("iqn.2026-11.com.example:host%04d", i), LUNs: 1000})
	}
	a.Engine.SetSessions(sessions...)
	rows := func(context.Context) ([]frame.Row, error) {
		var all []frame.Row
		for i := range 1000 {
			all = append(all, frame.Row{ID: fmt.Sprint(i), Cells: []string{fmt.Sprintf("db%04d", i), "vdisk_nullio", "1 GiB", strings.Repeat("x", 60)}})
		}
		return all, nil
	}
	for _, x := range []struct {
		name, shows string
		open        func(*frame.Desk)
	}{
		{"home", "Sessions (1000)", func(*frame.Desk) {}},
		{"list", "1 of 1000", func(d *frame.Desk) {
			d.List(&frame.List{Title: "Devices", Columns: []frame.Column{{Title: "device", Wide: true}, {Title: "handler"}, {Title: "size", Right: true}, {Title: "path"}}, Read: rows})
		}},
		{"picker", "db0000", func(d *frame.Desk) {
			p := &frame.Picker{Title: "Device", Columns: []string{"device", "handler", "size", "path"}, Many: true, Do: func([]string) {}}
			for i := range 1000 {
				p.Options = append(p.Options, frame.Option{Value: fmt.Sprintf("db%04d", i), Cells: []string{fmt.Sprintf("db%04d", i), "vdisk_nullio", "1 GiB", strings.Repeat("x", 60)}})
			}
			d.Pick(p)
		}},
	} {
		b.Run(x.name, func(b *testing.B) {
			c := tuitest.New(b, tuitest.Options{Client: a.Client, Menus: tui.Menus, Width: 200, Height: 60,
				First: func(d *frame.Desk) frame.Screen { return home.New(d, tui.Menus()) }})
			c.Wait("Sessions (1000)")
			c.In(x.open)
			c.Wait(x.shows)
			var took time.Duration
			n := 0
			for b.Loop() {
				c.In(func(d *frame.Desk) {
					begun := time.Now()
					c.Screen.Fill(' ', tcell.StyleDefault)
					d.Draw()
					took += time.Since(begun)
					n++
				})
			}
			b.ReportMetric(float64(took.Microseconds())/1000/float64(n), "ms/redraw")
		})
	}
}
