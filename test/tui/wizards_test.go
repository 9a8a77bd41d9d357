package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/mail"
	"github.com/esos-project/esos/test/stand"
)

var shared stand.Shared

func TestMain(m *testing.M) { shared.Main(m) }

const (
	target   = "iqn.2026-11.org.esos-project:wizard"
	host     = "iqn.2026-11.org.esos-project.test:host"
	password = "seldom heard words"
)

// blank makes a blank disk, to be plugged in.
func blank(t *testing.T, serial string) vm.Drive {
	t.Helper()
	file, err := shared.Lab(t).Blank(t.Name()+"-"+serial, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(file) })
	return vm.Drive{File: file, Serial: serial}
}

// TestWizards goes through the first hours of an array at its console, over SSH
// from a VT100 of 80x24: it makes a LUN of two disks, which an initiator writes
// to and reads; at level full it sets the array up before that, and afterwards
// replaces one of the disks, which failed.
func TestWizards(t *testing.T) {
	level.Require(t, level.Smoke)
	have, err := level.Of()
	if err != nil {
		t.Fatal(err)
	}
	ctx := stand.Timeout(t, 30*time.Minute)
	a := shared.New(ctx, t, appliance.Options{Others: []vm.Drive{blank(t, "d1"), blank(t, "d2")}})
	a.Boot(ctx)
	v := sit(ctx, a)
	v.wait("Targets")
	if have >= level.Full {
		firstBoot(ctx, a, v)
	}
	makeLUN(v)
	data := bytes.Repeat([]byte("what the initiator wrote "), 512)[:8192]
	use(ctx, a, func(s *initiator.Session) error { return s.Write(0, 64, data, 512, true) })
	readBack(ctx, a, data)
	if have >= level.Full {
		replace(ctx, a, v)
		readBack(ctx, a, data)
	}
}

// use does something in a session with the LUN.
func use(ctx context.Context, a *stand.Stand, do func(*initiator.Session) error) {
	a.T.Helper()
	s, err := initiator.Login(ctx, initiator.Options{Address: a.Portal(), Target: target, Initiator: host, ISID: 1, Timeout: time.Minute})
	if err != nil {
		a.T.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := do(s); err != nil {
		a.T.Error(err)
	}
}

// readBack reads what was written.
func readBack(ctx context.Context, a *stand.Stand, want []byte) {
	a.T.Helper()
	use(ctx, a, func(s *initiator.Session) error {
		got, err := s.Read(0, 64, len(want)/512, 512)
		if err == nil && !bytes.Equal(got, want) {
			err = errors.New("the initiator reads something else than it wrote")
		}
		return err
	})
}

// firstBoot sets the array up: all but the network, which carries the test.
func firstBoot(ctx context.Context, a *stand.Stand, v *terminal) {
	a.T.Helper()
	caught := mail.Catch(a.T)
	v.open("First Boot", "step 1 of 4")
	v.press("Tab")
	v.fill(password)
	v.fill(password)
	v.press("Tab", "Enter")
	v.wait("step 2 of 4")
	v.write(" ")
	v.wait("leave them as they are")
	v.press("Tab")
	v.write(" ")
	v.wait("link")
	v.wait("up")
	v.press("Escape")
	v.wait("Name servers")
	v.press("BTab")
	v.write(" ")
	v.press("Tab", "Enter")
	v.wait("step 3 of 4")
	v.press("Tab")
	v.fill("Europe/Berlin")
	v.press("Tab", "Tab", "Enter")
	v.wait("step 4 of 4")
	v.press("Tab")
	v.fill("ann@example.com")
	v.fill(mail.GuestAddress)
	v.choose("none, usually", "none")
	v.fill(fmt.Sprint(caught.Port()))
	v.fill("array@example.com")
	v.press("Tab", "Enter")
	v.carryOut("first boot: password, time, mail", "has taken a test mail")
	for _, text := range []string{"Password   admin has a new one", "Network    left as it is", "Time       Europe/Berlin"} {
		v.wait(text)
	}
	v.press("Escape")
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := caught.Wait(waiting, mail.Says("test")); err != nil {
		a.T.Error(err)
	}
	if said := a.Run(ctx, "date +%Z; ls /etc/issue.d/50-esos-first-boot.issue 2>/dev/null || echo no password is shown"); !strings.Contains(said, "CET") || !strings.Contains(said, "no password is shown") {
		a.T.Errorf("the appliance says:\n%s", said)
	}
	if said, err := asPerson(ctx, a, "admin", password, "esos status"); err != nil {
		a.T.Errorf("admin asks for the status: %v\n%s", err, said)
	}
}

// makeLUN makes a LUN of a RAID 1 of both disks.
func makeLUN(v *terminal) {
	v.t.Helper()
	v.open("Make Me a LUN", "step 1 of 5")
	v.press("Tab", "Enter")
	v.wait("step 2 of 5")
	v.write(" ")
	v.wait("virtio-d2")
	v.write("d1")
	v.wait("with: d1")
	v.write(" ")
	v.press("BSpace", "BSpace")
	v.write("d2")
	v.wait("with: d2")
	v.write(" ")
	v.press("Enter")
	v.wait("RAID 1")
	v.press("Tab")
	v.fill("mirror")
	v.press("Enter")
	v.wait("step 3 of 5")
	v.fill("vg0")
	v.press("Tab")
	v.fill("db01")
	v.fill("512MiB")
	v.press("Enter")
	v.wait("step 4 of 5")
	v.fill("db01")
	v.choose("a new one, iSCSI", "new one")
	v.fill("wizard")
	v.press("Enter")
	v.wait("step 5 of 5")
	v.press("Tab")
	v.fill("servers")
	v.press("Tab")
	v.fill(host)
	v.press("Tab", "Enter")
	v.carryOut("make me a LUN: LUN of 2 disks for servers", "The LUN is there")
	for _, text := range []string{target, "LUN         0", "512 MiB", host, "iscsiadm"} {
		v.wait(text)
	}
	v.press("Escape")
}

// replace has one of the disks fail, and another one plugged in when the wizard
// asks for it.
func replace(ctx context.Context, a *stand.Stand, v *terminal) {
	a.T.Helper()
	v.open("Replace a Failed Disk", "no disk of an array says")
	a.Run(ctx, "esos array fail mirror virtio-d2")
	v.wait("virtio-d2")
	v.press("Enter")
	v.wait("Plug in a new one")
	v.write("n")
	v.wait("The disk in the place of virtio-d2")
	v.wait("in use")
	d := blank(a.T, "d3")
	d.Bus = vm.USB // no other can be plugged in
	if err := a.Plug(ctx, d); err != nil {
		a.T.Fatal(err)
	}
	v.wait("A new disk is there")
	v.press("Left", "Enter")
	v.carryOut("array replace-disk mirror virtio-d2 usb-", "Rebuild of array mirror")
	v.wait("whole: the array has all of its disks")
	v.press("Escape", "Escape")
	if said := a.Run(ctx, "esos array show mirror"); !strings.Contains(said, "/usb-") || strings.Contains(said, "virtio-d2") || strings.Contains(said, "degraded") {
		a.T.Errorf("the array is:\n%s", said)
	}
}
