package boot

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKernelLog(t *testing.T) {
	m := newMachine(t, "")
	log := slog.New(NewKernelLog(m.root)).With("disk", "sda 1")
	log.Debug("d")
	log.Info("i", "n", 3)
	log.Log(context.Background(), LevelSay, "s")
	log.Warn("two\nlines")
	log.Error(strings.Repeat("x", maxLine+10))
	want := `<7>esos-init: d disk="sda 1"
<6>esos-init: i disk="sda 1" n=3
<5>esos-init: s disk="sda 1"
<4>esos-init: two
<4>esos-init: lines disk="sda 1"
<3>esos-init: ` + strings.Repeat("x", maxLine) + `
<3>esos-init: xxxxxxxxxx disk="sda 1"
`
	if got := m.read("dev/kmsg"); got != want {
		t.Errorf("/dev/kmsg\n got %q\nwant %q", got, want)
	}
	if got := m.read("dev/ttyS0"); got != "" {
		t.Errorf("the kernel shows it, and it is shown again: %q", got)
	}
}

// TestQuietKernel: what people should see is seen with "quiet", too.
func TestQuietKernel(t *testing.T) {
	m := newMachine(t, "")
	m.write("proc/sys/kernel/printk", []byte("4 4 1 7\n"))
	log := slog.New(NewKernelLog(m.root))
	log.Info("i")
	log.Log(context.Background(), LevelSay, "s")
	log.Warn("w1\nw2")
	log.Error("e") // the kernel shows this
	want := "esos-init: s\r\nesos-init: w1\r\nesos-init: w2\r\n"
	for _, tty := range []string{"ttyS0", "tty1"} {
		if got := m.read("dev/" + tty); got != want {
			t.Errorf("%s\n got %q\nwant %q", tty, got, want)
		}
	}
	if err := os.Remove(filepath.Join(m.root, "dev/kmsg")); err != nil {
		t.Fatal(err)
	}
	slog.New(NewKernelLog(m.root)).Error("without /dev/kmsg")
	if got := m.read("dev/ttyS0"); !strings.Contains(got, "without /dev/kmsg") {
		t.Errorf("without /dev/kmsg: %q", got)
	}
}

func TestRescueText(t *testing.T) {
	m := newMachine(t, "")
	// The consoles are files here, which no shell gets as its terminal.
	s := &Shells{Log: slog.New(slog.NewTextHandler(m.log, nil)), Program: []string{"/bin/true"}, Root: m.root, Shortest: time.Second, Pause: 20 * time.Millisecond}
	began := time.Now()
	s.Rescue(t.Context(), "find the medium", errors.New("no disk was seen"))
	for _, tty := range []string{"ttyS0", "tty1"} {
		if got := m.read("dev/" + tty); !strings.Contains(got, "find the medium") || !strings.Contains(got, "no disk was seen") || !strings.Contains(got, "reboot -f") {
			t.Errorf("%s: %q", tty, got)
		}
	}
	if time.Since(began) < 20*time.Millisecond {
		t.Error("without a shell it did not pause")
	}
	if !strings.Contains(m.log.String(), "ttyS0") {
		t.Errorf("that there is no shell is not logged: %s", m.log)
	}
}

func TestNewDevice(t *testing.T) {
	for message, want := range map[string]string{
		"add@/devices/pci/usb1\x00ACTION=add\x00DEVPATH=/devices/pci/usb1\x00MODALIAS=usb:v1d6B\x00SEQNUM=7\x00": "usb:v1d6B",
		"remove@/devices/x\x00ACTION=remove\x00MODALIAS=usb:v1d6B\x00":                                           "",
		"add@/devices/x\x00ACTION=add\x00":                                                                       "",
		"libudev\x00\xfe\xed\xca\xfe":                                                                            "",
		"":                                                                                                       "",
	} {
		if got := newDevice([]byte(message)); got != want {
			t.Errorf("newDevice(%q) = %q, want %q", message, got, want)
		}
	}
}

func FuzzNewDevice(f *testing.F) {
	f.Add([]byte("add@/devices/pci/usb1\x00ACTION=add\x00MODALIAS=usb:v1d6B\x00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		if alias := newDevice(message); strings.Contains(alias, "\x00") || alias != "" && !strings.Contains(string(message), alias) {
			t.Errorf("newDevice(%q) = %q", message, alias)
		}
	})
}

// TestModaliases listens to this machine's own kernel.
func TestModaliases(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	aliases, err := (&Kernel{}).Modaliases(ctx)
	if err != nil {
		t.Skipf("this kernel lets nobody listen: %v", err)
	}
	cancel()
	select {
	case _, more := <-aliases:
		for more {
			_, more = <-aliases
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on listening after the end of its context")
	}
}

// TestEmptyRefuses: a disk is never emptied. t.TempDir is not always on one.
func TestEmptyRefuses(t *testing.T) {
	if err := empty("/proc"); err == nil || !strings.Contains(err.Error(), "no initramfs") {
		t.Errorf("empty: %v", err)
	}
}

func TestRemoveBelow(t *testing.T) {
	m := newMachine(t, "")
	m.write("usr/lib/a", []byte("a"))
	if err := os.Symlink("/etc", filepath.Join(m.root, "link")); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(m.root)
	if err != nil || !st.IsDir() {
		t.Fatal(err)
	}
	removeBelow(m.root, 0) // as if it were all another file system's
	if !exists(filepath.Join(m.root, "usr/lib/a")) {
		t.Error("a file of another file system was deleted")
	}
	removeBelow(m.root, deviceOf(t, m.root))
	if left, err := os.ReadDir(m.root); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if !exists("/etc/passwd") {
		t.Fatal("a symbolic link was followed")
	}
}
