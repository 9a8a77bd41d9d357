package boot

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testRelease = "6.12.0-test"

// machine is a computer to be booted: its files below a directory, and a
// Linux that does to them what the kernel would.
type machine struct {
	t    testing.TB
	root string
	log  *bytes.Buffer

	mu        sync.Mutex
	calls     []string // mounts, unmounts, moves and programs, in order
	media     map[string]string
	fail      map[string]error // by call
	status    map[string]int   // of programs, by call
	run       func(call string)
	aliases   chan string
	modules   []string
	switched  []string // argv of the system's init
	rescued   []string // reasons
	onRescue  func()
	attended  bool // somebody presses a key
	restored  func(dir, upper string) (persist.Restored, error)
	preferred persist.Prefer // by the last restore
	stop      context.CancelFunc
	crashTime time.Duration // of the boot's times
}

// newMachine returns one with a kernel command line and 1 GiB of memory, and
// no disks.
func newMachine(t testing.TB, cmdline string) *machine {
	m := &machine{crashTime: 5 * time.Second, t: t, root: t.TempDir(), log: &bytes.Buffer{}, media: map[string]string{}, fail: map[string]error{}, status: map[string]int{}, aliases: make(chan string)}
	for name, text := range map[string]string{
		"proc/cmdline":              cmdline + "\n",
		"proc/meminfo":              "MemTotal:        1014792 kB\nMemFree: 1 kB\n",
		"proc/consoles":             "ttyS0                -W- (EC p a)    4:64\ntty0                 -WU (EC p  )    4:1\n",
		"proc/sys/kernel/osrelease": testRelease + "\n",
		"proc/sys/kernel/printk":    "7\t4\t1\t7\n",
		"dev/ttyS0":                 "", "dev/tty1": "", "dev/kmsg": "",
		"etc/esos/modules": "# file systems\ncrc32c_generic\next4\n\nloop\n",
		"lib/modules/" + testRelease + "/modules.dep":   "crc32c_generic.ko:\next4.ko: jbd2.ko\njbd2.ko:\nloop.ko:\nsquashfs.ko:\noverlay.ko:\nisofs.ko:\nvfat.ko:\nnls_cp437.ko:\nnls_ascii.ko:\nraid1.ko:\nusb-storage.ko:\n",
		"lib/modules/" + testRelease + "/modules.alias": "alias usb:v*ic08* usb_storage\n",
		"sys/bus/pci/devices/0000:00:01.0/modalias":     "pci:nothing for it\n",
		"etc/esos/keys/test.pub":                        string(slot.MarshalPublicKey(testKey.Public())),
	} {
		m.write(name, []byte(text))
	}
	m.dir("sys/class/block")
	return m
}

var testKey = slot.PrivateKey{Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), Comment: "test"}

func (m *machine) write(name string, data []byte) {
	m.t.Helper()
	path := filepath.Join(m.root, name)
	m.dir(filepath.Dir(name))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) dir(name string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Join(m.root, name), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) string {
	m.t.Helper()
	data, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil {
		m.t.Error(err)
	}
	return string(data)
}

// device adds a block device; partitions are below their disk's place.
func (m *machine) device(place string, content []byte, partition bool) {
	m.t.Helper()
	name := filepath.Base(place)
	dir := filepath.Join("sys/devices", place)
	m.write(dir+"/size", []byte(strconv.Itoa(len(content)/512)))
	m.write(dir+"/dev", []byte("8:0"))
	if partition {
		m.write(dir+"/partition", []byte("1"))
	}
	m.write("dev/"+name, content)
	if err := os.Symlink("../../devices/"+place, filepath.Join(m.root, "sys/class/block", name)); err != nil {
		m.t.Fatal(err)
	}
}

const (
	usbPlace    = "pci0000:00/usb1/1-1/host0/block/"
	virtioPlace = "pci0000:00/virtio1/block/"
)

// medium adds a whole medium as a disk, with a UUID of esos_root that ends in
// id, and returns the tree of its esos_root.
func (m *machine) medium(place, disk string, id byte) (slots string) {
	m.t.Helper()
	m.device(place+disk, make([]byte, 64<<10), false)
	for i, label := range []string{labelBoot, labelRoot, labelConf, labelLogs} {
		content := extImage(label, id+byte(i)<<4)
		if label == labelBoot {
			content = fatImage(label)
		}
		m.device(fmt.Sprintf("%s%s/%s%d", place, disk, disk, i+2), content, true)
	}
	slots = filepath.Join(m.root, "media", disk)
	m.dir("media/" + disk)
	m.media["/dev/"+disk+"3"] = slots
	m.media["/dev/"+disk+"4"] = filepath.Join(m.root, "media", disk+"-conf")
	m.dir("media/" + disk + "-conf")
	return slots
}

// uuidOf is the UUID of esos_root of a medium with that id.
func uuidOf(id byte) string {
	return "00000000-0000-0000-0000-0000000000" + fmt.Sprintf("%02x", id+1<<4)
}

func extImage(label string, id byte) []byte {
	b := make([]byte, 64<<10)
	sb := b[1024:]
	binary.LittleEndian.PutUint16(sb[0x38:], 0xef53)
	binary.LittleEndian.PutUint16(sb[0x3a:], 1)
	sb[0x77] = id
	copy(sb[0x78:0x88], label)
	return b
}

// dirty marks a file system as not unmounted.
func dirty(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[1024+0x60:], 4)
	return b
}

// member marks a device as part of a mirror that leaves its content visible.
func member(b []byte) []byte {
	sector := uint64(len(b)/512-16) &^ 7
	sb := b[sector*512:]
	binary.LittleEndian.PutUint32(sb, 0xa92b4efc)
	binary.LittleEndian.PutUint32(sb[4:], 1)
	binary.LittleEndian.PutUint64(sb[144:], sector)
	return b
}

func fatImage(label string) []byte {
	b := make([]byte, 64<<10)
	b[510], b[511] = 0x55, 0xaa
	copy(b[0x52:], "FAT32   ")
	copy(b[0x47:], (label + "           ")[:11])
	return b
}

func isoImage() []byte {
	b := make([]byte, 64<<10)
	copy(b[16*2048:], "\x01CD001")
	copy(b[16*2048+40:], labelISO)
	copy(b[16*2048+813:], "2026112722410600")
	return b
}

// image is what the slots hold as root.squashfs.
var image = bytes.Repeat([]byte("the image "), 20_000)

// fill puts a signed slot into a medium.
func (m *machine) fill(slots string, name slot.Name, version string) {
	m.t.Helper()
	part, err := slot.Describe(bytes.NewReader(image), slot.RootFile)
	if err != nil {
		m.t.Fatal(err)
	}
	data, sig, err := slot.Manifest{Version: version, Built: 7, Kernel: testRelease, Parts: []slot.Part{part}}.Sign(testKey.Key)
	if err != nil {
		m.t.Fatal(err)
	}
	for file, content := range map[string][]byte{slot.RootFile: image, slot.ManifestFile: data, slot.SignatureFile: sig} {
		rel, err := filepath.Rel(m.root, filepath.Join(slots, string(name), file))
		if err != nil {
			m.t.Fatal(err)
		}
		m.write(rel, content)
	}
}

// damage changes a byte of a file.
func (m *machine) damage(path string) {
	m.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// boot boots the machine until the system's init starts, or a second stage
// would be tried after it failed.
func (m *machine) boot() (*Boot, Report) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	m.stop = cancel
	began := time.Now()
	b := &Boot{
		times: times{poll: 5 * time.Millisecond, tell: 50 * time.Millisecond, settled: 100 * time.Millisecond, grace: 200 * time.Millisecond, degraded: 300 * time.Millisecond, crash: m.crashTime},
		Linux: m, Log: slog.New(slog.NewTextHandler(m.log, nil)), Root: m.root,
		Clock: func() time.Duration { return time.Since(began) },
		Restore: func(_ context.Context, dir, upper string, p persist.Prefer) (persist.Restored, error) {
			m.note("restore %s to %s", m.rel(dir), m.rel(upper))
			m.preferred = p
			if m.restored == nil {
				return persist.Restored{}, nil
			}
			return m.restored(dir, upper)
		},
		Attended: func(context.Context, time.Duration) bool { m.note("wait for a person"); return m.attended },
		Rescue: func(_ context.Context, stage string, reason error) {
			m.rescued = append(m.rescued, stage+": "+reason.Error())
			if m.onRescue == nil || len(m.rescued) > 5 {
				cancel()
				return
			}
			m.onRescue()
		},
	}
	if err := b.Run(ctx); !errors.Is(err, context.Canceled) {
		m.t.Fatalf("the boot ended with %v\n%s", err, m.log)
	}
	if b.modules != nil {
		b.modules.stop()
		b.modules.running.Wait()
	}
	report, err := ReadReport(filepath.Join(m.root, ReportFile))
	if err != nil && m.switched != nil {
		m.t.Error(err)
	}
	return b, report
}

// booted boots a machine that has to get to the system's init.
func (m *machine) booted() Report {
	m.t.Helper()
	_, r := m.boot()
	if m.switched == nil {
		m.t.Fatalf("it did not boot: %q\n%s", m.rescued, m.log)
	}
	return r
}

func (m *machine) rel(path string) string { return strings.TrimPrefix(path, m.root) }

func (m *machine) note(format string, a ...any) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	call := fmt.Sprintf(format, a...)
	m.calls = append(m.calls, call)
	return call
}

func (m *machine) did(call string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.calls, func(c string) bool { return strings.HasPrefix(c, call) })
}

func (m *machine) Mount(source, target, fstype string, flags uintptr, options string) error {
	access := "rw"
	if flags&1 != 0 {
		access = "ro"
	}
	call := m.note("mount %s %s %s %s", source, m.rel(target), access, strings.ReplaceAll(options, m.root, ""))
	for prefix, err := range m.fail {
		if strings.HasPrefix(call, prefix) {
			return err
		}
	}
	switch {
	case m.media[source] != "":
		return os.CopyFS(target, os.DirFS(m.media[source]))
	case fstype == "overlay":
		// What is on the image is seen through it.
		if err := os.MkdirAll(filepath.Join(target, "sbin"), 0o755); err != nil {
			return err
		}
		if err := os.CopyFS(target, os.DirFS(filepath.Join(m.root, UpperDir))); err != nil {
			return err
		}
		_ = os.MkdirAll(filepath.Join(target, "etc"), 0o755)
		return os.WriteFile(filepath.Join(target, initProgram), nil, 0o755)
	}
	return nil
}

func (m *machine) Unmount(target string) error {
	m.note("unmount %s", m.rel(target))
	entries, err := os.ReadDir(target)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(target, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) Move(from, to string) error {
	if m.switched == nil { // what is after it, no real machine does
		call := m.note("move %s %s", m.rel(from), m.rel(to))
		if err := m.fail[call]; err != nil {
			return err
		}
	}
	if err := os.Remove(to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return os.Mkdir(from, 0o755)
}

func (m *machine) LoadModule(file, args string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.modules = append(m.modules, strings.TrimSpace(filepath.Base(file)+" "+args))
	return nil
}

func (m *machine) Modaliases(ctx context.Context) (<-chan string, error) {
	out := make(chan string)
	go func() {
		defer close(out)
		for {
			select {
			case a := <-m.aliases:
				out <- a
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func (m *machine) AttachLoop(file string) (string, error) {
	m.note("loop %s", m.rel(file))
	if _, err := os.Stat(file); err != nil {
		return "", err
	}
	return "/dev/loop0", nil
}

func (m *machine) Run(_ context.Context, name string, args ...string) (string, int, error) {
	call := m.note("%s %s", name, strings.ReplaceAll(strings.Join(args, " "), m.root, ""))
	if m.run != nil {
		m.run(call)
	}
	return "said by " + name, m.status[call], m.fail[call]
}

func (m *machine) Forget(string) {}

func (m *machine) Restart() {
	m.note("restart")
	m.stop()
}

func (m *machine) SwitchRoot(root string, argv, env []string) error {
	if err := m.fail["switch"]; err != nil {
		return err
	}
	m.note("switch %s", m.rel(root))
	m.switched = argv
	m.stop()
	return errors.New("stopped")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func deviceOf(t testing.TB, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Dev
}
