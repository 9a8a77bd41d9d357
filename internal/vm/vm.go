// Package vm runs QEMU virtual machines: for the tests, and for looking at an
// image before it goes onto a stick. A machine is a process of this user; it
// needs no root and touches no network but QEMU's own user-mode one.
package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Binary is the emulator that Start and Probe run.
const Binary = "qemu-system-x86_64"

// Config says what a machine is made of.
type Config struct {
	Name   string // for error texts and log files; "vm" when empty
	Dir    string // for sockets and logs; must exist, and its path be short (Unix sockets end at 107 bytes)
	Memory int    // MiB; 512 when 0
	CPUs   int    // 1 when 0

	// Machine is QEMU's name of the board; "pc" when empty.
	Machine string
	// UEFI boots with OVMF instead of SeaBIOS. Its variables are kept in the
	// file Variables, which is made if it is missing; in Dir when empty.
	UEFI      bool
	Variables string
	// Reboots lets the guest reboot; without it a reboot ends the machine.
	Reboots bool
	// Terminal gives the guest's serial console the terminal of this process,
	// with QEMU's own keys: Ctrl-A X ends the machine, Ctrl-A C is its monitor.
	// Console then stays empty.
	Terminal bool

	// Accel is what Probe returned; empty probes once more.
	Accel Accel

	// Kernel, Initrd and Append boot a kernel directly. Without Kernel the
	// firmware boots the first drive.
	Kernel string
	Initrd string
	Append string

	Drives []Drive

	// Network gives the guest a card on QEMU's user network: it is 10.0.2.15,
	// this host's loopback is 10.0.2.2.
	Network bool
	// Forwards lead from this host's loopback to the guest; they need Network.
	Forwards []Forward

	// Cards are further network cards.
	Cards []Card

	// Args go to QEMU as they are, after all others.
	Args []string
}

// Machine is a running virtual machine.
type Machine struct {
	name     string
	dir      string
	cmd      *exec.Cmd
	console  *Console
	stderr   *boundedBuffer
	input    io.WriteCloser
	forwards []Forward
	done     chan struct{} // closed when QEMU ended
	err      error         // of cmd.Wait, valid after done

	mu      sync.Mutex
	monitor *monitor // connected by the first Do
	plugged int      // drives that were plugged in, under mu
}

// Start starts a machine. It runs until it powers itself off, ctx ends or
// Close is called; it never outlives this process.
func Start(ctx context.Context, c Config) (*Machine, error) {
	if c.Name == "" {
		c.Name = "vm"
	}
	m, err := start(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	if err := m.findForwards(ctx); err != nil {
		return nil, errors.Join(m.failed(fmt.Errorf("start %s: %w", c.Name, err)), m.Close())
	}
	return m, nil
}

func start(ctx context.Context, c Config) (*Machine, error) {
	if c.Accel == "" {
		accel, err := Probe(ctx)
		if err != nil {
			return nil, err
		}
		c.Accel = accel
	}
	m := &Machine{
		name:     c.Name,
		dir:      c.Dir,
		stderr:   &boundedBuffer{limit: 64 << 10},
		forwards: append([]Forward{}, c.Forwards...),
		done:     make(chan struct{}),
	}
	args, err := m.args(c)
	if err != nil {
		return nil, err
	}
	if err := newWriteLogs(c.Drives); err != nil {
		return nil, err
	}
	m.cmd = exec.CommandContext(ctx, Binary, args...)
	m.cmd.Stderr = m.stderr
	// QEMU gives a terminal back as it got it, if it is let.
	m.cmd.Cancel = func() error { return m.cmd.Process.Signal(syscall.SIGTERM) }
	m.cmd.WaitDelay = 5 * time.Second
	// A test that panics or is killed must not leave a machine behind.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.Terminal {
		m.console = newConsole(nil)
		m.cmd.Stdin, m.cmd.Stdout = os.Stdin, os.Stdout
	} else {
		logFile, err := os.OpenFile(filepath.Join(c.Dir, c.Name+".console"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		m.console = newConsole(logFile)
		m.cmd.Stdout = m.console
		if m.input, err = m.cmd.StdinPipe(); err != nil {
			_ = logFile.Close()
			return nil, err
		}
	}
	if err := m.cmd.Start(); err != nil {
		m.console.end()
		return nil, err
	}
	go func() {
		m.err = m.cmd.Wait()
		m.console.end()
		close(m.done)
	}()
	return m, nil
}

func (m *Machine) args(c Config) ([]string, error) {
	memory, cpus, board := c.Memory, c.CPUs, c.Machine
	if memory == 0 {
		memory = 512
	}
	if cpus == 0 {
		cpus = 1
	}
	if board == "" {
		board = "pc"
	}
	args := []string{
		"-name", c.Name, "-nodefaults", "-no-user-config",
		"-machine", board, "-m", strconv.Itoa(memory), "-smp", strconv.Itoa(cpus),
		"-display", "none", "-vga", "none",
		"-qmp", "unix:" + m.monitorSocket() + ",server=on,wait=off",
		// Entropy from the start: a guest without it waits in its first login.
		"-device", "virtio-rng-pci",
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=shell,server=on,wait=off,path=" + m.shellSocket(),
		"-device", "virtserialport,chardev=shell,name=" + ShellPort,
	}
	if !c.Reboots {
		args = append(args, "-no-reboot")
	}
	if c.Terminal {
		args = append(args, "-serial", "mon:stdio")
	} else {
		args = append(args, "-monitor", "none", "-serial", "stdio")
	}
	args = append(args, c.Accel.args()...)
	if c.UEFI {
		vars := c.Variables
		if vars == "" {
			vars = filepath.Join(c.Dir, c.Name+".efivars")
		}
		firmware, err := ovmfArgs(vars)
		if err != nil {
			return nil, err
		}
		args = append(args, firmware...)
	}
	if c.Kernel != "" {
		args = append(args, "-kernel", c.Kernel, "-append", c.Append)
		if c.Initrd != "" {
			args = append(args, "-initrd", c.Initrd)
		}
	}
	drives, err := driveArgs(c.Drives)
	if err != nil {
		return nil, err
	}
	args = append(args, drives...)
	if c.Network {
		args = append(args, networkArgs(c.Forwards)...)
	} else if len(c.Forwards) > 0 {
		return nil, errors.New("ports are forwarded, but the machine has no network")
	}
	args = append(args, cardArgs(c.Cards)...)
	return append(args, c.Args...), nil
}

func (m *Machine) shellSocket() string { return filepath.Join(m.dir, m.name+".shell") }

// Console is what the guest prints on its first serial port.
func (m *Machine) Console() *Console { return m.console }

// PID is the process id of QEMU.
func (m *Machine) PID() int { return m.cmd.Process.Pid }

// Done is closed when the machine has ended.
func (m *Machine) Done() <-chan struct{} { return m.done }

// WaitFor returns when text was printed on the console. A machine that ends
// before it did is an error that tells the last lines it printed.
func (m *Machine) WaitFor(ctx context.Context, text string) error {
	if err := m.console.WaitFor(ctx, text); err != nil {
		return m.failed(fmt.Errorf("wait for %q on the console of %s: %w", text, m.name, err))
	}
	return nil
}

// Type sends keys to the guest's first serial port.
func (m *Machine) Type(keys string) error {
	if m.input == nil {
		return fmt.Errorf("type on the console of %s: the terminal has it", m.name)
	}
	if _, err := io.WriteString(m.input, keys); err != nil {
		return m.failed(fmt.Errorf("type on the console of %s: %w", m.name, err))
	}
	return nil
}

// Wait returns when the machine powered itself off, or ctx ended.
func (m *Machine) Wait(ctx context.Context) error {
	select {
	case <-m.done:
	case <-ctx.Done():
		return m.failed(fmt.Errorf("wait for the end of %s: %w", m.name, ctx.Err()))
	}
	if m.err != nil {
		return m.failed(fmt.Errorf("run %s: %w", m.name, m.err))
	}
	return nil
}

// Close ends the machine at once, like pulling its plug. It is safe to call
// it more than once, and after the machine ended.
func (m *Machine) Close() error {
	m.hangUp()
	select {
	case <-m.done:
	default:
		if err := m.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill %s: %w", m.name, err)
		}
		select {
		case <-m.done:
		case <-time.After(10 * time.Second):
			return fmt.Errorf("kill %s: process %d is still there after 10 s", m.name, m.cmd.Process.Pid)
		}
	}
	return nil
}

// failed adds to err what QEMU and the guest said last.
func (m *Machine) failed(err error) error {
	if s := bytes.TrimSpace(m.stderr.Bytes()); len(s) > 0 {
		err = fmt.Errorf("%w\nqemu: %s", err, s)
	}
	if s := m.console.Tail(30); s != "" {
		err = fmt.Errorf("%w\nlast lines on the console:\n%s", err, s)
	}
	return err
}
