package lio

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

// written is what Linux 6.12 writes of two initiators, of which the second
// holds a reservation of type 8h.
const written = `PR_REG_START: 0
initiator_fabric=iSCSI
initiator_node=iqn.1993-08.org.debian:01:alice
initiator_sid=00023d000001
sa_res_key=81985529216486895
res_holder=0
res_all_tg_pt=0
mapped_lun=0
target_fabric=iSCSI
target_node=iqn.2026-11.org.esos-project:test
tpgt=1
port_rtpi=7
target_lun=21478
PR_REG_END: 0
PR_REG_START: 1
initiator_fabric=iSCSI
initiator_node=iqn.1993-08.org.debian:01:bob
sa_res_key=1
res_holder=1
res_type=08
res_scope=00
res_all_tg_pt=0
mapped_lun=3
target_fabric=iSCSI
target_node=iqn.2026-11.org.esos-project:test
tpgt=1
port_rtpi=7
target_lun=21478
PR_REG_END: 1
`

func TestReservationsOutliveTheKernel(t *testing.T) {
	b := newBench(t, liofake.Options{})
	d := b.disk("d0", config.FileIO)
	file := filepath.Join(b.opt.StateDir, "pr", "aptpl_"+d.Identity.Serial)
	b.ok(os.WriteFile(file, []byte(written+"\x00"), 0o600))
	b.ok(b.PutDevice(t.Context(), d))
	want := []string{
		"initiator_fabric=iSCSI,initiator_node=iqn.1993-08.org.debian:01:alice,initiator_sid=00023d000001,sa_res_key=81985529216486895," +
			"res_holder=0,res_all_tg_pt=0,mapped_lun=0,target_fabric=iSCSI,target_node=iqn.2026-11.org.esos-project:test,tpgt=1,port_rtpi=7,target_lun=21478",
		"initiator_fabric=iSCSI,initiator_node=iqn.1993-08.org.debian:01:bob,sa_res_key=1,res_holder=1,res_type=8,res_scope=0," +
			"res_all_tg_pt=0,mapped_lun=3,target_fabric=iSCSI,target_node=iqn.2026-11.org.esos-project:test,tpgt=1,port_rtpi=7,target_lun=21478",
	}
	if diff := cmp.Diff(want, b.kernel.Restored("core/fileio_0/d0")); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
	// A device of that name that comes later is another one.
	b.ok(b.DeleteDevice(t.Context(), "d0"))
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the reservations of a device that was deleted are there: %v", err)
	}
}

// TestReservationsThatCannotBeRead: without them a host that was fenced off
// could write.
func TestReservationsThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{
		"cut off":   written[:len(written)-30],
		"no number": strings.Replace(written, "res_type=08", "res_type=xx", 1),
		"no node":   strings.Replace(written, "initiator_node=iqn.1993-08.org.debian:01:bob\n", "", 1),
		"a comma":   strings.Replace(written, "mapped_lun=3", "mapped_lun=3,res_holder=0", 1),
		"a stray":   "mapped_lun=3\n" + written,
		"other":     strings.Replace(written, "mapped_lun=3", "tag=3", 1),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, liofake.Options{})
			d := b.disk("d0", config.FileIO)
			file := filepath.Join(b.opt.StateDir, "pr", "aptpl_"+d.Identity.Serial)
			b.ok(os.WriteFile(file, []byte(text), 0o600))
			b.refused(b.PutDevice(t.Context(), d), "d0", "persistent reservations", file)
			b.ok(os.WriteFile(file, []byte(noReservations+"\n"), 0o600))
			b.ok(b.PutDevice(t.Context(), d))
		})
	}
}

func FuzzParseReservations(f *testing.F) {
	f.Add([]byte(written))
	f.Add([]byte(noReservations))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseReservations(text)
		if err != nil {
			return
		}
		for _, r := range all {
			for _, set := range r {
				if strings.ContainsAny(set, ",\n") {
					t.Errorf("%q is more than one setting", set)
				}
			}
		}
	})
}
