package storage

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

const (
	exampleTarget = "iqn.2026-11.com.example:storage"
	database      = "iqn.2026-11.com.example:db-a"
	hypervisor    = "iqn.2026-11.com.example:esx-a"
)

// TestFromBlank builds examples/storage.yaml from six blank disks with one
// command, and has it back after a reboot: the same disks with what was written
// to them.
func TestFromBlank(t *testing.T) {
	level.Require(t, level.Smoke)
	ctx := stand.Timeout(t, 30*time.Minute)
	a := newArray(ctx, t, 6, 4<<30, appliance.Options{})
	doc := example(t, "storage.yaml")
	t.Log(a.apply(ctx, doc))

	data := bytes.Repeat([]byte("what was written before the reboot "), 512)[:8192]
	hosts := map[string]map[uint16]string{}
	for _, host := range []string{database, hypervisor} {
		s := a.waitLogin(ctx, host, exampleTarget)
		hosts[host] = identities(t, s)
		for lun := range hosts[host] {
			if err := s.Write(lun, 64, data, 512, true); err != nil && !(host == hypervisor && lun == 2) { // read-only
				t.Fatalf("%s writes to LUN %d: %v", host, lun, err)
			}
		}
		_ = s.Close()
	}
	if len(hosts[database]) != 3 || len(hosts[hypervisor]) != 3 {
		t.Fatalf("LUNs: %v", hosts)
	}

	a.Console().Forget()
	a.restart(ctx)
	if err := a.WaitFor(ctx, appliance.KernelMarker); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, host := range []string{database, hypervisor} {
		s := a.waitLogin(ctx, host, exampleTarget)
		t.Logf("%s was let in %.0f s after the kernel's first line", host, time.Since(began).Seconds())
		if diff := cmp.Diff(hosts[host], identities(t, s)); diff != "" {
			t.Errorf("%s, before (-) and after (+) the reboot:\n%s", host, diff)
		}
		for lun := range hosts[host] {
			if host == hypervisor && lun == 2 {
				continue
			}
			got, err := s.Read(lun, 64, 16, 512)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s reads something else from LUN %d than it wrote: %v", host, lun, err)
			}
		}
		_ = s.Close()
	}
	a.shell(ctx)
	a.nothingToDo(ctx, doc)
	// A new array may still be being made consistent, which goes on over a
	// reboot and is told.
	a.Until(ctx, "esos status | sed -n 's/^State: *//p'", "ok")
}
