package scst

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

// danger is one of SCST's tree, by name: what SCST lets pass, and what the
// engine makes of it.
type danger struct {
	name string
	o    scstfake.Options
	test func(b *bench)
}

func TestDangers(t *testing.T) {
	for _, list := range [][]danger{deviceDangers(), accessDangers(), targetDangers(), requestDangers()} {
		for _, d := range list {
			t.Run(d.name, func(t *testing.T) { d.test(newBench(t, machine(d.o))) })
		}
	}
}

// taken wants the imitation itself to let something pass, or the danger would
// not be tested.
func (b *bench) taken(p, text string) {
	b.Helper()
	if err := b.kernel.WriteFile(p, text); err != nil {
		b.Fatalf("the imitation refuses %q, which SCST does not: %v", text, err)
	}
}

func (b *bench) there(p string, want bool) {
	b.Helper()
	names, err := b.kernel.ReadDir(filepath.Dir(p))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		b.Fatal(err)
	}
	got := false
	for _, n := range names {
		got = got || n == filepath.Base(p)
	}
	if got != want {
		b.Errorf("%s is there: %v, want %v", p, got, want)
	}
}

func deviceDangers() []danger {
	return []danger{
		{name: "del_device of an exported device drops its LUNs", test: func(b *bench) {
			b.serve()
			b.group("g", []string{alice}, config.LUN{LUN: 4, Device: "d0"})
			before := b.kernel.Dump()
			b.refused(b.DeleteDevice(b.Context(), "d0"), "LUN 4", "group g", iqn, "unmap it first")
			if b.kernel.Dump() != before {
				b.Error("a refused deletion changed something")
			}
			b.ok(b.DeleteLUN(b.Context(), iqn, "g", 4))
			b.ok(b.DeleteDevice(b.Context(), "d0"))
			b.ok(b.PutLUN(b.Context(), iqn, "g", config.LUN{LUN: 4, Device: "d1"}))
			b.taken("handlers/vdisk_fileio/mgmt", "del_device d1")
			b.there(tgt+"/ini_groups/g/luns/4", false)
		}},
		{name: "the copy manager has a LUN of every device", test: func(b *bench) {
			b.ok(b.PutDevice(b.Context(), b.disk("d0", config.FileIO)))
			b.there("targets/copy_manager/copy_manager_tgt/luns/0", true)
			b.there("devices/d0/exported/export0", true)
			b.ok(b.DeleteDevice(b.Context(), "d0"))
			if s, err := b.Observe(b.Context()); err != nil || len(s.Targets) != 0 {
				b.Errorf("SCST's own target is told as one: %+v, %v", s.Targets, err)
			}
		}},
		{name: "missing pr directory", test: func(b *bench) {
			to, err := os.Readlink(b.opt.Reservations)
			if err != nil || to != filepath.Join(b.opt.StateDir, "pr") {
				b.Errorf("reservations are kept in %q, %v", to, err)
			}
			b.ok(os.RemoveAll(filepath.Dir(b.opt.Reservations)))
			b.ok(os.RemoveAll(b.opt.StateDir))
			if err := b.kernel.WriteFile("handlers/vdisk_nullio/mgmt", "add_device x"); !errors.Is(err, unix.ENOENT) {
				b.Fatalf("the imitation adds a device without the directory: %v", err)
			}
			b.ok(b.PutDevice(b.Context(), b.disk("d0", config.FileIO))) // puts it back
		}},
		{name: "reservations of somebody else stay where they are", test: func(b *bench) {
			b.ok(os.Remove(b.opt.Reservations))
			b.ok(os.MkdirAll(b.opt.Reservations, 0o700))
			b.start()
			if to, err := os.Readlink(b.opt.Reservations); err != nil || to != filepath.Join(b.opt.StateDir, "pr") {
				b.Errorf("an empty directory is in the way: %q, %v", to, err)
			}
			b.ok(os.Remove(b.opt.Reservations))
			b.ok(os.MkdirAll(b.opt.Reservations, 0o700))
			kept := filepath.Join(b.opt.Reservations, "theirs")
			b.ok(os.WriteFile(kept, []byte("x"), 0o600))
			b.start()
			if got, err := os.ReadFile(kept); err != nil || string(got) != "x" {
				b.Errorf("what was kept: %q, %v", got, err)
			}
			b.ok(os.RemoveAll(b.opt.Reservations))
			b.ok(os.Symlink(filepath.Join(b.T.TempDir(), "gone"), b.opt.Reservations))
			b.start()
			if to, err := os.Readlink(b.opt.Reservations); err != nil || to != filepath.Join(b.opt.StateDir, "pr") {
				b.Errorf("a link that leads nowhere is in the way: %q, %v", to, err)
			}
		}},
		{name: "attributes that are read-only after creation", test: func(b *bench) {
			d := b.disk("d0", config.FileIO)
			d.BlockSize, d.WriteThrough, d.ODirect, d.ReadOnly, d.Removable, d.Rotational, d.Provisioning = 4096, true, true, true, true, true, config.Thick
			b.ok(b.PutDevice(b.Context(), d))
			for file, want := range map[string]string{"blocksize": "4096", "write_through": "1", "o_direct": "1", "read_only": "1", "removable": "1", "rotational": "1", "thin_provisioned": "0", "nv_cache": "0"} {
				b.reads("devices/d0/"+file, want)
				if err := b.kernel.WriteFile("devices/d0/"+file, want); !errors.Is(err, unix.EACCES) {
					b.Errorf("the imitation lets %s be written: %v", file, err)
				}
			}
			d.Removable = false
			b.refused(b.PutDevice(b.Context(), d), "removable", "delete the device")
			b.reads("devices/d0/removable", "1")
		}},
		{name: "bind_alua_state closes the device", test: func(b *bench) {
			b.serve()
			b.taken("handlers/vdisk_blockio/mgmt", "add_device by_hand filename="+filepath.Join(b.opt.DataDir, "devices/d0.img"))
			g := config.DeviceGroup{Name: "pair", Devices: []string{"d0", "by_hand"}, TargetGroups: []config.TargetGroup{
				{Name: "tg", ID: 1, State: "standby", Targets: []config.GroupTarget{{Name: iqn}, {Name: "iqn.peer", RelativeID: 9}}}}}
			b.ok(b.PutDeviceGroup(b.Context(), g))
			b.reads("devices/by_hand/active", "0")
			b.reads("devices/d0/bind_alua_state", "0")
			b.reads("devices/d0/active", "1")
			g.TargetGroups[0].State = "active"
			b.ok(b.PutDeviceGroup(b.Context(), g))
			b.reads("devices/by_hand/active", "0") // a group with a target of the peer does not open it again
		}},
		{name: "identities are set before anybody sees the device", test: func(b *bench) {
			d := b.disk("d0", config.FileIO)
			b.ok(b.PutDevice(b.Context(), d))
			for file, want := range map[string]string{
				"usn": d.Identity.Serial, "naa_id": "0x" + d.Identity.NAA, "t10_dev_id": d.Identity.T10ID, "t10_vend_id": "ESOS", "prod_id": "d0", "prod_rev_lvl": "1.0",
			} {
				b.reads("devices/d0/"+file, want)
			}
			for n := range 9 { // one that was cut off is never mapped: it is begun anew
				b.kernel.FailAfter(n)
				e := b.disk("d1", config.FileIO)
				err := b.PutDevice(b.Context(), e)
				b.kernel.FailAfter(-1)
				if err == nil {
					b.ok(b.DeleteDevice(b.Context(), "d1"))
					break
				}
				b.ok(b.PutDevice(b.Context(), e))
				b.reads("devices/d1/usn", e.Identity.Serial)
				b.ok(b.DeleteDevice(b.Context(), "d1"))
			}
		}},
		{name: "identities that SCST has no room for", test: func(b *bench) {
			for what, change := range map[string]func(*config.Identity){
				"serial of 20": func(i *config.Identity) { i.Serial = strings.Repeat("s", 21) },
				"t10_id of 25": func(i *config.Identity) { i.T10ID = strings.Repeat("t", 26) },
				"in a t10_id":  func(i *config.Identity) { i.T10ID = "a b" },
			} {
				d := b.disk("d0", config.FileIO)
				change(&d.Identity)
				b.refused(b.PutDevice(b.Context(), d), what, "native")
			}
		}},
		{name: "a create parameter that this SCST lacks", o: scstfake.Options{Lacks: []string{"o_direct"}}, test: func(b *bench) {
			d := b.disk("d0", config.FileIO)
			b.ok(b.PutDevice(b.Context(), d)) // nothing is asked for
			d = b.disk("d1", config.FileIO)
			d.ODirect = true
			b.refused(b.PutDevice(b.Context(), d), "no create parameter o_direct", "native")
			b.there("devices/d1", false)
		}},
		{name: "an attribute that this SCST lacks", o: scstfake.Options{Lacks: []string{"naa_id"}}, test: func(b *bench) {
			b.refused(b.PutDevice(b.Context(), b.disk("d0", config.FileIO)), "no attribute naa_id", "newer SCST", "native")
		}},
		{name: "a device of somebody else", test: func(b *bench) {
			b.serve()
			b.taken("handlers/vdisk_nullio/mgmt", "add_device theirs")
			b.refused(b.PutDevice(b.Context(), b.disk("theirs", config.NullIO)), "somebody else", "identity")
			b.there("devices/theirs", true)
		}},
		{name: "names that are too long, LUNs that are too large", test: func(b *bench) {
			b.serve()
			d := b.disk("d0", config.NullIO)
			d.Name = strings.Repeat("x", 65)
			b.refused(b.PutDevice(b.Context(), d), "64 characters")
			b.refused(b.PutLUN(b.Context(), iqn, "", config.LUN{LUN: 16384, Device: "d0"}), "16383")
		}},
		{name: "paths from the root of process 1", test: func(b *bench) {
			b.ok(b.PutDevice(b.Context(), b.disk("d0", config.FileIO)))
			b.reads("devices/d0/filename", filepath.Join(b.opt.DataDir, "devices/d0.img"))
			b.opt.SameRoot = func() error { return errors.New("another root") }
			_, err := Start(b.Context(), b.opt)
			b.refused(err, "another root")
		}},
		{name: "paths that end at a blank", test: func(b *bench) {
			for _, name := range []string{"a b.img", "a;b.img", "a=b.img", "a\nb.img"} {
				d := b.disk("d0", config.FileIO)
				d.Path = name
				b.ok(os.WriteFile(filepath.Join(b.opt.DataDir, name), make([]byte, 1<<20), 0o600))
				b.refused(b.PutDevice(b.Context(), d), "blank", "native")
			}
		}},
	}
}

func requestDangers() []danger {
	return []danger{
		{name: "EAGAIN means accepted, and the result is global", o: scstfake.Options{EAGAIN: true}, test: func(b *bench) {
			b.serve()
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					name := fmt.Sprintf("x%d", i)
					d := b.disk("x", config.NullIO)
					d.Name, d.Identity.Serial, d.Identity.NAA = name, "serial-"+name, fmt.Sprintf("6001405%025d", i)
					if err := b.PutDevice(b.Context(), d); err != nil {
						b.Error(err)
					}
					if err := b.PutLUN(b.Context(), iqn, "", config.LUN{LUN: i, Device: name}); err != nil {
						b.Error(err)
					}
				})
			}
			all.Wait()
			if n := b.kernel.Raced(); n != 0 {
				b.Errorf("%d requests came before the end of the one before", n)
			}
		}},
		{name: "an accepted request fails later, with its reason in the kernel's log", o: scstfake.Options{EAGAIN: true}, test: func(b *bench) {
			d := b.disk("d0", config.FileIO)
			b.ok(b.PutDevice(b.Context(), d))
			b.kernel.Stat(func(string) (int64, error) { return 0, unix.ENOENT })
			err := b.PutDevice(b.Context(), b.disk("d1", config.FileIO))
			b.refused(err, "the kernel says", "filp_open", "no such file")
			if !errors.Is(err, unix.ENOENT) {
				b.Errorf("the error is %v", err)
			}
		}},
		{name: "a request that nobody waited for", o: scstfake.Options{EAGAIN: true}, test: func(b *bench) {
			b.serve()
			b.kernel.Stat(func(string) (int64, error) { return 0, unix.ENOENT })
			gone, cancel := context.WithCancel(b.Context())
			cancel()
			b.mu.Lock()
			err := b.k.write(gone, "handlers/vdisk_fileio/mgmt", "add_device lost filename=/lost")
			b.mu.Unlock()
			b.refused(err, "still at it")
			if !errors.Is(err, context.Canceled) {
				b.Errorf("the error is %v", err)
			}
			// The next request is not taken for the failure of that one.
			b.ok(b.PutLUN(b.Context(), iqn, "", config.LUN{LUN: 1, Device: "d0"}))
			if n := b.kernel.Raced(); n != 0 {
				b.Errorf("%d requests came before the end of the one before", n)
			}
		}},
		{name: "session directories vanish while they are read", test: func(b *bench) {
			b.serve()
			for _, name := range []string{alice, bob} {
				b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: name, SID: "1", Address: "127.0.0.1"})
			}
			b.kernel.Vanish("iscsi/"+iqn, bob)
			got, err := b.Sessions(b.Context())
			if err != nil || len(got) != 1 || got[0].Initiator != alice {
				b.Errorf("sessions %+v, %v", got, err)
			}
			if _, err := b.Statistics(b.Context()); err != nil {
				b.Error(err)
			}
			b.ok(b.PutGroup(b.Context(), iqn, config.Group{Name: "g", Initiators: []string{bob}}))
			b.ok(b.CloseSession(b.Context(), "iscsi,"+iqn+","+bob+",1"))
		}},
		{name: "secrets in the kernel's log", test: func(b *bench) {
			b.serve()
			const secret = "must-not-be-told-to-anybody"
			b.kernel.FailAfter(0)
			err := b.PutTarget(b.Context(), config.Target{Name: iqn, Auth: config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: secret}}}})
			b.kernel.FailAfter(-1)
			if err == nil || strings.Contains(err.Error(), secret) {
				b.Errorf("error %v", err)
			}
			b.ok(b.PutTarget(b.Context(), config.Target{Name: iqn, Auth: config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: secret}}}}))
			if log := strings.Join(b.kernel.Requests(), "\n"); strings.Contains(log, secret) {
				b.Errorf("the imitation's own record has the secret: %s", log)
			}
		}},
		{name: "a session that does not end", o: scstfake.Options{Linger: 1 << 30}, test: func(b *bench) {
			b.opt.Patience = 5 * time.Millisecond
			b.start()
			b.serve()
			b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: alice, SID: "1", Address: "127.0.0.1"})
			b.refused(b.DeleteTarget(b.Context(), iqn), alice, "does not end", "log it out")
			b.there(tgt, true)
		}},
	}
}
