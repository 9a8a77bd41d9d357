package appliance

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
	"github.com/esos-project/esos/internal/vm"
)

// Target and DataDisk are what examples/appliance.yaml serves.
const (
	Target   = "iqn.2026-11.com.example:appliance"
	DataDisk = "data01"

	initiatorName = "iqn.2026-11.org.esos-project.test:host"
)

// Options say how an appliance starts.
type Options struct {
	Dir    string   // for sockets and the console's log; short
	Boot   vm.Drive // the medium; drive 0
	Data   string   // file of the data disk; none when empty
	Others []vm.Drive
	Cards  []vm.Card // further network cards
	UEFI   bool
	Memory int // MiB; 2048 when 0
	CPUs   int // 2 when 0
	// Debug chooses the Debug entry of GRUB's menu by hand.
	Debug bool
	Accel vm.Accel
}

// Machine is an appliance in a virtual machine. The medium is drive 0.
type Machine struct {
	*vm.Machine
	lab      *Lab
	sessions atomic.Uint32 // logged in so far; each has an ISID of its own
}

// Start starts an appliance. It lives until it is closed or ctx ends. Only one
// of a lab's can run at a time.
func (l *Lab) Start(ctx context.Context, o Options) (*Machine, error) {
	drives := append([]vm.Drive{o.Boot}, o.Others...)
	if o.Data != "" {
		drives = append(drives, vm.Drive{File: o.Data, Serial: DataDisk})
	}
	if o.Memory == 0 {
		o.Memory = 2048
	}
	if o.CPUs == 0 {
		o.CPUs = 2
	}
	m, err := vm.Start(ctx, vm.Config{
		Name: "esos", Dir: o.Dir, Memory: o.Memory, CPUs: o.CPUs, Machine: "q35", UEFI: o.UEFI, Reboots: true, Accel: o.Accel,
		Drives: drives, Network: true, Cards: o.Cards,
		Forwards: []vm.Forward{{Host: l.port, Guest: 3260}, {Guest: 8443}, {Guest: 22}},
	})
	if err != nil {
		return nil, err
	}
	a := &Machine{Machine: m, lab: l}
	if o.Debug {
		if err := a.choose(ctx, 1); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	return a, nil
}

// choose takes an entry of GRUB's menu, counted from the first.
func (m *Machine) choose(ctx context.Context, entry int) error {
	// The last entry is drawn after all others.
	if err := m.WaitFor(ctx, "SECONDARY, Debug"); err != nil {
		return err
	}
	const down = "\x0e" // Ctrl-N; arrows depend on the terminal
	return m.Type(strings.Repeat(down, entry) + "\r")
}

// WaitKernel returns when the kernel printed its first line on the serial
// console, and the time of that.
func (m *Machine) WaitKernel(ctx context.Context) (time.Time, error) {
	err := m.WaitFor(ctx, KernelMarker)
	return time.Now(), err
}

// KernelMarker is in the first line of every Linux.
const KernelMarker = "Linux version "

// Portal is where the appliance's iSCSI is reached.
func (m *Machine) Portal() string { return m.Address(3260) }

// WaitServed returns when the LUN is served: block 0 of it is read, and
// iscsi-ls shows it. Afterwards it returns what iscsi-ls printed.
func (m *Machine) WaitServed(ctx context.Context) (string, error) {
	if err := m.poll(ctx, "a served LUN", m.readBlock); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "iscsi-ls", "-s", "iscsi://"+m.Portal()).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("iscsi-ls: %w: %s", err, out)
	}
	if s := string(out); !strings.Contains(s, Target) || !strings.Contains(s, "Lun:0 ") {
		return "", fmt.Errorf("iscsi-ls shows no LUN 0 of %s:\n%s", Target, s)
	}
	return string(out), nil
}

// Login opens a session of its own. timeout is that of one command.
func (m *Machine) Login(ctx context.Context, timeout time.Duration) (*initiator.Session, error) {
	return initiator.Login(ctx, initiator.Options{
		Address: m.Portal(), Target: Target, Initiator: initiatorName,
		ISID: m.sessions.Add(1), Timeout: timeout,
	})
}

func (m *Machine) readBlock(ctx context.Context) error {
	s, err := m.Login(ctx, attemptTimeout)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Read(0, 0, 1, 512)
	return err
}

// poll polls until attempt succeeds or the machine ends, whose last words are
// then in the error.
func (m *Machine) poll(ctx context.Context, what string, attempt func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-m.Done():
			cancel(vm.ErrEnded)
		case <-stop:
		}
	}()
	if err := Poll(ctx, attempt); err != nil {
		return fmt.Errorf("wait for %s: %w\nlast lines on the console:\n%s", what, err, m.Console().Tail(40))
	}
	return nil
}
