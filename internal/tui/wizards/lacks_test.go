package wizards

import (
	"strings"
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/mdadm"
)

func TestLacks(t *testing.T) {
	t.Parallel()
	disk := func(kernel, trouble string) v1.Disk {
		return v1.Disk{Device: block.Device{Name: kernel, Path: "/dev/" + kernel, Links: []string{"/dev/disk/by-id/" + kernel}, Size: 4 << 30}, ID: kernel, Trouble: trouble}
	}
	doc := &config.Document{Storage: config.Storage{Arrays: []config.Array{{Name: "r1", Level: "1", Disks: []string{"/dev/disk/by-id/a", "/dev/disk/by-id/b"}}}}}
	in := func(kernel string, role int, state ...string) mdadm.Member {
		return mdadm.Member{Kernel: kernel, Role: role, State: state}
	}
	whole := []mdadm.Member{in("a", 0, "in_sync"), in("b", 1, "in_sync")}
	for name, c := range map[string]struct {
		array mdadm.Array
		not   bool // declared
		disks []v1.Disk
		want  string
	}{
		"whole":      {array: mdadm.Array{Kernel: "md0", State: "clean", Members: whole}, disks: []v1.Disk{disk("a", ""), disk("b", "")}},
		"failed":     {array: mdadm.Array{Kernel: "md0", State: "clean", Degraded: 1, Members: []mdadm.Member{in("a", 0, "in_sync"), in("b", -1, "faulty")}}, disks: []v1.Disk{disk("a", ""), disk("b", "")}, want: "b: failed"},
		"gone":       {array: mdadm.Array{Kernel: "md0", State: "clean", Degraded: 1, Members: whole[:1]}, disks: []v1.Disk{disk("a", "")}, want: "b: not plugged in"},
		"left out":   {array: mdadm.Array{Kernel: "md0", State: "clean", Degraded: 1, Members: whole[:1]}, disks: []v1.Disk{disk("a", ""), disk("b", "")}, want: "b: not in the array"},
		"foretold":   {array: mdadm.Array{Kernel: "md0", State: "clean", Members: whole}, disks: []v1.Disk{disk("a", "bad sectors"), disk("b", "")}, want: "a: will fail: bad sectors"},
		"rebuilt":    {array: mdadm.Array{Kernel: "md0", State: "clean", Degraded: 1, Sync: mdadm.Sync{Action: "recover", Done: 0.5}, Members: []mdadm.Member{in("a", 0, "in_sync"), in("b", 1, "spare")}}, disks: []v1.Disk{disk("a", ""), disk("b", "")}, want: ": rebuild 50 %"},
		"not there":  {array: mdadm.Array{Name: "other", Kernel: "md0", State: "clean"}, not: true, disks: []v1.Disk{disk("a", "")}, want: ": not there!"},
		"undeclared": {array: mdadm.Array{Name: "other", Kernel: "md0", State: "clean", Degraded: 1}, not: true, disks: []v1.Disk{disk("a", "")}, want: ": not there!; : lacks 1 disks!"},
		"inactive":   {array: mdadm.Array{Kernel: "md0", State: mdadm.Inactive, Members: whole[:1]}, disks: []v1.Disk{disk("a", "")}, want: ": inactive!"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := v1.ArrayState{Array: c.array, Declared: "r1"}
			if c.not {
				now.Declared = ""
			}
			var got []string
			for _, l := range lacks(doc, v1.StorageState{Disks: c.disks, Arrays: []v1.ArrayState{now}}) {
				text := l.name() + ": " + l.what
				if l.why != "" {
					text += "!" // nothing can be done
				}
				got = append(got, text)
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for n, want := range []string{"", "", "1", "5", "6", "6", "6"} {
		if got := propose(n); got != want {
			t.Errorf("RAID %q is proposed for %d disks, want %q", got, n, want)
		}
	}
	for _, o := range levels([]int64{1 << 40, 1 << 40, 2 << 40}) {
		if can := o.Why == ""; can != (o.Value == "0" || o.Value == "1" || o.Value == "5") {
			t.Errorf("RAID %s of three disks: %q", o.Value, o.Why)
		}
	}
	for size, want := range map[int64]string{12<<30 + 5: "12GiB", 5<<30 + 3: "5GiB", 5<<30 + 9<<20: "5128MiB", 1 << 20: ""} {
		if got := round(size); got != want {
			t.Errorf("round(%d) is %q, want %q", size, got, want)
		}
	}
}
