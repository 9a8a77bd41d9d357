package mdadm

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/host"
)

// captured is a machine with one array, as Debian 13's kernel and mdadm 4.4
// told of it.
type captured struct {
	files  map[string]string // below /sys/block/md127/md
	export []byte
}

func capture(t *testing.T, sysfs, export string) captured {
	t.Helper()
	c := captured{files: map[string]string{}}
	for line := range strings.Lines(read(t, sysfs)) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		c.files[name] = text
	}
	c.export = []byte(read(t, export))
	return c
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(path.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const sysDir = "/sys/block/md127/md"

func (c captured) Output(_ context.Context, call host.Call) ([]byte, error) {
	if call.String() != "mdadm --detail --export /dev/md127" {
		return nil, errors.New("unexpected: " + call.String())
	}
	return c.export, nil
}

func (c captured) ReadFile(p string) ([]byte, error) {
	if p == "/sys/block/md127/size" {
		return []byte("33513472\n"), nil
	}
	if text, ok := c.files[strings.TrimPrefix(p, sysDir+"/")]; ok {
		return []byte(text + "\n"), nil
	}
	return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
}

func (c captured) ReadDir(p string) ([]string, error) {
	if p == "/sys/block" {
		return []string{"md127", "sr0", "vda"}, nil
	}
	var names []string
	for f := range c.files {
		first, _, _ := strings.Cut(f, "/")
		if !slices.Contains(names, first) {
			names = append(names, first)
		}
	}
	slices.Sort(names)
	return names, nil
}

func TestRunning(t *testing.T) {
	const uuid = "01234567-89ab-8def-8123-456789abcdef"
	member := func(name string, role int) Member {
		return Member{Kernel: name, Role: role, State: []string{"in_sync"}}
	}
	whole := []Member{member("vda", 0), member("vdb", 1), member("vdc", 2), member("vdd", 3), member("vde", 4), member("vdf", 5)}
	for _, c := range []struct {
		sysfs, export string
		want          Array
	}{
		{"md-sysfs.txt", "detail-export.txt", Array{Members: whole, Sync: Sync{Action: "resync", Done: 775488.0 / 8378368, Speed: 40252 << 10}}},
		{"md-sysfs-degraded.txt", "detail-export-degraded.txt", Array{Members: whole[:5], Degraded: 1}},
	} {
		got, err := Running(t.Context(), capture(t, c.sysfs, c.export))
		if err != nil {
			t.Fatal(err)
		}
		w := c.want
		w.Kernel, w.Name, w.UUID, w.Level, w.Disks, w.Chunk, w.Layout = "md127", "r6", uuid, "6", 6, 65536, "left-symmetric"
		w.Size, w.State, w.Policy = 33513472*512, "clean", "bitmap"
		if w.Degraded > 0 && len(got) == 1 {
			if !got[0].Sync.Busy() || got[0].Sync.Done <= 0 || got[0].Sync.Done >= 1 {
				t.Errorf("%s: sync %+v", c.sysfs, got[0].Sync)
			}
			w.Sync = got[0].Sync
		}
		if diff := cmp.Diff([]Array{w}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.sysfs, diff)
		}
	}
}

func TestExamine(t *testing.T) {
	want := Superblock{UUID: "01234567-89ab-8def-8123-456789abcdef", Name: "r6", Level: "6", Disks: 6, Chunk: 64 << 10, Layout: "left-symmetric",
		Size: 16756736 << 10, Events: 1, Bitmap: true}
	got, ok := parseExamine([]byte(read(t, "examine.txt")))
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("%v (-want +got):\n%s", ok, diff)
	}
	for text, want := range map[string]Superblock{
		"":                                    {Role: -1},
		"/dev/sda:\n   MBR Magic : aa55\n":    {Role: -1},
		"Array UUID : no\nRaid Devices : 2\n": {Role: -1, Disks: 2},
	} {
		got, ok := parseExamine([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || ok {
			t.Errorf("%q: %v (-want +got):\n%s", text, ok, diff)
		}
	}
	// Facts that the capture does not have; in the words of mdadm's super0.c and
	// super1.c.
	for text, want := range map[string]Superblock{
		"Device Role : spare":                {Role: -1},
		"Device Role : Journal":              {Role: -1, Journal: true},
		"Device Role : Active device 3":      {Role: 3},
		"Device Role : Replacement device 2": {Role: 2},
		"Feature Map : 0x201":                {Role: -1, Bitmap: true, NeedsJournal: true},
		"Recovery Offset : 2048 sectors":     {Role: -1, Rebuilding: true},
		"Layout : near=2":                    {Role: -1, Layout: "n2"},
		"Layout : near=1, far=2":             {Role: -1, Layout: "f2"},
		"Layout : near=1, offset=3":          {Role: -1, Layout: "o3"},
		"Chunk Size : 1M":                    {Role: -1, Chunk: 1 << 20},
		"Array Size : 2094080 (2045.00 MiB)": {Role: -1, Size: 2094080 << 10},
		"this     1       8       17        1      active sync   /dev/sdb1": {Role: 1},
		"Events : 0.17": {Role: -1, Events: 17},
		"Name : host.example:backup  (local to host host.example)": {Role: -1, Name: "backup"},
	} {
		if got, _ := parseExamine([]byte(text)); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestExport(t *testing.T) {
	want := export{UUID: "01234567-89ab-8def-8123-456789abcdef", Name: "r6", Level: "6", Disks: 6}
	for _, name := range []string{"detail-export.txt", "examine-export-failed.txt"} {
		if got := parseExport([]byte(read(t, name))); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := ToMD(want.UUID); got != "01234567:89ab8def:81234567:89abcdef" || FromMD(got) != want.UUID {
		t.Errorf("UUID: %s", got)
	}
	for _, bad := range []string{"", "01234567", "0123456789abcdef0123456789abcdeg", strings.Repeat(":", 32)} {
		if got := FromMD(bad); got != "" {
			t.Errorf("%q is taken for the UUID %q", bad, got)
		}
	}
}

// Which disks may be missing.
func TestEnough(t *testing.T) {
	for _, c := range []struct {
		level, layout string
		disks         int
		have          []int
		want          bool
	}{
		{"0", "", 2, []int{0, 1}, true}, {"0", "", 2, []int{1}, false},
		{"1", "", 3, []int{2}, true}, {"1", "", 2, nil, false},
		{"5", "", 3, []int{0, 2}, true}, {"5", "", 3, []int{0}, false}, {"4", "", 3, []int{1, 2}, true},
		{"6", "", 4, []int{0, 3}, true}, {"6", "", 4, []int{3}, false},
		{"10", "n2", 4, []int{0, 2}, true}, {"10", "n2", 4, []int{0, 1}, false}, {"10", "n2", 3, []int{0, 2}, true}, {"10", "n2", 3, []int{0}, false},
		{"10", "f2", 4, []int{0, 2}, true}, {"10", "f2", 4, []int{0, 3}, false}, {"10", "o3", 4, []int{0, 1}, true}, {"10", "n3", 3, []int{1}, true},
		{"10", "n9", 4, []int{0, 1, 2, 3}, false}, {"10", "", 2, []int{0, 1}, false}, {"multipath", "", 2, []int{0}, false},
	} {
		a := Array{Level: c.level, Layout: c.layout, Disks: c.disks}
		for _, r := range c.have {
			a.Members = append(a.Members, Member{Kernel: string(rune('a' + r)), Role: r, State: []string{"in_sync"}})
		}
		a.Members = append(a.Members, Member{Kernel: "z", Role: 1, State: []string{"spare"}}, Member{Kernel: "y", Role: 0, State: []string{"faulty"}})
		if got := a.Enough(""); got != c.want {
			t.Errorf("RAID %s %s of %d with %v: %v", c.level, c.layout, c.disks, c.have, got)
		}
	}
}

// What disks say that were members at different times is one array, of those
// that are up to date.
func TestGather(t *testing.T) {
	at := func(kernel string, role int, events int64) Superblock {
		return Superblock{Kernel: kernel, UUID: "u", Name: "n", Level: "5", Disks: 3, Role: role, Events: events}
	}
	rebuilt := at("e", 2, 20)
	rebuilt.Rebuilding = true
	other := Superblock{Kernel: "x", UUID: "v", Level: "1", Disks: 2, Role: 1, Events: 3}
	got := gather([]Superblock{at("b", 1, 19), other, at("a", 0, 20), at("c", 2, 7), at("d", -1, 20), rebuilt})
	want := []Array{
		{UUID: "u", Name: "n", Level: "5", Disks: 3, State: Stopped, Policy: "resync", Degraded: 1, Members: []Member{
			{"a", 0, []string{"in_sync"}, 20}, {"b", 1, []string{"in_sync"}, 19}, {"c", 2, []string{Stale}, 7}, {"e", 2, []string{"spare"}, 20}, {"d", -1, []string{"spare"}, 20}}},
		{UUID: "v", Level: "1", Disks: 2, State: Stopped, Policy: "resync", Degraded: 1, Members: []Member{{"x", 1, []string{"in_sync"}, 3}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSysfsWords(t *testing.T) {
	for text, want := range map[string]int64{"200000 (system)": 0, "5120 (local)": 5 << 20, "": 0} {
		if got := speed(text); got != want {
			t.Errorf("speed %q: %d", text, got)
		}
	}
	for text, want := range map[string]float64{"none": 0, "delayed": 0, "5 / 10": 0.5, "": 0, "1 / 0": 0} {
		if got := fraction(text); got != want {
			t.Errorf("fraction %q: %v", text, got)
		}
	}
	for n, want := range map[int64]string{0x102: "n2", 0x201: "f2", 0x10201: "o2", 0x20201: "f2", 0x103: "n3"} {
		if got := layoutName("10", n); got != want {
			t.Errorf("layout %x: %q", n, got)
		}
	}
	if got := layoutName("6", 99); got != "" {
		t.Errorf("layout 99 of level 6: %q", got)
	}
}

// Whatever a disk holds, reading it makes no nonsense and does not end the daemon.
func FuzzExamine(f *testing.F) {
	for _, name := range []string{"examine.txt", "examine-export-failed.txt", "detail-export.txt"} {
		text, err := os.ReadFile(path.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("this 0 0 0 0 active\nEvents : 0.\nName : :\nLayout : =\nChunk Size : M\nDevice Role : Active device 99999999999999999999"))
	f.Fuzz(func(t *testing.T, text []byte) {
		e := parseExport(text)
		s, ok := parseExamine(text)
		for _, u := range []string{e.UUID, s.UUID} {
			if u != "" && FromMD(ToMD(u)) != u {
				t.Errorf("UUID %q", u)
			}
		}
		if s.Events < 0 || s.Role < -1 || s.Chunk < 0 {
			t.Errorf("%+v", s)
		}
		if !ok {
			return
		}
		if s.UUID == "" || s.Size < 0 {
			t.Errorf("%+v", s)
		}
		a := gather([]Superblock{s, s})
		if len(a) != 1 || len(a[0].Members) != 2 {
			t.Fatalf("%+v", a)
		}
		a[0].Enough("")
	})
}
