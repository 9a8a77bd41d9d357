package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestDamagedConf damages what is saved in every way, and boots: the newest
// generation that is good comes back, and what was passed over is told.
func TestDamagedConf(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 8*stand.BootTimeout)
	a := shared.New(ctx, t, appliance.Options{})
	a.Boot(ctx)
	for _, tt := range []struct {
		name   string
		damage string // with the settings mounted here; $n is the newest generation
		lost   bool   // the newest generation is not good any more
		says   string
	}{
		{"archive", "flip generations/$n.tar.zst", true, "does not have the digest"},
		{"record", "flip generations/$n.json", true, "record: "},
		{"current", "flip current", false, ""},
		{"slots", "flip slots", false, ""},
		{"full", `dd if=/dev/zero of=ballast bs=1M 2>/dev/null || true`, false, ""},
	} {
		a.Run(ctx, "echo before >/etc/motd; esos sync; echo "+tt.name+" >/etc/motd; esos sync")
		a.Run(ctx, `set -e
flip() { # one bit, in the middle
	at=$(($(stat -c %s $1)/2))
	b=$(od -An -tu1 -j$at -N1 $1)
	printf "$(printf '\\%03o' $((b^4)))" | dd of=$1 bs=1 seek=$at conv=notrunc 2>/dev/null
}
mkdir -p /run/damage; mount /dev/disk/by-partlabel/esos_conf /run/damage; cd /run/damage
n=$(ls generations/*.json | tail -1 | xargs basename -s .json)
`+tt.damage+`
cd /; umount /run/damage`)
		a.Off()
		a.Boot(ctx)
		want := tt.name
		if tt.lost {
			want = "before"
		}
		if got := strings.TrimSpace(a.Run(ctx, "cat /etc/motd")); got != want {
			t.Errorf("%s: the settings of %q came back, want %q", tt.name, got, want)
		}
		damaged, there := a.Alert(ctx, "settings.damaged")
		if there != tt.lost || !strings.Contains(damaged.Message, tt.says) {
			t.Errorf("%s: alert settings.damaged says %q, want %q", tt.name, damaged.Message, tt.says)
		}
		b := a.Report(ctx)
		if b.Restored.From != persist.FromGeneration || len(b.Restored.Skipped) > 0 != tt.lost {
			t.Errorf("%s: the boot's report says %+v", tt.name, b.Restored)
		}
		t.Logf("%s: generation %d came back; skipped %v", tt.name, b.Restored.Generation.Number, b.Restored.Skipped)
	}
	// It is full. What is there makes room, then it is said; the array serves
	// on, and saves when there is room again.
	a.Run(ctx, "echo more >/etc/motd; head -c 1M /dev/urandom >/root/more")
	var out string
	for i := 0; ; i++ {
		var err error
		if out, err = a.Remote.Run(ctx, fmt.Sprintf("head -c 1M /dev/urandom >/root/more%d; esos sync 2>&1", i)); err != nil {
			break
		}
		if i == 10 {
			t.Fatalf("a full partition takes everything: %s", out)
		}
	}
	if !strings.Contains(out, "are free on the medium") {
		t.Errorf("esos sync on a full partition: %s", out)
	}
	t.Logf("esos sync on a full partition: %s", out)
	if out := a.Run(ctx, "esos device create full --handler vdisk_nullio --size 1GiB 2>&1"); !strings.Contains(out, "not saved") {
		t.Errorf("a change that finds no room: %s", out)
	}
	a.WaitAlert(ctx, "medium.save_failed", "")
	a.Run(ctx, "mkdir /run/damage; mount /dev/disk/by-partlabel/esos_conf /run/damage; rm /run/damage/ballast; umount /run/damage")
	a.WaitNoAlert(ctx, "medium.save_failed")
	a.Off()
	a.Boot(ctx)
	if got := a.Run(ctx, "cat /etc/motd; esos device list"); !strings.HasPrefix(got, "more\n") || !strings.Contains(got, "\nfull") {
		t.Errorf("after there was room again:\n%s", got)
	}
}

// TestNoConf: without a partition for settings, or with one whose file system
// is destroyed, the appliance boots as from the factory and says so. It lets in
// who reads its console.
func TestNoConf(t *testing.T) {
	level.Require(t, level.Full)
	for _, tt := range []struct {
		name   string
		damage func(ctx context.Context, t *testing.T, file string)
		says   string
	}{
		{"destroyed", func(ctx context.Context, t *testing.T, file string) {
			first := regexp.MustCompile(`First sector: (\d+)`).FindStringSubmatch(stand.OnHost(ctx, t, "sgdisk", "-i", "4", file))
			if first == nil {
				t.Fatalf("%s has no partition 4", file)
			}
			sector, err := strconv.ParseInt(first[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(make([]byte, 8<<20), sector*512); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}, "no settings are restored: "},
		{"no partition", func(ctx context.Context, t *testing.T, file string) { stand.OnHost(ctx, t, "sgdisk", "-d", "4", file) }, "the medium has no esos_conf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := stand.Timeout(t, stand.BootTimeout)
			a := shared.New(ctx, t, appliance.Options{})
			file := filepath.Join(shared.Dir(t), "damaged.img")
			stand.OnHost(ctx, t, "cp", "--sparse=always", shared.Medium(t), file)
			defer os.Remove(file)
			tt.damage(ctx, t, file)
			a.Options.Boot = vm.Drive{File: file, Bus: vm.USB}
			a.On(ctx)
			for _, text := range []string{"This array is new", "login: "} {
				if err := a.WaitFor(ctx, text); err != nil {
					t.Fatalf("wait for %q: %v", text, err)
				}
			}
			// The key that lets this test in went with the settings.
			said := a.Console().String()
			password := regexp.MustCompile(`This array is new.*\r?\n\s*\r?\n\s+(\S+)`).FindStringSubmatch(said)
			if password == nil {
				t.Fatalf("the console shows no password:\n%s", a.Console().Tail(40))
			}
			r, err := a.SSHAs(ctx, "admin", password[1])
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			text, err := r.Run(ctx, "cat "+boot.ReportFile)
			var b boot.Report
			if err == nil {
				err = json.Unmarshal([]byte(text), &b)
			}
			if err != nil || !strings.Contains(b.SettingsProblem, tt.says) || b.Restored.From != persist.FromNothing {
				t.Errorf("the boot's report says %q, %+v, %v; want %q", b.SettingsProblem, b.Restored, err, tt.says)
			}
			list := "sudo -S -p '' esos alert list -o json"
			text, err = r.Pipe(ctx, list, password[1]+"\n")
			var all []stand.Alert
			if err == nil {
				err = json.Unmarshal([]byte(text), &all)
			}
			if al, there := stand.Find(all, "settings.damaged"); err != nil || !there || al.Severity != "critical" || !strings.Contains(al.Message, tt.says) {
				t.Errorf("alerts: %s, %v", text, err)
			}
			// It takes a document, and serves it.
			if out, err := r.Pipe(ctx, "sudo -S -p '' esos device create new --handler vdisk_nullio --size 1GiB 2>&1", password[1]+"\n"); err != nil {
				t.Errorf("it does not serve: %v\n%s", err, out)
			} else {
				t.Logf("report: %q\nalerts: %s\na change: %s", b.SettingsProblem, text, out)
			}
		})
	}
}
