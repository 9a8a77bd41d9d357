package medium

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/medium/iso"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

// installLimit and upLimit are for an appliance with translated instructions
// on a busy machine.
const (
	installLimit = 15 * time.Minute
	upLimit      = 10 * time.Minute
)

// TestUnattendedInstall installs the appliance from its ISO onto a blank disk,
// boots it from there, and lets it grow.
func TestUnattendedInstall(t *testing.T) {
	level.Require(t, level.Full)
	tools := tools(t)
	out := tools.Path("../out")
	recipe, err := medium.LoadRecipe(filepath.Join(out, medium.RecipeFile))
	if err != nil {
		t.Fatalf("there is no image: run make image: %v", err)
	}
	cd := buildISO(t, iso.Plan{
		Recipe: recipe, Tools: tools, Slot: filepath.Join(out, "slot"), GRUB: filepath.Join(out, "grub"),
		Install: []string{"install_model=QEMU HARDDISK", "install_tran=sata", "no_prompt=1"}, Unattended: true,
	})
	blank := filepath.Join(t.TempDir(), "disk")
	write(t, blank, nil)
	if err := os.Truncate(blank, 6<<30); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other") // that nobody asked for
	write(t, other, nil)
	if err := os.Truncate(other, 5<<30); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), installLimit)
	defer cancel()
	began := time.Now()
	m, err := vm.Start(ctx, vm.Config{
		Name: "install", Dir: level.ShortDir(t), Machine: "q35", Memory: 1024, CPUs: 2,
		Drives: []vm.Drive{{File: cd, Bus: vm.CD}, {File: blank, Bus: vm.SATA}, {File: other, Bus: vm.Virtio}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.WaitFor(ctx, "ESOS is installed on /dev/sd"); err != nil {
		t.Fatal(err)
	}
	t.Logf("installed %v after the start", time.Since(began).Round(time.Second))
	if err := m.Wait(ctx); err != nil { // a reboot ends this machine
		t.Fatal(err)
	}
	checkMedium(t, tools, blank)
	if st, err := os.Stat(other); err != nil || allocated(t, other) > 0 {
		t.Errorf("the other disk was written to: %v, %v", st, err)
	}

	ctx, cancel = context.WithTimeout(t.Context(), upLimit)
	defer cancel()
	began = time.Now()
	m, err = vm.Start(ctx, vm.Config{
		Name: "installed", Dir: level.ShortDir(t), Machine: "q35", Memory: 1024, CPUs: 2, UEFI: true,
		Drives: []vm.Drive{{File: blank, Bus: vm.SATA}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.WaitFor(ctx, " login:"); err != nil {
		t.Fatal(err)
	}
	t.Logf("login %v after the start", time.Since(began).Round(time.Second))
	if !strings.Contains(m.Console().String(), "Loading ESOS, slot "+grub.Slots()[0]) {
		t.Error("GRUB did not say which slot it loads")
	}
	grown := func() int64 {
		p, _ := medium.Labelled(layout(t, blank), medium.LabelLogs)
		return p.Size
	}
	for grown() < 3<<30 {
		select {
		case <-ctx.Done():
			t.Fatalf("esos_logs has still %d bytes; the console ends with:\n%s", grown(), m.Console().Tail(30))
		case <-time.After(time.Second):
		}
	}
	if err := m.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	checkMedium(t, tools, blank)
}

// allocated is how much space a file takes.
func allocated(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}
