package boot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// crashed is a machine whose kernel crashed, with a medium; a makedumpfile
// that works writes what it is asked for.
func crashed(t *testing.T, cmdline string) *machine {
	t.Helper()
	m := newMachine(t, cmdline)
	m.write("proc/vmcore", []byte("core"))
	m.write("etc/esos/version", []byte("2.0\n"))
	m.write("lib/modules/"+testRelease+"/kernel/drivers/net/card.ko", nil)
	m.fill(m.medium(usbPlace, "sda", 1), "PRIMARY", "2.0")
	m.dir("media/sda-logs")
	m.media["/dev/sda5"] = filepath.Join(m.root, "media/sda-logs")
	m.run = func(call string) {
		words := strings.Fields(call)
		if words[0] == "makedumpfile" {
			m.write(words[len(words)-1], []byte("[1.0] Kernel panic - not syncing: test\n"))
		}
	}
	return m
}

func TestCrash(t *testing.T) {
	m := crashed(t, "slot=SECONDARY esos_medium="+uuidOf(1)+" esos_crash esos_persist")
	m.boot()
	if m.switched != nil || len(m.rescued) > 0 || !m.did("restart") {
		t.Fatalf("switched %q, rescued %q, restarted %t\n%s", m.switched, m.rescued, m.did("restart"), m.log)
	}
	if !m.did("mount /dev/sda5 "+MediumDir+"/logs rw errors=remount-ro") || !m.did("unmount "+MediumDir+"/logs") {
		t.Errorf("the log partition was not mounted and unmounted: %q", m.calls)
	}
	var ran []string
	for _, c := range m.calls {
		if strings.HasPrefix(c, "makedumpfile") {
			words := strings.Fields(c)
			ran = append(ran, strings.Join(words[1:len(words)-1], " ")+" "+filepath.Base(words[len(words)-1]))
		}
	}
	if got := strings.Join(ran, ";"); got != "-f --dump-dmesg --message-level 20 /proc/vmcore dmesg.txt.part;-f -z -d 31 --message-level 20 /proc/vmcore vmcore.part" {
		t.Errorf("ran %q", got)
	}
	for _, call := range m.calls {
		if strings.HasPrefix(call, "restore") || strings.HasPrefix(call, "mount /dev/sda4") || strings.HasPrefix(call, "mount /dev/sda3") {
			t.Errorf("a crash kernel did %q", call)
		}
	}
	if !strings.Contains(m.log.String(), "the crash is saved as dump-") || exists(filepath.Join(m.root, "lib/modules", testRelease, "kernel")) {
		t.Errorf("log:\n%s", m.log)
	}
}

// TestCrashAnyway: whatever is wrong, the machine restarts, and says why.
func TestCrashAnyway(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setUp func(m *machine)
		want  string
	}{
		{"no core", func(m *machine) { remove(m, "proc/vmcore") }, "the memory of the kernel that crashed cannot be had"},
		{"no medium", func(m *machine) { remove(m, "sys/class/block/sda3") }, "no medium within 1 s"},
		{"no log partition", func(m *machine) { remove(m, "sys/class/block/sda5") }, "the medium /dev/sda has no esos_logs"},
		{"it cannot be mounted", func(m *machine) { m.fail["mount /dev/sda5"] = errors.New("bad superblock") }, "bad superblock"},
		{"no modules", func(m *machine) { remove(m, "lib/modules/"+testRelease+"/modules.dep") }, "does the initramfs belong to the kernel"},
		{"makedumpfile fails", func(m *machine) {
			m.run = func(call string) {
				if strings.HasPrefix(call, "makedumpfile") {
					panic("a mistake")
				}
			}
		}, "a mistake in esos-init"},
		{"it hangs", func(m *machine) {
			m.crashTime = 500 * time.Millisecond
			m.run = func(call string) {
				if strings.HasPrefix(call, "makedumpfile") {
					time.Sleep(time.Second)
				}
			}
		}, "it took longer than 500ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := crashed(t, "esos_crash esos_wait=1")
			tt.setUp(m)
			m.boot()
			if m.switched != nil || len(m.rescued) > 0 || !m.did("restart") {
				t.Fatalf("switched %q, rescued %q, restarted %t\n%s", m.switched, m.rescued, m.did("restart"), m.log)
			}
			if !strings.Contains(m.log.String(), tt.want) {
				t.Errorf("want %q in the log:\n%s", tt.want, m.log)
			}
		})
	}
}

// TestNoCrash: without a core and the word, the boot is one like any other.
func TestNoCrash(t *testing.T) {
	m := newMachine(t, "slot=PRIMARY")
	m.fill(m.medium(usbPlace, "sda", 1), "PRIMARY", "2.0")
	if r := m.booted(); r.Slot != "PRIMARY" || m.did("restart") || m.did("makedumpfile") {
		t.Errorf("booted %+v", r)
	}
}

func remove(m *machine, name string) {
	m.t.Helper()
	if err := os.Remove(filepath.Join(m.root, name)); err != nil {
		m.t.Fatal(err)
	}
}
