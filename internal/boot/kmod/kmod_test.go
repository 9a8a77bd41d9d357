package kmod

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open makes a set of lists with these contents, by their names.
func open(t *testing.T, lists map[string]string, parameters ...string) *Set {
	t.Helper()
	dir := t.TempDir()
	for name, text := range lists {
		if err := os.WriteFile(filepath.Join(dir, "modules."+name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir, parameters)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var lists = map[string]string{
	"dep": `kernel/drivers/usb/storage/usb-storage.ko: kernel/drivers/usb/core/usbcore.ko kernel/drivers/scsi/scsi_mod.ko kernel/drivers/scsi/scsi_common.ko
kernel/drivers/usb/core/usbcore.ko: kernel/drivers/usb/common/usb-common.ko
kernel/drivers/usb/common/usb-common.ko:
kernel/drivers/scsi/scsi_mod.ko.xz: kernel/drivers/scsi/scsi_common.ko
kernel/drivers/scsi/scsi_common.ko.zst:
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
kernel/crypto/crc32c_generic.ko:
kernel/crypto/crc32c-intel.ko:
kernel/broken.ko: kernel/missing.ko
`,
	"builtin": "kernel/drivers/virtio/virtio.ko\nkernel/drivers/virtio/virtio_ring.ko\n",
	"softdep": `# Soft dependencies extracted from modules themselves.
softdep ext4 pre: crc32c
softdep jbd2 pre: ext4 post: nothing
softdep usb_storage post: crc32c-intel
`,
	"alias": `# Aliases extracted from modules themselves.
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage
alias usb:v054Cp0010d010[6-9]dc*dsc*dp*ic*isc*ip*in* usb_storage
alias pci:v00001AF4d*sv*sd*bc*sc*i* usbcore
alias crc32c crc32c_intel
alias crc32c crc32c_generic
alias fs-ext4 ext4
alias cpu:type:x86,ven*fam*mod*:feature:*0094* crc32c_intel
alias usb:v*p* not_in_this_initramfs
`,
}

func TestMatch(t *testing.T) {
	s := open(t, lists)
	for alias, want := range map[string][]string{
		"usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00":        {"usb_storage"},
		"usb:v46F4p0001d0000dc00dsc00dp00ic03isc06ip50in00":        nil,
		"usb:v054Cp0010d0107dc00dsc00dp00ic00isc00ip00in00":        {"usb_storage"},
		"usb:v054Cp0010d0105dc00dsc00dp00ic00isc00ip00in00":        nil,
		"pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00":    {"usbcore"},
		"pci:v00008086d00001001sv00001AF4sd00000002bc01sc00i00":    nil,
		"cpu:type:x86,ven0002fam0006mod000F:feature:,0000,0094,00": {"crc32c_intel"},
		"crc32c":  {"crc32c_intel", "crc32c_generic"},
		"fs-ext4": {"ext4"},
		"":        nil,
	} {
		if diff := cmp.Diff(want, s.Match(alias)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", alias, diff)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abcb", false},
		{"a*b*c", "a--b--b--c", true}, {"a*b*c", "acb", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"[0-2]x", "1x", true}, {"[0-2]x", "3x", false}, {"[!0-2]x", "3x", true}, {"[!0-2]x", "1x", false},
		{"[abc]", "b", true}, {"[abc]", "", false}, {`\*`, "*", true}, {`\*`, "x", false}, {"[", "[", true},
		{"[-a]", "-", true}, {strings.Repeat("*a", 30) + "b", strings.Repeat("a", 200), false},
	} {
		if got := glob(c.pattern, c.s); got != c.want {
			t.Errorf("glob(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("usb:v*p0[1-3]?d*", "usb:v46F4p02Fd0000")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		got := glob(pattern, s)
		if !strings.ContainsAny(pattern, `[]\`) {
			// path.Match agrees where there is no slash and no set.
			want, err := filepath.Match(pattern, s)
			if err == nil && isASCII(pattern) && isASCII(s) && !strings.Contains(s, "/") && got != want {
				t.Errorf("glob(%q, %q) = %v", pattern, s, got)
			}
		}
	})
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) }

// kernel records what is loaded into it.
type kernel struct {
	mu    sync.Mutex
	files []string
	args  map[string]string
	fail  map[string]error // by file name
	delay time.Duration
	now   int // loads in progress
	most  int
}

func (k *kernel) load(file, args string) error {
	k.mu.Lock()
	k.now++
	k.most = max(k.most, k.now)
	k.mu.Unlock()
	time.Sleep(k.delay)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now--
	name := filepath.Base(file)
	if k.args == nil {
		k.args = map[string]string{}
	}
	k.args[name] = args
	k.files = append(k.files, name)
	return k.fail[name]
}

func (k *kernel) before(t *testing.T, first, second string) {
	t.Helper()
	if i, j := slices.Index(k.files, first), slices.Index(k.files, second); i < 0 || j < 0 || i > j {
		t.Errorf("want %s before %s, loaded was %v", first, second, k.files)
	}
}

func TestLoadOrder(t *testing.T) {
	k := &kernel{delay: time.Millisecond}
	l := NewLoader(open(t, lists), k.load)
	if err := l.LoadAlias("usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00"); err != nil {
		t.Fatal(err)
	}
	k.before(t, "usb-common.ko", "usbcore.ko")
	k.before(t, "usbcore.ko", "usb-storage.ko")
	k.before(t, "scsi_common.ko.zst", "scsi_mod.ko.xz")
	k.before(t, "scsi_mod.ko.xz", "usb-storage.ko")
	k.before(t, "usb-storage.ko", "crc32c-intel.ko") // soft, after it
	if k.most < 2 {
		t.Error("what does not depend on each other was loaded one after the other")
	}
	if err := l.Load("ext4"); err != nil {
		t.Fatal(err)
	}
	// jbd2 wants ext4 before it, which needs jbd2: that wish is passed over.
	k.before(t, "jbd2.ko", "ext4.ko")
	k.before(t, "crc32c_generic.ko", "ext4.ko")
	if n := len(k.files); n != 9 {
		t.Errorf("%d loads, want each of 9 modules once: %v", n, k.files)
	}
	if diff := cmp.Diff(9, len(l.Loaded())); diff != "" {
		t.Errorf("loaded: %v", l.Loaded())
	}
}

func TestLoadAtOnce(t *testing.T) {
	k := &kernel{delay: time.Millisecond}
	l := NewLoader(open(t, lists), k.load)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := l.Load("usb-storage"); err != nil {
				t.Error(err)
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			if !slices.Contains(k.files, "usb-storage.ko") {
				t.Error("Load returned before the module was there")
			}
		})
	}
	wg.Wait()
	if slices.Sort(k.files); len(slices.Compact(slices.Clone(k.files))) != len(k.files) {
		t.Errorf("a module was loaded twice: %v", k.files)
	}
}

func TestLoadErrors(t *testing.T) {
	k := &kernel{fail: map[string]error{
		"usbcore.ko": syscall.EEXIST, "scsi_mod.ko.xz": syscall.EINVAL, "crc32c-intel.ko": syscall.ENODEV,
	}}
	l := NewLoader(open(t, lists), k.load)
	if err := l.Load("usbcore"); err != nil {
		t.Errorf("a module that is there already: %v", err)
	}
	if err := l.Load("virtio-ring"); err != nil {
		t.Errorf("a module that is built in: %v", err)
	}
	if err := l.Load("usb_storage"); !errors.Is(err, syscall.EINVAL) || slices.Contains(k.files, "usb-storage.ko") {
		t.Errorf("a dependency that fails: %v, loaded %v", err, k.files)
	}
	if err := l.Load("broken"); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a dependency that is missing: %v", err)
	}
	if err := l.Load("nonesuch"); err == nil || !strings.Contains(err.Error(), "nonesuch") {
		t.Errorf("a module that is not there: %v", err)
	}
	if err := l.Load("ext4"); err != nil {
		t.Errorf("a soft dependency that fails: %v", err)
	}
}

func TestParameters(t *testing.T) {
	k := &kernel{}
	l := NewLoader(open(t, lists, "usb-storage.delay_use=0", "quiet", "usb_storage.quirks=1:2:u", "ext4.dyndbg=file a.c +p", "ext4.bare", ".x=1", "root=a.b"), k.load)
	for _, name := range []string{"usb-storage", "ext4"} {
		if err := l.Load(name); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"usb-storage.ko": "delay_use=0 quirks=1:2:u", "ext4.ko": `dyndbg="file a.c +p" bare`, "usbcore.ko": ""}
	for name, args := range want {
		if k.args[name] != args {
			t.Errorf("%s was loaded with %q, want %q", name, k.args[name], args)
		}
	}
}

func TestOpenWithoutLists(t *testing.T) {
	if _, err := Open(t.TempDir(), nil); err == nil {
		t.Error("a directory without modules.dep is no error")
	}
	s := open(t, map[string]string{"dep": "a.ko:\n"})
	if !s.Has("a") || s.Has("b") {
		t.Error("with modules.dep alone")
	}
}
