package cli_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/api"
	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/cli"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/hwraid/hwraidtest"
	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer/network/networktest"
	"github.com/esos-project/esos/internal/nvmet"
	"github.com/esos-project/esos/internal/snapshot"
)

var update = flag.Bool("update", false, "write the golden files anew")

// program is the command, built once, with esos-target beside it. It is built
// without the race detector even when the tests have it: it starts hundreds of times, and what runs side
// by side, the array, is in the test's own process.
var program string

func TestMain(m *testing.M) {
	if code, is := hwraidtest.Main(); is {
		os.Exit(code)
	}
	if log := os.Getenv(cli.LogVariable); log != "" {
		os.Exit(cli.MainWithLog(log, os.Args[1:]))
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "esos-cli-")
	if err == nil {
		program = filepath.Join(dir, "esos")
		build := exec.Command("go", "build", "-o", dir+"/", "../../cmd/esos", "../../cmd/esos-target")
		build.Stderr = os.Stderr
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the command:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// TestScripts runs the command against arrays with an engine in memory, one a
// script. What the array logs is in $WORK/log.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			e := &enginetest.Memory{}
			e.SetSessions(engine.Session{ID: "1", Target: "iqn.2026-11.org.esos-project:mail", Group: "hosts", Initiator: "iqn.2026-11.com.example:mail1",
				Address: "192.0.2.7:40112", Portal: "front", Since: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC), LUNs: 2})
			env.Setenv("TZ", "UTC")
			env.Setenv("ADDR", freeAddress())
			examples, err := filepath.Abs("../../examples")
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLES", examples)
			// Scripts that start the command by other means find it too.
			env.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("ESOS_SOCKET", filepath.Join(env.WorkDir, "run", "api.sock"))
			return startArray(env, e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"esos":   esos,
			"exits":  exits,
			"remote": remote,
			"raise":  raise,
			"nvme":   nvmeConnect,
			"disks":  disksDo,
			"lost":   lost,
		},
	})
}

// esos runs the command, which succeeds; with ! it fails.
func esos(ts *testscript.TestScript, neg bool, args []string) {
	if err := ts.Exec(program, args...); (err != nil) != neg {
		ts.Fatalf("esos failed: %v, want failure: %v", err, neg)
	}
}

// exits runs esos and wants an exit code: exits 4 esos device create db01.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "esos" {
		ts.Fatalf("usage: exits code esos...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(program, args[2:]...)
	got := 0
	if err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// raise raises an alert: raise id severity object message...
func raise(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: raise id severity object message...")
	}
	ts.Value(alerts{}).(*alert.Board).Raise(alert.Alert{ID: args[0], Severity: alert.Severity(args[1]), Object: args[2], Message: strings.Join(args[3:], " ")})
}

// alerts is the key of a script's board of alerts.
type alerts struct{}

// remote waits for the array to listen on TCP and sets $FINGERPRINT.
func remote(ts *testscript.TestScript, _ bool, _ []string) {
	c, err := client.New(client.Options{Socket: ts.Getenv("ESOS_SOCKET")})
	ts.Check(err)
	defer c.Close()
	for range 250 {
		s, err := c.Status(context.Background())
		ts.Check(err)
		if s.API == "https://"+ts.Getenv("ADDR") {
			ts.Setenv("FINGERPRINT", s.Fingerprint)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("the array does not listen on %s", ts.Getenv("ADDR"))
}

// freeAddress is an address that nobody listens on.
func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // a machine without loopback
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// startArray serves an array for a script until it ends.
func startArray(env *testscript.Env, e engine.Engine) error {
	ctx, cancel := context.WithCancel(context.Background())
	logFile, err := os.Create(filepath.Join(env.WorkDir, "log"))
	if err != nil {
		cancel()
		return err
	}
	log := slog.New(slog.NewTextHandler(logFile, nil))
	o := appliance.Options{DataDir: filepath.Join(env.WorkDir, "data"), Engine: e, Log: log}
	if filepath.Base(env.WorkDir) == "script-nvme" {
		kernel := nvmetfake.New(nvmetfake.Options{})
		o.NVMe = nvmet.New(nvmet.Options{Kernel: kernel, Debug: kernel.Debug(), RunDir: filepath.Join(env.WorkDir, "run")})
		env.Values[nvmeKernel{}] = kernel
	}
	if filepath.Base(env.WorkDir) == "script-network" {
		o.OwnsMachine, o.Network = true, networktest.New("eth0", "eth1", "eth2")
	}
	if filepath.Base(env.WorkDir) == "script-filesystem" {
		m := storagefake.New()
		m.Disk("vda", "data01", 10<<30)
		m.Disk("vdb", "data02", 20<<30)
		o.OwnsMachine, o.Storage, o.Files, o.Network = true, m, storagefake.Images{Machine: m}, networktest.New("eth0")
	}
	if filepath.Base(env.WorkDir) == "script-volumes" {
		m := storagefake.New()
		for i, name := range []string{"a", "b", "c", "d"} {
			m.Disk(fmt.Sprintf("vd%c", 'a'+i), name, 4<<40)
		}
		o.OwnsMachine, o.Storage, o.Files, o.Network = true, m, storagefake.Images{Machine: m}, networktest.New("eth0")
	}
	if filepath.Base(env.WorkDir) == "script-array" {
		disks := storagefake.New()
		for i, name := range []string{"vda", "vdb", "vdc", "vdd", "vde", "vdf", "vdg"} {
			disks.Disk(name, fmt.Sprintf("d%d", i+1), 4<<30)
		}
		o.OwnsMachine, o.Network, o.Storage = true, networktest.New("eth0"), disks
		env.Values[disksKey{}] = disks
	}
	if filepath.Base(env.WorkDir) == "script-snapshot" {
		m := storagefake.New()
		m.Thin("vg/a", "vg/b")
		files := storagefake.Images{Machine: m}
		o.OwnsMachine, o.Network, o.Storage, o.Files = true, networktest.New("eth0"), m, files
		o.Snapshots = snapshot.New(snapshot.Options{Machine: m, Files: files, DataDir: "/data",
			Now: func() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }})
	}
	var ours api.Options // of a machine that is ESOS's own
	if filepath.Base(env.WorkDir) == "script-mail" {
		if err := serveMail(env); err != nil {
			cancel()
			return err
		}
	}
	if filepath.Base(env.WorkDir) == "script-machine" {
		m := apitest.NewMachine()
		o.OwnsMachine, o.System, o.Network = true, m.System(), networktest.New("eth0")
		ours.Clock, ours.Services = m.Clock(), m.Services()
	}
	if filepath.Base(env.WorkDir) == "script-remotedisks" {
		m := disksElsewhere()
		o.OwnsMachine, o.System, o.Network, o.Storage, o.Files = true, apitest.NewMachine().System(), networktest.New("eth0"), m, storagefake.Images{Machine: m}
	}
	if filepath.Base(env.WorkDir) == "script-disk" {
		o.OwnsMachine, o.System, o.Network = true, apitest.NewMachine().System(), networktest.New("eth0")
		o.Storage, o.Health = disks(env)
	}
	app, err := appliance.Open(ctx, o)
	if err != nil {
		cancel()
		return fmt.Errorf("open the appliance: %w", err)
	}
	board := alert.NewBoard(func(kind, object, message string) {
		app.Note(engine.Event{Kind: kind, Object: object, Message: message})
	})
	env.Values[alerts{}] = board
	server := api.New(api.Options{Appliance: app, Alerts: board, Log: log, Version: "test", CertDir: filepath.Join(env.WorkDir, "data", "api"), Clock: ours.Clock, Services: ours.Services})
	l, err := api.ListenUnix(filepath.Join(env.WorkDir, "run", "api.sock"))
	if err != nil {
		cancel()
		return err
	}
	var work sync.WaitGroup
	work.Go(func() { _ = server.Follow(ctx) })
	work.Go(func() { _ = server.ServeUnix(ctx, l) })
	env.Defer(func() {
		cancel()
		work.Wait()
		_ = app.Close()
		_ = logFile.Close()
	})
	return nil
}
