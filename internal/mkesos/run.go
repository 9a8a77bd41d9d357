package mkesos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/esos-project/esos/internal/image"
	"github.com/esos-project/esos/internal/vm"
)

// runFlags are the command line of mkesos run.
type runFlags struct {
	memory, cpus     int
	bus              string
	uefi, fresh      bool
	iscsi, api, ssh  int
	stick, dataDrive int64 // GiB
	document, work   string
	state            string
	sshKeys          []string
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [IMAGE]",
		Short: "Run an image in a virtual machine",
		Long: `Run an image in a virtual machine, with its console in this terminal. iSCSI, the
API and SSH are forwarded to this machine's loopback.

IMAGE stays as it is: what the appliance saves on its stick goes to IMAGE.run/,
with a data disk to serve (/dev/disk/by-id/virtio-` + dataSerial + `), and is there at the next
run. A stick of another build is replaced; the data disk stays. With --document or
--ssh-key the stick is made of the build that IMAGE is of, with these settings.

Ctrl-A X ends the machine like pulling its plug; Ctrl-A C is QEMU's monitor.`,
		Example: `  mkesos run
  mkesos run --document examples/appliance.yaml
  mkesos run --bus nvme --uefi --memory 1024`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file := filepath.Join(defaultWork, "out", imageName)
			if len(args) == 1 {
				file = args[0]
			}
			return f.run(c, file)
		},
	}
	s := c.Flags()
	s.IntVar(&f.memory, "memory", 2048, "memory in `MiB`")
	s.IntVar(&f.cpus, "cpus", 2, "processors")
	s.StringVar(&f.bus, "bus", string(vm.USB), "what the stick is plugged into: usb, nvme, sata or virtio")
	s.BoolVar(&f.uefi, "uefi", false, "boot by UEFI, not BIOS")
	s.BoolVar(&f.fresh, "fresh", false, "begin anew: a new stick, and an empty data disk")
	s.StringVar(&f.document, "document", "", "esos.yaml `FILE` that a new stick begins with")
	s.StringSliceVar(&f.sshKeys, "ssh-key", nil, "`FILE` of SSH public keys that may log in as root and admin on a new stick")
	s.StringVar(&f.work, "work", defaultWork, "`directory` of the build, whose tools make a stick with --document or --ssh-key")
	s.IntVar(&f.iscsi, "iscsi-port", 3260, "`port` of this machine that leads to the appliance's iSCSI")
	s.IntVar(&f.api, "api-port", 8443, "`port` of this machine that leads to the appliance's API")
	s.IntVar(&f.ssh, "ssh-port", 2222, "`port` of this machine that leads to the appliance's SSH")
	s.StringVar(&f.state, "state", "", "`directory` of what is kept (default: IMAGE.run)")
	s.Int64Var(&f.stick, "stick-size", 8, "size of the stick in `GiB`")
	s.Int64Var(&f.dataDrive, "data-size", 4, "size of the data disk in `GiB`")
	return c
}

func (f *runFlags) run(c *cobra.Command, file string) error {
	ctx := c.Context()
	bus, err := vm.ParseBus(f.bus)
	if err != nil {
		return fmt.Errorf("--bus: %w", err)
	}
	forwards, err := f.forwards()
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		file = filepath.Join(file, imageName)
	}
	first, err := f.firstSettings()
	if err != nil {
		return err
	}
	s, err := openState(ctx, stateOptions{
		image: file, dir: f.state, stick: f.stick << 30, data: f.dataDrive << 30, fresh: f.fresh, first: first, work: f.work,
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", file, err)
	}
	defer s.close()
	if s.renewed {
		fmt.Fprintf(out, "%s, or what it begins with, is another than at the last run: this one begins with a new stick\n", file)
	}
	accel, err := vm.Probe(ctx)
	if err != nil {
		return err
	}
	// Sockets need a short path.
	sockets, err := os.MkdirTemp("", "esos-run-")
	if err != nil {
		return fmt.Errorf("run %s: %w", file, err)
	}
	defer os.RemoveAll(sockets)
	f.explain(out, file, accel)

	// QEMU puts the terminal into raw mode; one that is killed leaves it there.
	if in := int(os.Stdin.Fd()); term.IsTerminal(in) {
		if was, err := term.GetState(in); err == nil {
			defer func() { _ = term.Restore(in, was) }()
		}
	}
	m, err := vm.Start(ctx, vm.Config{
		Name: "esos", Dir: sockets, Memory: f.memory, CPUs: f.cpus, Accel: accel,
		Machine: "q35", UEFI: f.uefi, Variables: s.variables, Reboots: true, Terminal: true,
		Drives: []vm.Drive{
			{File: s.stick, Format: "qcow2", Bus: bus, Serial: "esos-stick"},
			{File: s.data, Serial: dataSerial},
		},
		Network: true, Forwards: forwards,
	})
	if err != nil {
		return err
	}
	err = m.Wait(context.WithoutCancel(ctx)) // ctx ends the machine itself
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return errors.Join(err, m.Close())
}

// firstSettings are what a new stick begins with.
func (f *runFlags) firstSettings() (settings, error) {
	var s settings
	var err error
	if f.document != "" {
		if s.Document, err = image.ReadDocument(f.document); err != nil {
			return s, err
		}
	}
	for _, file := range f.sshKeys {
		text, err := os.ReadFile(file)
		if err != nil {
			return s, fmt.Errorf("read SSH keys: %w", err)
		}
		s.SSHKeys = append(append(s.SSHKeys, text...), '\n')
	}
	return s, nil
}

// forwards are the ports; one that is taken is told before anything starts.
func (f *runFlags) forwards() ([]vm.Forward, error) {
	var all []vm.Forward
	for _, p := range []struct {
		flag        string
		host, guest int
	}{{"iscsi-port", f.iscsi, 3260}, {"api-port", f.api, 8443}, {"ssh-port", f.ssh, 22}} {
		if p.host < 1 || p.host > 65535 {
			return nil, fmt.Errorf("--%s %d: want 1 to 65535", p.flag, p.host)
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.host))
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("forward %s to the appliance's port %d: %w; end what listens there, or take another port with --%s", address, p.guest, err, p.flag)
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		all = append(all, vm.Forward{Host: p.host, Guest: p.guest})
	}
	return all, nil
}

// explain says what runs and what to try with it.
func (f *runFlags) explain(out io.Writer, file string, accel vm.Accel) {
	firmware := "BIOS"
	if f.uefi {
		firmware = "UEFI"
	}
	fmt.Fprintf(out, "%s boots by %s from a %s drive, %d MiB of memory, with %s\n", file, firmware, f.bus, f.memory, accel)
	if accel == vm.TCG {
		fmt.Fprintln(out, "KVM does not run a guest here, so every instruction is translated: be patient")
	}
	fmt.Fprintf(out, `
When it is up, try from another terminal:
  iscsi-ls -s iscsi://127.0.0.1:%d
  ssh -p %d admin@127.0.0.1         (the first boot shows the password here)
  curl -k https://127.0.0.1:%d/
The data disk is /dev/disk/by-id/virtio-%s there.
Ctrl-A X ends the machine, Ctrl-A H lists QEMU's other keys.

`, f.iscsi, f.ssh, f.api, dataSerial)
}
