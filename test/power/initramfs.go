package power

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

// Request is a medium to be booted.
type Request struct {
	Image   string             // the medium's file; fsck and journals write to it
	Parts   []medium.Partition // of it
	Cmdline string             // what GRUB would give the kernel
	Kernel  string             // its release
	Keys    string             // directory with the public keys of the initramfs
	Dir     string             // empty, for the machine's files
	Files   []string           // patterns of files of the booted system that are wanted
	Slots   bool               // check both slots, too
}

// Answer is what became of it.
type Answer struct {
	// Stopped is why the boot got nowhere: what a person would read on the
	// console; "" if systemd was started.
	Stopped string
	Report  boot.Report
	Files   map[string][]byte
	Slots   map[slot.Name]Slot
	Log     string
}

// Slot is what is on esos_root for a slot.
type Slot struct {
	Manifest slot.Manifest
	Err      string // why it cannot be booted
}

// initVariable has the Request of a process that is to be an initramfs.
const initVariable = "ESOS_TEST_INITRAMFS"

// Initramfs boots what the environment says, prints the Answer and returns
// true, if this process was started for that. Its mounts must not be seen by
// others: it has a mount namespace of its own.
func Initramfs() bool {
	text := os.Getenv(initVariable)
	if text == "" {
		return false
	}
	var r Request
	err := json.Unmarshal([]byte(text), &r)
	var a Answer
	if err == nil {
		a, err = r.boot(context.Background())
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(a)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// disk is what the medium is called in the machine.
const disk = "sda"

// boot runs the stages of internal/boot on the medium, with this machine's
// kernel.
func (r Request) boot(ctx context.Context) (a Answer, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return a, fmt.Errorf("keep mounts to this process: %w", err)
	}
	booting, stop := context.WithCancel(ctx)
	defer stop()
	var log strings.Builder
	k := &kernel{request: r, stop: stop}
	if err := k.furnish(); err != nil {
		return a, err
	}
	b := &boot.Boot{
		Linux: k, Log: slog.New(slog.NewTextHandler(&log, nil)), Clock: boot.SinceStart, Root: r.Dir,
		Restore: persist.Restore,
		Rescue: func(_ context.Context, stage string, reason error) {
			a.Stopped = fmt.Sprintf("%s: %v", stage, reason)
			stop()
		},
	}
	err = b.Run(booting)
	a.Log = log.String()
	switch {
	case !errors.Is(err, context.Canceled):
		return a, fmt.Errorf("boot: %w", err)
	case a.Stopped != "":
		return a, nil
	case k.init == "":
		return a, errors.New("boot: it ended without systemd")
	}
	if a.Report, err = boot.ReadReport(filepath.Join(r.Dir, boot.ReportFile)); err != nil {
		return a, err
	}
	if a.Files, err = wanted(k.init, r.Files); err != nil {
		return a, err
	}
	if r.Slots {
		a.Slots, err = k.slots(ctx)
	}
	return a, err
}

// wanted reads files of the booted system.
func wanted(root string, patterns []string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, p := range patterns {
		names, err := filepath.Glob(filepath.Join(root, p))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files[strings.TrimPrefix(name, root)] = text
		}
	}
	return files, nil
}

// slots checks both slots as a boot does, to the last byte.
func (k *kernel) slots(ctx context.Context) (map[slot.Name]Slot, error) {
	keys, err := slot.LoadKeys(os.DirFS(k.request.Keys))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(k.request.Dir, "slots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	device, err := k.device(medium.LabelRoot)
	if err != nil {
		return nil, err
	}
	if err := k.Kernel.Mount(device, dir, "ext4", unix.MS_RDONLY, ""); err != nil {
		return nil, fmt.Errorf("mount %s: %w", medium.LabelRoot, err)
	}
	all := map[slot.Name]Slot{}
	for _, name := range []slot.Name{slot.Primary, slot.Secondary} {
		m, err := verify(ctx, filepath.Join(dir, string(name)), keys)
		s := Slot{Manifest: m}
		if err != nil {
			s.Err = err.Error()
		}
		all[name] = s
	}
	return all, nil
}

func verify(ctx context.Context, dir string, keys []slot.PublicKey) (slot.Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, slot.ManifestFile))
	if err != nil {
		return slot.Manifest{}, err
	}
	sig, err := os.ReadFile(filepath.Join(dir, slot.SignatureFile))
	if err != nil {
		return slot.Manifest{}, err
	}
	m, err := slot.Open(text, sig, keys)
	if err != nil {
		return m, err
	}
	part, err := m.Part(slot.RootFile)
	if err != nil {
		return m, err
	}
	f, err := os.Open(filepath.Join(dir, slot.RootFile))
	if err != nil {
		return m, err
	}
	defer f.Close()
	return m, part.Verify(ctx, f, 2, func(int64) {})
}

func (k *kernel) device(label string) (string, error) {
	p, ok := medium.Labelled(k.request.Parts, label)
	if !ok {
		return "", fmt.Errorf("the medium has no partition %s", label)
	}
	return filepath.EvalSymlinks(filepath.Join(k.request.Dir, "dev", disk+strconv.Itoa(p.Number)))
}
