package appliance

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

// TestBoots: the image boots by BIOS and by UEFI, as a USB stick, NVMe, SATA
// and virtio disk, to a served LUN, with 1 GiB of memory on some, and nothing
// that it starts fails.
func TestBoots(t *testing.T) {
	level.Require(t, level.Smoke)
	have, err := level.Of()
	if err != nil {
		t.Fatal(err)
	}
	// Of the smoke level: each firmware once, and the most different drives.
	smoke := map[string]bool{"BIOS/usb": true, "UEFI/virtio": true}
	for _, firmware := range []string{"BIOS", "UEFI"} {
		for _, bus := range vm.Buses() {
			name := firmware + "/" + string(bus)
			if have < level.Full && !smoke[name] {
				continue
			}
			t.Run(name, func(t *testing.T) {
				ctx := withTimeout(t, bootTimeout)
				_, medium := lab(t)
				memory := 0
				if bus == vm.Virtio {
					memory = 1024
				}
				m := start(ctx, t, Options{UEFI: firmware == "UEFI", Memory: memory, Boot: vm.Drive{File: medium, Bus: bus, Snapshot: true}})
				served(ctx, t, m)
				r := login(ctx, t, m)
				b := bootReport(ctx, t, r)
				if b.Slot != "PRIMARY" || b.Version == "" {
					t.Errorf("booted slot %q, version %q, want PRIMARY and a version", b.Slot, b.Version)
				}
				answersHTTPS(ctx, t, m)
				// On an emulated USB stick, growing the medium takes minutes.
				if bus != vm.USB {
					startedAll(ctx, t, r)
				}
				_, err := r.Run(ctx, "test -d /sys/firmware/efi")
				if uefi := err == nil; uefi != (firmware == "UEFI") {
					t.Errorf("booted by UEFI: %t", uefi)
				}
			})
		}
	}
}

// answersHTTPS wants the API to ask who is there.
func answersHTTPS(ctx context.Context, t *testing.T, m *Machine) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		// The certificate was made by the appliance for itself just now.
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+m.Address(8443)+"/api/v1/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Errorf("ask the API: %v", err)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the API answers a stranger with %s, want 401", answer.Status)
	}
}

// TestDebugEntry chooses the Debug entry at GRUB's menu, as an operator does.
func TestDebugEntry(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, 2*bootTimeout)
	_, medium := lab(t)
	m := start(ctx, t, Options{Debug: true, Boot: vm.Drive{File: medium, Bus: vm.USB, Snapshot: true}})
	served(ctx, t, m)
	r := login(ctx, t, m)
	if line := run(ctx, t, r, "cat /proc/cmdline"); !strings.Contains(line, "slub_debug=FZPU") {
		t.Errorf("the kernel's command line is not the Debug entry's: %s", line)
	}
	// It does what it says: red zones and poison around every object.
	if got := strings.TrimSpace(run(ctx, t, r, "cat /sys/kernel/slab/kmalloc-64/red_zone /sys/kernel/slab/kmalloc-64/poison")); got != "1\n1" {
		t.Errorf("red zones and poison of kmalloc-64: %q, want both on", got)
	}
}

// startedAll wants nothing that the image starts to have failed.
func startedAll(ctx context.Context, t *testing.T, r *Remote) {
	t.Helper()
	// Wait for the end of the boot; "degraded" makes it exit with 1.
	state, _ := r.Run(ctx, "systemctl is-system-running --wait")
	if got := strings.TrimSpace(state); got != "running" {
		t.Errorf("the system is %q, want running:\n%s", got, run(ctx, t, r, "systemctl --failed --no-legend --plain; systemctl list-jobs"))
	}
	blame, err := r.Run(ctx, "systemd-analyze; systemd-analyze critical-chain esos.service; systemd-analyze blame | head -20")
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s", blame)
}
