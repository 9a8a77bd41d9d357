// Package apitest is for tests of the faces: an array with an imitated machine
// and engine behind the real API and the real appliance.
package apitest

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/api"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/engine/native"
	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
	"github.com/esos-project/esos/internal/host/smart"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer/network/networktest"
	"github.com/esos-project/esos/internal/layer/vdisk"
	"github.com/esos-project/esos/internal/nvmet"
	"github.com/esos-project/esos/internal/snapshot"
)

// Options of an Array.
type Options struct {
	// Disks are how many disks it has: d1, d2 ... of 4 GiB each, as vda, vdb ...
	Disks int
	// Interfaces are those of the network; eth0 and eth1 if there are none.
	Interfaces []string
	// Document is in force from the start.
	Document string
	// ConfirmTime is how long a change of the network waits to be confirmed; a
	// minute if 0.
	ConfirmTime time.Duration
	// Health is what is known of how its disks are; nothing if nil.
	Health *smart.Book
	// Native has ESOS's own engine serve, with a real target process. What stands
	// below devices is the real machine's then, not an imitation: documents can
	// have image files, but no storage.
	Native bool
	// Engine serves unless Native: one that a test has set up.
	Engine engine.Engine
}

// Array is an array that is ESOS's own, of which all but the API, the
// appliance and its layers is an imitation.
type Array struct {
	Appliance *appliance.Appliance
	Engine    *enginetest.Memory // nil if another one serves
	Machine   *Machine
	Disks     *storagefake.Machine
	Network   *networktest.Machine
	Alerts    *alert.Board
	Socket    string
	Data      string // the data directory, which relative paths of devices are below of
	Client    *client.Client

	t      testing.TB
	native *native.Engine // nil if another one serves
	logins atomic.Uint32
	server func() (stop func())
	stop   func()
}

// New starts an array that ends with the test.
func New(t testing.TB, o Options) *Array {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	a := &Array{t: t, Machine: NewMachine(), Disks: storagefake.New(), Socket: filepath.Join(dir, "run", "api.sock")}
	for i := range o.Disks {
		a.Disks.Disk(fmt.Sprintf("vd%c", 'a'+i), fmt.Sprintf("d%d", i+1), 4<<30)
	}
	if o.Health == nil {
		o.Health = &smart.Book{}
	}
	if o.Interfaces == nil {
		o.Interfaces = []string{"eth0", "eth1"}
	}
	a.Network = networktest.New(o.Interfaces...)
	log := slog.New(slog.DiscardHandler)
	var files vdisk.Files = storagefake.Images{Machine: a.Disks}
	kernel := nvmetfake.New(nvmetfake.Options{})
	data := filepath.Join(dir, "data")
	a.Data = data
	var serves engine.Engine
	if o.Native {
		files = nil
		a.native = startNative(ctx, t, dir, log)
		serves = a.native
	} else {
		if serves = o.Engine; serves == nil {
			serves = &enginetest.Memory{}
		}
		a.Engine, _ = serves.(*enginetest.Memory)
	}
	opts := appliance.Options{DataDir: data, Engine: serves, Log: log, OwnsMachine: true, System: a.Machine.System(),
		Network: a.Network, ConfirmTime: o.ConfirmTime, Storage: a.Disks, Files: files, Health: o.Health,
		NVMe:      nvmet.New(nvmet.Options{Kernel: kernel, Debug: kernel.Debug(), RunDir: filepath.Join(dir, "run")}),
		Snapshots: snapshot.New(snapshot.Options{Machine: a.Disks, Files: storagefake.Images{Machine: a.Disks}, DataDir: data})}
	if o.Document != "" {
		doc, err := config.Decode("the test's document", []byte(o.Document))
		if err != nil {
			t.Fatal(err)
		}
		opts.First = doc
	}
	app, err := appliance.Open(ctx, opts)
	if err != nil {
		cancel()
		t.Fatalf("open the appliance: %v", err)
	}
	a.Appliance = app
	a.Alerts = alert.NewBoard(func(kind, object, message string) {
		app.Note(engine.Event{Time: time.Now(), Kind: kind, Object: object, Message: message})
	})
	a.server = func() func() {
		ctx, cancel := context.WithCancel(ctx)
		s := api.New(api.Options{Appliance: app, Alerts: a.Alerts, Log: log, Version: "test", CertDir: filepath.Join(data, "api"),
			Clock: a.Machine.Clock(), Services: a.Machine.Services()})
		l, err := api.ListenUnix(a.Socket)
		if err != nil {
			t.Errorf("listen: %v", err)
			cancel()
			return func() {}
		}
		var work sync.WaitGroup
		work.Go(func() { _ = s.Follow(ctx) })
		work.Go(func() { _ = s.ServeUnix(ctx, l) })
		return func() {
			cancel()
			work.Wait()
		}
	}
	a.Start()
	if a.Client, err = client.New(client.Options{Socket: a.Socket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Client.Close()
		a.Stop()
		cancel()
		_ = app.Close()
	})
	return a
}

// Stop makes the daemon unreachable, Start brings it back.
func (a *Array) Stop() {
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
}

// Start brings the daemon back.
func (a *Array) Start() {
	if a.stop == nil {
		a.stop = a.server()
	}
}

// Document is the one in force.
func (a *Array) Document() *config.Document {
	a.t.Helper()
	doc, _, err := a.Appliance.Document(context.Background())
	if err != nil {
		a.t.Fatal(err)
	}
	return doc
}

// Revisions counts the changes so far.
func (a *Array) Revisions() int {
	a.t.Helper()
	all, err := a.Appliance.Revisions(context.Background())
	if err != nil {
		a.t.Fatal(err)
	}
	return len(all)
}
