package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// path returns the i-th SCSI disk below a multipath map, by session.
func (s *server) path(t *testing.T, disk string, i int) string {
	t.Helper()
	out := s.Run(t, fmt.Sprintf(`dm=$(readlink /dev/mapper/%s); ls /sys/block/${dm##*/}/slaves`, disk))
	paths := strings.Fields(out)
	if len(paths) != 2 {
		t.Fatalf("%s has the paths %v, want 2", disk, paths)
	}
	slices.Sort(paths)
	return "/dev/" + paths[i]
}

// wants checks that a command succeeds and prints what a real array's would.
func (s *server) wants(t *testing.T, command string, texts ...string) {
	t.Helper()
	out, code := s.Status(t, command)
	if code != 0 {
		t.Errorf("%s: exit status %d:\n%s", command, code, out)
		return
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%s: no %q in:\n%s", command, text, out)
		}
	}
}

// fails checks that a command ends with a status of sg3-utils' list
// (sg3_utils(8)): 14 miscompare, 24 reservation conflict.
func (s *server) fails(t *testing.T, command string, want int) {
	t.Helper()
	if out, code := s.Status(t, command); code != want {
		t.Errorf("%s: exit status %d, want %d:\n%s", command, code, want, out)
	}
}

func sgTools(t *testing.T, s *server) {
	scratch, other := s.path(t, "scratch", 0), s.path(t, "scratch", 1)
	dest := s.path(t, "copy", 0)
	naa := "0x" + disks[3].naa

	t.Run("identity", func(t *testing.T) {
		s.wants(t, "sg_inq "+scratch, "Vendor identification: ESOS", "Product identification: scratch", "CmdQue=1", "TPGS=")
		s.wants(t, "sg_vpd -p 0 "+scratch, "Device identification [di]", "Block limits (SBC) [bl]", "Logical block provisioning (SBC) [lbpv]")
		s.wants(t, "sg_vpd -p 0x83 "+scratch, naa, "Relative target port: 0x", "Target port group: 0xa", serverTarget)
		s.wants(t, "sg_vpd -p 0xb0 "+scratch, "Maximum compare and write length:", "Maximum unmap LBA count:")
		s.wants(t, "sg_vpd -p 0xb2 "+scratch, "Unmap command supported (LBPU): 1", "Provisioning type: 2 (thin provisioned)")
		s.wants(t, "sg_readcap -l "+scratch, "lbpme=1", "lbprz=1", "Number of logical blocks=131072", "Logical block length=512 bytes")
		s.wants(t, "sg_luns "+scratch, "0000000000000000", "0004000000000000")
		s.wants(t, "sg_modes -a "+scratch, "Caching", "Control")
		s.wants(t, "sg_opcodes "+scratch, "Compare and write", "Extended copy", "Persistent reserve out", "Report target port groups")
		s.wants(t, "sg_rtpg -d "+scratch, "target port group id : 0xa", "active/optimized", "T_SUP : ", "Relative target port ids")
		first, second := s.Run(t, "sg_vpd -p 0x83 -q "+scratch), s.Run(t, "sg_vpd -p 0x83 -q "+other)
		if first == second {
			t.Errorf("both paths name the same target port:\n%s", first)
		}
	})
	t.Run("compare and write", func(t *testing.T) {
		s.Run(t, fmt.Sprintf(`set -e
dd if=/dev/urandom of=/run/old bs=512 count=1 2>/dev/null
dd if=/dev/urandom of=/run/new bs=512 count=1 2>/dev/null
cat /run/old /run/new >/run/caw
dd if=/run/old of=%s bs=512 seek=100 oflag=direct 2>/dev/null`, scratch))
		caw := "sg_compare_and_write --in=/run/caw --lba=100 --num=1 --xferlen=1024 " + scratch
		s.wants(t, caw)
		s.fails(t, caw, 14) // the block holds the new data now
		s.Run(t, fmt.Sprintf("dd if=%s bs=512 skip=100 count=1 iflag=direct 2>/dev/null | cmp - /run/new", other))
	})
	t.Run("extended copy", func(t *testing.T) {
		s.Run(t, fmt.Sprintf("dd if=/dev/urandom of=%s bs=1M count=4 oflag=direct 2>/dev/null", scratch))
		s.wants(t, fmt.Sprintf("sg_xcopy if=%s of=%s bs=512 count=8192", scratch, dest))
		s.Run(t, fmt.Sprintf("blockdev --flushbufs %[1]s %[2]s; cmp -n 4194304 %[1]s %[2]s", scratch, dest))
		s.wants(t, "sg_copy_results --params "+scratch, "Maximum")
	})
	t.Run("unmap", func(t *testing.T) {
		s.wants(t, "sg_unmap --force --lba=0 --num=2048 "+scratch)
		s.Run(t, fmt.Sprintf("blockdev --flushbufs %[1]s; cmp -n 1048576 %[1]s /dev/zero", scratch))
		s.wants(t, "sg_get_lba_status --lba=0 "+scratch, "deallocated")
		s.wants(t, "sg_get_lba_status --lba=2048 "+scratch, "mapped")
		s.wants(t, "sg_write_same --unmap --lba=2048 --num=2048 --xferlen=512 "+scratch)
		s.Run(t, fmt.Sprintf("blockdev --flushbufs %[1]s; cmp -n 2097152 %[1]s /dev/zero", scratch))
	})
	t.Run("cache", func(t *testing.T) {
		s.wants(t, "sg_sync "+scratch)
		s.wants(t, "sg_verify --lba=0 --count=128 "+scratch)
		s.wants(t, "sg_turs "+scratch)
	})
}

// reservations does what a cluster does: two nodes (here two paths, each a
// nexus of its own) register, one reserves, the other is kept out, takes the
// disk over by preemption, and the loser hears of it.
func reservations(t *testing.T, s *server) {
	one, two := s.path(t, "scratch", 0), s.path(t, "scratch", 1)
	const prout = "sg_persist --no-inquiry --out "
	const prin = "sg_persist --no-inquiry --in "
	write := func(path string) string {
		return fmt.Sprintf("sg_write_same --lba=0 --num=1 --xferlen=512 %s", path)
	}
	s.wants(t, prin+"--report-capabilities "+one, "Persist Through Power Loss Capable(PTPL_C): 1",
		"Write Exclusive, registrants only: 1",
		"Exclusive Access, all registrants: 1")
	s.wants(t, prout+"--register --param-sark=0x1111 "+one)
	s.wants(t, prin+"--read-keys "+two, "0x1111")
	s.wants(t, prout+"--reserve --param-rk=0x1111 --prout-type=5 "+one)
	s.wants(t, prin+"--read-reservation "+two, "Key=0x1111", "Write Exclusive, registrants only")
	s.wants(t, prin+"--read-full-status "+two, "Key=0x1111", serverName)
	s.fails(t, write(two), 24)
	s.wants(t, write(one))

	s.wants(t, prout+"--register --param-sark=0x2222 "+two)
	s.wants(t, write(two))
	s.wants(t, prout+"--preempt --param-rk=0x2222 --param-sark=0x1111 --prout-type=3 "+two)
	// The loser is told once (unit attention: registrations preempted), and
	// is kept out from then on.
	s.Status(t, "sg_turs "+one)
	s.fails(t, write(one), 24)
	if out, code := s.Status(t, "dd if="+one+" of=/dev/null bs=4096 count=1 iflag=direct 2>&1"); code == 0 {
		t.Errorf("a read through the path that was preempted:\n%s", out)
	}
	s.wants(t, write(two))
	s.wants(t, prin+"--read-keys "+one, "0x2222")
	s.wants(t, prout+"--release --param-rk=0x2222 --prout-type=3 "+two)
	s.wants(t, prout+"--clear --param-rk=0x2222 "+two)
	s.wants(t, prin+"--read-keys "+one, "there are NO registered reservation keys")
	s.Status(t, "sg_turs "+one)
	s.wants(t, write(one))
}
