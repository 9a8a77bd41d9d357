package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/image"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
)

// The stock system is what Debian's own cloud image is made of: packages of
// priority important, the cloud kernel with what it recommends, an initramfs
// of initramfs-tools, ext4, networkd with DHCP, OpenSSH. What would slow it
// down and has nothing to do with booting is left out: cloud-init, growing the
// file system, making host keys.
const (
	stockSuite = "trixie"
	stockDisk  = 3 << 30
	// stockAge is how old a stock system may be: security updates come in.
	stockAge = 24 * time.Hour
)

var stockPackages = []string{
	"linux-image-cloud-amd64", "initramfs-tools", "zstd", "systemd-sysv", "dbus", "libpam-systemd",
	"systemd-resolved", "systemd-timesyncd", "openssh-server",
}

// stockHooks configure it, as the cloud image's build does.
func stockHooks() []string {
	return []string{
		`printf '[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n' >"$1/etc/systemd/network/20-wired.network"`,
		`chroot "$1" systemctl enable systemd-networkd.service`,
		`echo 'LABEL=root / ext4 errors=remount-ro 0 1' >"$1/etc/fstab"`,
		`echo stock >"$1/etc/hostname"`,
	}
}

// stockAppend is the kernel's command line: the console that Debian's cloud
// image has, and as much on it as the appliance prints.
const stockAppend = "root=LABEL=root ro console=tty0 console=ttyS0,115200 loglevel=6"

// stockFiles are the stock system on this machine's disk.
type stockFiles struct{ kernel, initrd, disk string }

func newStock(ctx context.Context, lab *appliance.Lab, shape vm.Config, work string) (*contender, error) {
	tools, err := lab.Tools()
	if err != nil {
		return nil, err
	}
	files, err := buildStock(ctx, tools, work)
	if err != nil {
		return nil, fmt.Errorf("build stock Debian: %w", err)
	}
	return &contender{
		name: "Debian", until: "the greeting of sshd",
		start: func(ctx context.Context, dir string, first bool) (booting, error) {
			c := shape
			c.Name, c.Dir = "stock", dir
			c.Kernel, c.Initrd, c.Append = files.kernel, files.initrd, stockAppend
			c.Drives = []vm.Drive{{File: files.disk, Snapshot: !first}}
			c.Forwards = []vm.Forward{{Guest: 22}}
			m, err := vm.Start(ctx, c)
			if err != nil {
				return booting{}, err
			}
			return booting{m, func(ctx context.Context) error {
				err := appliance.Poll(ctx, func(ctx context.Context) error { return greeting(ctx, m.Address(22)) })
				if err != nil {
					return fmt.Errorf("wait for sshd: %w\nlast lines on the console:\n%s", err, m.Console().Tail(30))
				}
				return nil
			}}, nil
		},
	}, nil
}

// greeting reads the first thing that an SSH server says (RFC 4253 4.2).
func greeting(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	const want = "SSH-2.0-"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("port 22 greets with %q", got)
	}
	return nil
}

// buildStock makes the system, unless there is one that is young enough.
func buildStock(ctx context.Context, tools *image.Tools, work string) (stockFiles, error) {
	files := stockFiles{filepath.Join(work, "vmlinuz"), filepath.Join(work, "initrd.img"), filepath.Join(work, "disk.img")}
	pristine := filepath.Join(work, "root.tar")
	if st, err := os.Stat(pristine); err != nil || time.Since(st.ModTime()) > stockAge {
		if err := bootstrapStock(ctx, work, pristine); err != nil {
			return files, err
		}
	}
	if err := extractBoot(pristine, files); err != nil {
		return files, err
	}
	// Always a fresh disk: the first boot writes to it.
	if err := os.RemoveAll(files.disk); err != nil {
		return files, err
	}
	f, err := os.Create(files.disk)
	if err != nil {
		return files, err
	}
	if err := errors.Join(f.Truncate(stockDisk), f.Close()); err != nil {
		return files, err
	}
	out, err := tools.Command(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", pristine, files.disk).CombinedOutput()
	if err != nil {
		return files, fmt.Errorf("mke2fs: %w: %s", err, out)
	}
	return files, nil
}

func bootstrapStock(ctx context.Context, work, tarFile string) error {
	sources, err := image.Sources(os.DirFS("/etc/apt"), stockSuite, "", "")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	fmt.Println("making stock Debian")
	partial := tarFile + ".partial"
	args := []string{
		"--variant=important", "--format=tar", "--aptopt=Acquire::Languages \"none\"",
		"--include=" + strings.Join(stockPackages, ","),
	}
	for _, h := range stockHooks() {
		args = append(args, "--customize-hook="+h)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, stockSuite, partial, "-")...)
	cmd.Stdin = strings.NewReader(strings.Join(sources, "\n") + "\n")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, said.Bytes()[max(0, said.Len()-4096):])
	}
	return os.Rename(partial, tarFile)
}

// extractBoot takes the kernel and its initramfs out of the system.
func extractBoot(tarFile string, files stockFiles) error {
	f, err := os.Open(tarFile)
	if err != nil {
		return err
	}
	defer f.Close()
	want := map[string]string{"boot/vmlinuz-": files.kernel, "boot/initrd.img-": files.initrd}
	for r := tar.NewReader(f); len(want) > 0; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s has no kernel, or no initramfs", tarFile)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", tarFile, err)
		}
		for prefix, to := range want {
			if h.Typeflag != tar.TypeReg || !strings.HasPrefix(strings.TrimPrefix(h.Name, "./"), prefix) {
				continue
			}
			data, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			if err := os.WriteFile(to, data, 0o644); err != nil {
				return err
			}
			delete(want, prefix)
		}
	}
	return nil
}
