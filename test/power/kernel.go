package power

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/boot"
)

// kernel is this machine's Linux, where the medium is the only disk. It mounts,
// checks and reads in earnest; only what a machine has once it leaves out: the
// kernel's own file systems, modules, and giving up process 1.
type kernel struct {
	boot.Kernel
	request Request
	stop    context.CancelFunc

	loops []*os.File // the medium's partitions; they go with this process
	init  string     // root of the booted system, once systemd was started
}

// furnish makes the files that the boot reads of the machine. Partitions are
// loop devices that begin and end in the image.
func (k *kernel) furnish() error {
	r := k.request
	st, err := os.Stat(r.Image)
	if err != nil {
		return err
	}
	modules := filepath.Join("lib/modules", r.Kernel)
	place := filepath.Join("sys/devices/pci0000:00/usb1/1-1/host0/block", disk)
	files := map[string]string{
		"proc/cmdline":              r.Cmdline + "\n",
		"proc/meminfo":              "MemTotal: 4194304 kB\n",
		"proc/sys/kernel/osrelease": r.Kernel + "\n",
		// This kernel has what it needs; nothing is loaded into it.
		modules + "/modules.dep":   "crc32c_generic.ko:\next4.ko:\nloop.ko:\nsquashfs.ko:\noverlay.ko:\n",
		modules + "/modules.alias": "",
		"etc/esos/modules":         "crc32c_generic\next4\nloop\nsquashfs\noverlay\n",
		place + "/size":            strconv.FormatInt(st.Size()/512, 10),
		place + "/dev":             "8:0",
	}
	for _, p := range r.Parts {
		dir := filepath.Join(place, disk+strconv.Itoa(p.Number))
		files[dir+"/size"] = strconv.FormatInt(p.Size/512, 10)
		files[dir+"/dev"] = "8:" + strconv.Itoa(p.Number)
		files[dir+"/partition"] = strconv.Itoa(p.Number)
		files[dir+"/uevent"] = "PARTNAME=" + p.Label + "\n"
	}
	for name, text := range files {
		path := filepath.Join(r.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, dir := range []string{"dev", "sys/class/block"} {
		if err := os.MkdirAll(filepath.Join(r.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	return k.plugIn(place)
}

// plugIn gives the medium's block devices their names.
func (k *kernel) plugIn(place string) error {
	r := k.request
	links := map[string]string{
		"etc/esos/keys":           r.Keys,
		"dev/" + disk:             r.Image,
		"sys/class/block/" + disk: filepath.Join(r.Dir, place),
	}
	for _, p := range r.Parts {
		name := disk + strconv.Itoa(p.Number)
		loop, err := attach(r.Image, p.Start, p.Size)
		if err != nil {
			return err
		}
		k.loops = append(k.loops, loop)
		links["dev/"+name] = loop.Name()
		links["sys/class/block/"+name] = filepath.Join(r.Dir, place, name)
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(r.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// attach makes a part of a file a block device, which is free again when the
// returned file and all mounts of it are closed.
func attach(image string, at, size int64) (*os.File, error) {
	back, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer back.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("make %s a block device: %w: this test needs a kernel with loop devices, and root", image, err)
	}
	defer control.Close()
	const tries = 20 // others may take the same device at the same time
	for range tries {
		var n int
		if n, err = unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE); err != nil {
			return nil, fmt.Errorf("ask for a free loop device: %w", err)
		}
		var loop *os.File
		if loop, err = os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0); err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(back.Fd()), Info: unix.LoopInfo64{
			Flags: unix.LO_FLAGS_AUTOCLEAR, Offset: uint64(at), Sizelimit: uint64(size),
		}}
		if err = unix.IoctlLoopConfigure(int(loop.Fd()), &config); err == nil {
			return loop, nil
		}
		if err = errors.Join(err, loop.Close()); !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	return nil, fmt.Errorf("make %s a block device: %w", image, err)
}

// Mount implements boot.Linux.
func (k *kernel) Mount(source, target, fstype string, flags uintptr, options string) error {
	switch fstype {
	case "proc", "sysfs", "devtmpfs":
		return nil // they show this machine, and not the one that boots
	}
	if strings.HasPrefix(source, "/dev/"+disk) {
		real, err := filepath.EvalSymlinks(filepath.Join(k.request.Dir, source))
		if err != nil {
			return err
		}
		source = real
	}
	return k.Kernel.Mount(source, target, fstype, flags, options)
}

// Move implements boot.Linux: what is moved goes with this process.
func (k *kernel) Move(string, string) error { return nil }

// LoadModule implements boot.Linux.
func (k *kernel) LoadModule(string, string) error { return nil }

// Modaliases implements boot.Linux: no device appears.
func (k *kernel) Modaliases(ctx context.Context) (<-chan string, error) {
	aliases := make(chan string)
	go func() {
		defer close(aliases)
		<-ctx.Done()
	}()
	return aliases, nil
}

// AttachLoop implements boot.Linux. On this machine others take loop devices,
// too.
func (k *kernel) AttachLoop(file string) (device string, err error) {
	const tries = 20
	for range tries {
		if device, err = k.Kernel.AttachLoop(file); !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	return device, err
}

// errStarted ends a boot that got to systemd.
var errStarted = errors.New("systemd was started")

// SwitchRoot implements boot.Linux. From here on it is systemd's machine.
func (k *kernel) SwitchRoot(root string, _, _ []string) error {
	k.init = root
	k.stop()
	return errStarted
}
