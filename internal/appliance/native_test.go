package appliance_test

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/native"
)

// BenchmarkNative is bar 7 on the native engine, from the text of a document
// of 1,000 devices on 50 targets with 200 groups to what a real target
// process serves: all of it in under 5 s, one line in under 200 ms.
func BenchmarkNative(b *testing.B) {
	dir, err := os.MkdirTemp("", "esos-bench-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the process may not be root
		b.Fatal(err)
	}
	binary := filepath.Join(dir, "esos-target")
	build := exec.Command("go", "build", "-o", binary, "github.com/esos-project/esos/cmd/esos-target")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	quiet := slog.New(slog.DiscardHandler)
	n := 0
	begin := func(b *testing.B) (*appliance.Appliance, func()) {
		n++
		data := filepath.Join(dir, fmt.Sprint(n))
		e, err := native.Start(b.Context(), native.Options{TargetBinary: binary, RunDir: data + "/run", StateDir: data + "/state", DataDir: data, Log: quiet})
		if err != nil {
			b.Fatal(err)
		}
		a, err := appliance.Open(b.Context(), appliance.Options{DataDir: data, Engine: e, Log: quiet, Retry: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		return a, func() {
			if err := a.Close(); err != nil {
				b.Error(err)
			}
			if err := e.Stop(b.Context()); err != nil {
				b.Error(err)
			}
		}
	}
	document := func(b *testing.B, edit func(*config.Document)) []byte {
		d := appliance.LargeDocument()
		d.ISCSI.Portals[0].Address = "127.0.0.1:0"
		edit(d)
		text, err := config.Marshal(d)
		if err != nil {
			b.Fatal(err)
		}
		return text
	}
	apply := func(b *testing.B, a *appliance.Appliance, text []byte) {
		doc, _, err := config.Parse("large.yaml", text)
		if err != nil {
			b.Fatal(err)
		}
		op, err := a.Apply(b.Context(), appliance.Change{Document: doc, Who: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		if err := op.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	all := document(b, func(*config.Document) {})
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			a, end := begin(b)
			apply(b, a, all)
			end()
		}
	})
	for name, edit := range map[string]func(d *config.Document, round int){
		"line": func(d *config.Document, round int) { d.Devices[500].Size += config.Size(round) << 12 },
		"same": func(*config.Document, int) {},
	} {
		b.Run(name, func(b *testing.B) {
			a, end := begin(b)
			apply(b, a, all)
			round := 0
			for b.Loop() {
				b.StopTimer()
				round++
				text := document(b, func(d *config.Document) { edit(d, round) })
				b.StartTimer()
				apply(b, a, text)
			}
			end()
		})
	}
}
