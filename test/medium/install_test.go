package medium

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/install"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/medium/stick"
	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/test/level"
)

// usedDrive is a loop device full of something else, as the only disk of a
// machine.
func usedDrive(t *testing.T, size int64) (disk.Machine, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "drive")
	b := bytes.Repeat([]byte("\xa5\x5a\xff\x01old data"), int(size/12)+1)[:size]
	write(t, file, b)
	dev := loop(t, file)
	root := t.TempDir()
	m := disk.Machine{Sys: filepath.Join(root, "sys"), Proc: filepath.Join(root, "proc"), Dev: filepath.Join(root, "dev")}
	for _, dir := range []string{"block/vda", "class/block/vda"} {
		for name, text := range map[string]string{"size": fmt.Sprint(size / 512), "dev": "254:0", "ro": "0", "queue/logical_block_size": "512", "device/model": "Test"} {
			write(t, filepath.Join(m.Sys, dir, name), []byte(text))
		}
	}
	write(t, filepath.Join(m.Proc, "self/mountinfo"), nil)
	if err := os.MkdirAll(m.Dev, 0o755); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(dev, &st); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(filepath.Join(m.Dev, "vda"), unix.S_IFBLK|0o600, int(st.Rdev)); err != nil {
		t.Fatal(err)
	}
	return m, dev
}

// mountedISO is what an ISO of the plan holds, in a directory.
func mountedISO(t *testing.T, p medium.Plan) string {
	t.Helper()
	dir := t.TempDir()
	output(t, p.Tools, "xorriso", "-osirrox", "on", "-indev", buildISO(t, isoOf(p)), "-extract", "/", dir)
	return dir
}

func TestInstall(t *testing.T) {
	level.Require(t, level.Smoke)
	p := smallPlan(t)
	key, err := slot.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	sign(t, p.Slot, key)
	p.Seed = t.TempDir()
	write(t, filepath.Join(p.Seed, "etc/esos/esos.yaml"), []byte("name: first\n"))
	m, dev := usedDrive(t, p.Sizes.Total()+40<<20+512)
	var said bytes.Buffer
	var asked []string
	answers := []string{}
	i := install.Installer{
		Machine: m, Tools: p.Tools, ISO: mountedISO(t, p), Trusted: []slot.PublicKey{key.Public()},
		Out: &said, Progress: func(string, int64, int64) {},
		Ask: func(_ context.Context, question string) (string, error) {
			asked = append(asked, question)
			if len(answers) == 0 {
				return "", errors.New("nobody answers")
			}
			answer := answers[0]
			answers = answers[1:]
			return answer, nil
		},
	}
	untouched := func(t *testing.T) {
		t.Helper()
		b := make([]byte, 4)
		f, err := os.Open(dev)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.ReadAt(b, 0); err != nil || string(b) != "\xa5\x5a\xff\x01" {
			t.Errorf("the disk was touched: % x, %v", b, err)
		}
	}
	t.Run("unattended, not blank", func(t *testing.T) {
		i.Options = boot.InstallOptions{Model: "test", NoPrompt: true}
		if _, err := i.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "wipe_devs=1 was not given") {
			t.Errorf("it installed: %v", err)
		}
		untouched(t)
	})
	t.Run("declined", func(t *testing.T) {
		i.Options = boot.InstallOptions{}
		answers = []string{"yes"} // not the disk's name
		if _, err := i.Run(t.Context()); !errors.Is(err, install.ErrDeclined) {
			t.Errorf("it installed: %v", err)
		}
		untouched(t)
	})
	t.Run("signed by somebody else", func(t *testing.T) {
		other, err := slot.GenerateKey("other")
		if err != nil {
			t.Fatal(err)
		}
		i := i
		i.Trusted = []slot.PublicKey{other.Public()}
		i.Options = boot.InstallOptions{NoPrompt: true, Wipe: true}
		if _, err := i.Run(t.Context()); !errors.Is(err, slot.ErrSignature) {
			t.Errorf("it installed: %v", err)
		}
		untouched(t)
	})
	t.Run("damaged ISO", func(t *testing.T) {
		i := i
		i.ISO = mountedISO(t, p)
		if err := os.Chmod(filepath.Join(i.ISO, "PRIMARY/root.squashfs"), 0o644); err != nil {
			t.Fatal(err)
		}
		poke(t, filepath.Join(i.ISO, "PRIMARY/root.squashfs"), 12345, "damage")
		i.Options = boot.InstallOptions{NoPrompt: true, Wipe: true}
		var damage *slot.DamageError
		if _, err := i.Run(t.Context()); !errors.As(err, &damage) {
			t.Errorf("it installed: %v", err)
		}
		untouched(t)
	})
	t.Run("by its name", func(t *testing.T) {
		i.Options = boot.InstallOptions{Transport: ""}
		answers, asked = []string{"vda"}, nil
		if _, err := i.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(asked) != 1 || !strings.Contains(asked[0], "data of an unknown kind") {
			t.Errorf("it asked %q", asked)
		}
		checkMedium(t, p.Tools, dev)
		if conf, _ := medium.Labelled(layout(t, dev), medium.LabelConf); conf.Size == 0 {
			t.Error("there is no esos_conf")
		}
	})
	// Years later: both slots hold other versions, and a power cut in an upgrade
	// left two copies of the FAT that differ. What is saved is as good as ever.
	dropSlots(t, dev)
	tearFAT(t, dev)
	first := identity(t, dev)
	i.Options = boot.InstallOptions{Device: filepath.Join(m.Dev, "vda"), NoPrompt: true, Wipe: true}
	t.Run("unattended, again from the same ISO", func(t *testing.T) {
		if _, err := i.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is installed on") {
			t.Errorf("it installed over what is saved there: %v", err)
		}
		if diff := cmp.Diff(first, identity(t, dev)); diff != "" {
			t.Errorf("the disk was touched: %s", diff)
		}
	})
	t.Run("unattended, from another ISO", func(t *testing.T) {
		i := i
		write(t, filepath.Join(p.Slot, "root.squashfs"), bytes.Repeat([]byte("another system"), 1000))
		sign(t, p.Slot, key)
		i.ISO = mountedISO(t, p)
		if _, err := i.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkMedium(t, p.Tools, dev)
		if second := identity(t, dev); second["esos_root"] == first["esos_root"] || second["disk"] == first["disk"] {
			t.Error("two installations have one identity")
		}
	})
}

// dropSlots takes away the signatures of both slots.
func dropSlots(t *testing.T, dev string) {
	t.Helper()
	root, _ := medium.Labelled(layout(t, dev), medium.LabelRoot)
	for _, name := range grub.Slots() {
		remove := "rm /" + name + "/" + slot.SignatureFile
		out, err := exec.Command("debugfs", "-w", "-R", remove, fmt.Sprintf("%s?offset=%d", dev, root.Start)).CombinedOutput()
		if err != nil || strings.Contains(string(out), "rm: ") {
			t.Fatalf("%s: %s, %v", remove, out, err)
		}
	}
}

// tearFAT makes the first FAT of ESOS_BOOT another than the second.
func tearFAT(t *testing.T, dev string) {
	t.Helper()
	f, err := os.OpenFile(dev, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, _ := medium.Labelled(layout(t, dev), medium.LabelBoot)
	reserved := make([]byte, 2) // BPB_RsvdSecCnt
	if _, err := f.ReadAt(reserved, boot.Start+14); err != nil {
		t.Fatal(err)
	}
	last := boot.Start + int64(binary.LittleEndian.Uint16(reserved))*medium.SectorSize + 4*1000
	if _, err := f.WriteAt([]byte{0xf8, 0xff, 0xff, 0x0f}, last); err != nil {
		t.Fatal(err)
	}
	if c, err := medium.Open(f); err == nil {
		t.Fatalf("ESOS_BOOT can still be read: %v", c)
	}
}

func identity(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ids, err := medium.IdentityOf(f)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestWriteDisk(t *testing.T) {
	level.Require(t, level.Smoke)
	p := smallPlan(t)
	image, err := os.Open(build(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	m, dev := usedDrive(t, p.Sizes.Total()+100<<20+1024)
	target, err := stick.Look(m, filepath.Join(m.Dev, "vda"), p.Sizes.Total(), 0, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(target.Contents) != 1 || target.Contents[0].What != "data of an unknown kind" {
		t.Errorf("it holds %v", target.Contents)
	}
	c, err := medium.NewCopy(image, "a stick", target.Size)
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]int64{}
	err = stick.Write(t.Context(), c, target, func(step string, done, total int64) { steps[step] = total - done })
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"write", "verify"} {
		if rest, ok := steps[step]; !ok || rest != 0 {
			t.Errorf("progress of %s ended %d bytes before its end (%v)", step, rest, ok)
		}
	}
	checkMedium(t, p.Tools, dev)
	if err := medium.Verify(t.Context(), p, dev); err != nil {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		prepare func(*testing.T)
		running []string
		size    int64
		want    string
	}{
		"too small": {nil, nil, 1 << 40, "too small"},
		"what runs": {nil, []string{"vda"}, 1, "started from"},
		"mounted": {func(t *testing.T) {
			write(t, m.Proc+"/self/mountinfo", []byte("1 2 254:0 / /mnt rw - ext4 /dev/x rw\n"))
		}, nil, 1, "mounted at /mnt"},
		"an LVM member": {func(t *testing.T) { poke(t, dev, 1536, "LABELONE") }, nil, 1, "--force"},
		"protected":     {func(t *testing.T) { write(t, m.Sys+"/class/block/vda/ro", []byte("1")) }, nil, 1, "write-protected"},
		"sectors":       {func(t *testing.T) { write(t, m.Sys+"/class/block/vda/queue/logical_block_size", []byte("4096")) }, nil, 1, "sectors of 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.prepare != nil {
				test.prepare(t)
				defer func() {
					write(t, m.Proc+"/self/mountinfo", nil)
					write(t, m.Sys+"/class/block/vda/ro", []byte("0"))
					write(t, m.Sys+"/class/block/vda/queue/logical_block_size", []byte("512"))
					poke(t, dev, 1536, "\x00\x00\x00\x00\x00\x00\x00\x00")
				}()
			}
			if _, err := stick.Look(m, filepath.Join(m.Dev, "vda"), test.size, 0, false, test.running); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}
