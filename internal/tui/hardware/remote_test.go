package hardware

import (
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
)

const (
	array2 = "iqn.2026-11.com.example:array2"
	flash  = "nqn.2026-11.com.example:flash"
	wwid   = "3600140500000001"
)

// elsewhere is an array with another one in reach: an iSCSI target with a disk
// at two addresses, and an NVMe subsystem.
func elsewhere(t *testing.T) (*bench, *storagefake.Target) {
	t.Helper()
	b := newBench(t, apitest.Options{})
	target := b.a.Disks.Target(array2, &storagefake.RemoteDisk{WWID: wwid, Size: 4 << 30, Serial: "far1"})
	b.a.Disks.Subsystem(flash, &storagefake.RemoteDisk{WWID: "uuid.1", Size: 4 << 30, Serial: "far2"})
	for _, p := range []string{"10.0.0.5:3260", "[2001:db8::5]:3260", "10.0.0.6:4420"} {
		b.a.Disks.Portal(p, true)
	}
	return b, target
}

func (b *bench) login(t *testing.T, name, address string) {
	t.Helper()
	b.entry(t, "Log In to an iSCSI Target")
	b.Wait("Map its disks there first")
	b.Field(name)
	b.Field(array2)
	b.Field(address)
	b.Press(tcell.KeyTab) // no CHAP
	b.Enter()
	b.CarryOut()
}

func TestRemoteISCSI(t *testing.T) {
	t.Parallel()
	b, target := elsewhere(t)
	target.Lock("esos", "correct horse")
	b.entry(t, "Log In to an iSCSI Target")
	b.Wait("Map its disks there first")
	b.Golden("iscsi")
	b.Field("a")
	b.Type("array2")
	b.Shows("is no iSCSI name")
	b.Field(array2)
	b.Type("array2.example.com")
	b.Shows("a name is not taken")
	b.Field("2001:db8::5")
	b.Type("esos")
	b.Press(tcell.KeyTab)
	b.Press(tcell.KeyTab, tcell.KeyEnter)
	b.Shows("a name and a secret go together")
	b.Type("correct horse")
	if s := b.Text(); strings.Contains(s, "correct horse") {
		t.Error("the secret is shown")
	}
	b.Golden("iscsi-filled")
	b.Press(tcell.KeyTab, tcell.KeyEnter)
	b.Wait("--secret-file -")
	b.CarryOut()
	want := config.RemoteISCSI{Name: "a", Target: array2, Portal: "2001:db8::5", User: "esos", Secret: "correct horse"}
	if got := b.a.Document().Storage.Remote.ISCSI; len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	b.entry(t, "Remote Disks")
	b.Wait("[2001:db8::5]:3260")
	b.Golden("remote")
	b.Enter()
	b.Wait("scsi-" + wwid)
	b.Golden("remote-login")
	b.Escape()
	b.a.Disks.Portal("[2001:db8::5]:3260", false)
	b.Wait("does not answer at")
	b.Golden("remote-lost")
	b.Type("e")
	b.Wait("Change a")
	b.Golden("iscsi-change")
	b.Field("10.0.0.5:3260")
	b.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
	b.CarryOut()
	if got := b.a.Document().Storage.Remote.ISCSI[0]; got.Portal != "10.0.0.5:3260" || got.Secret != "correct horse" {
		t.Errorf("%+v", got)
	}
	b.Wait("10.0.0.5:3260")
	b.Type("d")
	b.CarryOut()
	if got := b.a.Document().Storage.Remote.ISCSI; len(got) != 0 {
		t.Errorf("%+v", got)
	}
	b.Press(tcell.KeyEnd)
	b.Enter()
	b.Wait("Who this machine is")
	b.Golden("who-this-machine-is")
}

func TestRemoteNVMe(t *testing.T) {
	t.Parallel()
	b, _ := elsewhere(t)
	b.entry(t, "Connect to an NVMe Subsystem")
	b.Wait("Let this host in there first")
	b.Golden("nvme")
	b.Field("flash")
	b.Type("flash")
	b.Shows("is no NQN")
	b.Field(flash)
	b.Field("10.0.0.6:4420")
	b.Type(" ")
	b.Golden("choose-transport")
	b.Escape()
	b.Press(tcell.KeyTab, tcell.KeyEnter)
	b.CarryOut()
	want := config.RemoteNVMe{Name: "flash", Subsystem: flash, Transport: "tcp", Address: "10.0.0.6:4420"}
	if got := b.a.Document().Storage.Remote.NVMe; len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	b.entry(t, "Remote Disks")
	b.Wait("tcp")
	b.Type("e")
	b.Wait("Nothing to change")
	b.Golden("nothing-to-change")
	b.Enter()
	b.Type("d")
	b.CarryOut()
	if got := b.a.Document().Storage.Remote.NVMe; len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestMultipath(t *testing.T) {
	t.Parallel()
	b, _ := elsewhere(t)
	b.login(t, "a", "10.0.0.5:3260")
	b.login(t, "b", "[2001:db8::5]:3260")
	b.entry(t, "Multipath")
	b.Wait("not gathered")
	b.Golden("multipath")
	b.Type("d")
	b.Wait("each is a disk of its")
	b.Golden("not-gathered")
	b.Enter()
	b.Type("n")
	b.Wait("Name a disk of several paths")
	b.Golden("multipath-name")
	b.Field("mail")
	b.Enter()
	b.CarryOut()
	b.Wait("2 of 2 paths")
	if m := b.a.Document().Storage.Multipath; !m.Enabled || len(m.Maps) != 1 || m.Maps[0] != (config.MultipathMap{Name: "mail", WWID: wwid}) {
		t.Errorf("%+v", m)
	}
	b.Enter()
	b.Wait("/dev/mapper/mail")
	b.Golden("multipath-paths")
	b.Escape()
	b.a.Disks.Portal("10.0.0.5:3260", false)
	b.Wait("1 of 2 paths")
	b.Golden("multipath-degraded")
	b.Type("p")
	b.Wait("Gather paths")
	b.Golden("multipath-settings")
	b.Press(tcell.KeyTab)
	b.Type(" ")
	b.Golden("choose-policy")
	b.Type("queue")
	b.Enter()
	b.Enter()
	b.CarryOut()
	b.Wait("Done, but") // a path does not work
	b.Golden("done-but")
	b.Enter()
	if m := b.a.Document().Storage.Multipath; m.Policy != "queue-length" {
		t.Errorf("%+v", m)
	}
	b.a.Disks.Portal("10.0.0.5:3260", true)
	b.Wait("2 of 2 paths")
	b.Type("d")
	b.CarryOut()
	b.Wait("not gathered")
	b.Type("p")
	b.Type(" ")
	b.Press(tcell.KeyTab, tcell.KeyEnter)
	b.CarryOut()
	if m := b.a.Document().Storage.Multipath; m.Enabled || len(m.Maps) != 0 || m.Policy != "" {
		t.Errorf("%+v", m)
	}
}
