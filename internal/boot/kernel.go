package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// searchPath is where the initramfs has its programs; ours are found before
// busybox's of the same name.
const searchPath = "/sbin:/usr/sbin:/bin:/usr/bin"

// Kernel is the machine's Linux.
type Kernel struct {
	loops []*os.File // held until their file systems are mounted, and longer
}

// SinceStart is the time since the kernel started.
func SinceStart() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Mount implements Linux.
func (*Kernel) Mount(source, target, fstype string, flags uintptr, options string) error {
	return unix.Mount(source, target, fstype, flags, options)
}

// Unmount implements Linux.
func (*Kernel) Unmount(target string) error { return unix.Unmount(target, 0) }

// Move implements Linux.
func (*Kernel) Move(from, to string) error { return unix.Mount(from, to, "", unix.MS_MOVE, "") }

// LoadModule implements Linux. The kernel unpacks compressed modules itself.
func (*Kernel) LoadModule(file, args string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(file, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	return unix.FinitModule(int(f.Fd()), args, flags)
}

// AttachLoop implements Linux.
func (k *Kernel) AttachLoop(file string) (string, error) {
	back, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer back.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", fmt.Errorf("ask for a free loop device: %w", err)
	}
	device := fmt.Sprintf("/dev/loop%d", n)
	loop, err := os.OpenFile(device, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	config := unix.LoopConfig{
		Fd:   uint32(back.Fd()),
		Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR},
	}
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file)
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
		_ = loop.Close()
		return "", fmt.Errorf("set up %s: %w", device, err)
	}
	// With AUTOCLEAR the device is free again when the last that has it open
	// closes it; that has to be the mount. Ours ends with this program.
	k.loops = append(k.loops, loop)
	return device, nil
}

// Run implements Linux.
func (*Kernel) Run(ctx context.Context, name string, args ...string) (string, int, error) {
	path, err := find(name)
	if err != nil {
		return "", 0, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	// mdadm waits for udev, which is not there, unless it is told.
	cmd.Env = []string{"PATH=" + searchPath, "HOME=/", "LC_ALL=C", "MDADM_NO_UDEV=1"}
	out, err := cmd.CombinedOutput()
	const limit = 4096
	text := strings.TrimSpace(string(out[:min(len(out), limit)]))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return text, exit.ExitCode(), nil
	}
	return text, 0, err
}

func find(name string) (string, error) {
	for dir := range strings.SplitSeq(searchPath, ":") {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("the initramfs has no %s", name)
}

// Forget implements Linux. It is advice: nothing depends on it.
func (*Kernel) Forget(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
