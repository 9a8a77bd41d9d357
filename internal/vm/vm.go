// Package vm runs QEMU virtual machines: for the tests, and for looking at an
// image before it goes onto a stick. A machine is a process of this user; it
// needs no root and touches no network but QEMU's own user-mode one.
package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

	// Args go to QEMU as they are, after all others.
	Args []string
}

// Drive is a disk of the guest.
type Drive struct {
	File     string // a path or a URL that QEMU's block layer knows, such as iscsi://HOST:PORT/IQN/LUN
	Format   string // raw when empty
	ReadOnly bool
	// Snapshot keeps the guest's writes in a temporary file, and File as it was.
	Snapshot bool
	// CDROM makes it a CD-ROM drive behind a virtio SCSI controller that hands
	// the guest's SCSI commands through to File, which must be an iSCSI URL.
	CDROM bool
	// Initiator is the iSCSI initiator name for a File that is an iscsi:// URL.
	Initiator string
}

// Machine is a running virtual machine.
type Machine struct {
	name    string
	dir     string
	cmd     *exec.Cmd
	console *Console
	stderr  *boundedBuffer
	done    chan struct{} // closed when QEMU ended
	err     error         // of cmd.Wait, valid after done
}

// Start starts a machine. It runs until it powers itself off, ctx ends or
// Close is called; it never outlives this process.
func Start(ctx context.Context, c Config) (*Machine, error) {
	if c.Name == "" {
		c.Name = "vm"
	}
	if c.Accel == "" {
		accel, err := Probe(ctx)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", c.Name, err)
		}
		c.Accel = accel
	}
	logFile, err := os.OpenFile(filepath.Join(c.Dir, c.Name+".console"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	m := &Machine{
		name:    c.Name,
		dir:     c.Dir,
		console: newConsole(logFile),
		stderr:  &boundedBuffer{limit: 64 << 10},
		done:    make(chan struct{}),
	}
	m.cmd = exec.CommandContext(ctx, Binary, m.args(c)...)
	m.cmd.Stdout = m.console
	m.cmd.Stderr = m.stderr
	// A test that panics or is killed must not leave a machine behind.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		_ = logFile.Close()
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go func() {
		m.err = m.cmd.Wait()
		m.console.end()
		close(m.done)
	}()
	return m, nil
}

func (m *Machine) args(c Config) []string {
	memory, cpus := c.Memory, c.CPUs
	if memory == 0 {
		memory = 512
	}
	if cpus == 0 {
		cpus = 1
	}
	args := []string{
		"-name", c.Name, "-nodefaults", "-no-user-config", "-no-reboot",
		"-machine", "pc", "-m", strconv.Itoa(memory), "-smp", strconv.Itoa(cpus),
		"-display", "none", "-monitor", "none", "-vga", "none", "-serial", "stdio",
		// Entropy from the start: a guest without it waits in its first login.
		"-device", "virtio-rng-pci",
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=shell,server=on,wait=off,path=" + m.shellSocket(),
		"-device", "virtserialport,chardev=shell,name=" + ShellPort,
	}
	args = append(args, c.Accel.args()...)
	if c.Kernel != "" {
		args = append(args, "-kernel", c.Kernel, "-append", c.Append)
		if c.Initrd != "" {
			args = append(args, "-initrd", c.Initrd)
		}
	}
	for i, d := range c.Drives {
		args = append(args, d.args(i)...)
	}
	if c.Network {
		args = append(args, "-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile=")
	}
	return append(args, c.Args...)
}

func (d Drive) args(i int) []string {
	format := d.Format
	if format == "" {
		format = "raw"
	}
	id := "drive" + strconv.Itoa(i)
	spec := fmt.Sprintf("id=%s,if=none,format=%s,file=%s", id, format, d.File)
	if d.ReadOnly {
		spec += ",readonly=on"
	}
	if d.Snapshot {
		spec += ",snapshot=on"
	}
	var args []string
	if d.Initiator != "" {
		args = append(args, "-iscsi", "initiator-name="+d.Initiator)
	}
	args = append(args, "-drive", spec)
	if d.CDROM {
		return append(args, "-device", "virtio-scsi-pci,id=scsi"+id,
			"-device", fmt.Sprintf("scsi-block,bus=scsi%s.0,drive=%s,bootindex=%d", id, id, i+1))
	}
	return append(args, "-device", fmt.Sprintf("virtio-blk-pci,drive=%s,bootindex=%d", id, i+1))
}

func (m *Machine) shellSocket() string { return filepath.Join(m.dir, m.name+".shell") }

// Console is what the guest prints on its first serial port.
func (m *Machine) Console() *Console { return m.console }

// PID is the process id of QEMU.
func (m *Machine) PID() int { return m.cmd.Process.Pid }

// WaitFor returns when text was printed on the console. A machine that ends
// before it did is an error that tells the last lines it printed.
func (m *Machine) WaitFor(ctx context.Context, text string) error {
	if err := m.console.WaitFor(ctx, text); err != nil {
		return m.failed(fmt.Errorf("wait for %q on the console of %s: %w", text, m.name, err))
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
