package medium

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/iso"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

func isoOf(p medium.Plan) iso.Plan {
	return iso.Plan{Recipe: p.Recipe, Tools: p.Tools, Slot: p.Slot, GRUB: p.GRUB, Seed: p.Seed}
}

func buildISO(t testing.TB, p iso.Plan) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "esos.iso")
	if err := iso.Build(t.Context(), p, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestISO(t *testing.T) {
	p := smallPlan(t)
	p.Seed = t.TempDir()
	write(t, filepath.Join(p.Seed, "etc/esos/esos.yaml"), []byte("name: first\n"))
	plan := isoOf(p)
	plan.Install = []string{"install_tran=usb", "install_model=SanDisk (Ultra|Extreme).*", "wipe_devs=1", "no_prompt=1"}
	plan.Unattended = true
	file := buildISO(t, plan)
	dir := t.TempDir()
	output(t, p.Tools, "xorriso", "-osirrox", "on", "-indev", file, "-extract", "/", dir)
	for _, name := range medium.SlotFiles() {
		if digest(t, filepath.Join(dir, "PRIMARY", name)) != digest(t, filepath.Join(p.Slot, name)) {
			t.Errorf("%s is not what it was made of", name)
		}
	}
	if got, err := medium.LoadRecipe(filepath.Join(dir, medium.RecipeFile)); err != nil || got != p.Recipe {
		t.Errorf("the recipe is %+v, %v", got, err)
	}
	if out := output(t, p.Tools, "blkid", "-p", file); !bytes.Contains(out, []byte(`LABEL="ESOS-ISO"`)) {
		t.Errorf("blkid: %s", out)
	}

	first := digest(t, file)
	time.Sleep(1100 * time.Millisecond)
	t.Setenv("TZ", "Asia/Tokyo")
	again := plan
	again.Slot = fakeSlot(t)
	again.Seed = t.TempDir()
	write(t, filepath.Join(again.Seed, "etc/esos/esos.yaml"), []byte("name: first\n"))
	if second := digest(t, buildISO(t, again)); first != second {
		t.Errorf("two ISOs differ: %s, %s", first, second)
	}

	plan.Install = []string{`install_model=a\.b`}
	if err := iso.Build(t.Context(), plan, filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), "cannot be in it") {
		t.Errorf("a pattern that GRUB would change: %v", err)
	}
}

func TestBootISO(t *testing.T) {
	level.Require(t, level.Full)
	p := isoOf(helloPlan(t, "iso"))
	live := buildISO(t, p)
	p.Install = []string{"install_model=QEMU (HARD)?DISK", "no_prompt=1"}
	p.Unattended = true
	install := buildISO(t, p)
	for _, test := range []struct {
		bus  vm.Bus
		file string
		want []string
	}{
		{vm.CD, live, []string{"esos_iso=live"}},
		{vm.USB, install, []string{"esos_iso=install", `"install_model=QEMU (HARD)?DISK"`, "no_prompt=1"}},
	} {
		for _, uefi := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s uefi=%v", test.bus, uefi), func(t *testing.T) {
				said := bootTo(t, vm.Config{Machine: "q35", UEFI: uefi, Memory: 512, Drives: []vm.Drive{{File: test.file, Bus: test.bus, Snapshot: true}}}, "")
				for _, want := range test.want {
					if !strings.Contains(said, want) {
						t.Errorf("the kernel was given %q, not %s", said, want)
					}
				}
			})
		}
	}
}
