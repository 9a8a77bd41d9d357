package block

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/host"
)

// kernel shows devices as sysfs does: directories by their paths. What lsblk
// answers is a row a device that it is asked about.
type kernel struct {
	dirs map[string][]string
	gone string // a device that lsblk does not find any more
	args []string
}

func (k *kernel) ReadDir(p string) ([]string, error) {
	names, ok := k.dirs[p]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	return names, nil
}

func (k *kernel) Output(_ context.Context, c host.Call) ([]byte, error) {
	k.args = c.Args
	var rows []string
	var err error
	for _, a := range c.Args {
		name, ok := strings.CutPrefix(a, "/dev/")
		if !ok {
			continue
		}
		if name == k.gone {
			err = &host.ExitError{Name: "lsblk", Code: 64}
			continue
		}
		kind := map[byte]string{'s': "disk", 'd': "lvm", 'm': "raid1"}[name[0]]
		if name[len(name)-1] == '1' && name[0] == 's' {
			kind = "part"
		}
		rows = append(rows, `{"kname":"`+strings.ReplaceAll(name, "/", "!")+`","path":"`+a+`","type":"`+kind+`","size":1024}`)
	}
	return []byte(`{"blockdevices":[` + strings.Join(rows, ",") + `]}`), err
}

func (*kernel) Real(string) string { return "" }

func (*kernel) ReadFile(string) ([]byte, error) { return nil, os.ErrNotExist }

// TestStanding reads what stands on what from the kernel, each device once.
func TestStanding(t *testing.T) {
	k := &kernel{dirs: map[string][]string{
		"/sys/class/block":              {"dm-0", "dm-1", "md127", "sda", "sda1", "sdaa", "sdb"},
		"/sys/class/block/sda":          {"holders", "sda1", "size", "slaves"},
		"/sys/class/block/sda1":         {"holders", "partition", "size"},
		"/sys/class/block/sdaa":         {"holders", "size", "slaves"},
		"/sys/class/block/sdb":          {"holders", "size", "slaves"},
		"/sys/class/block/md127":        {"holders", "md", "size", "slaves"},
		"/sys/class/block/dm-0":         {"dm", "holders", "slaves"},
		"/sys/class/block/dm-1":         {"dm", "holders", "slaves"},
		"/sys/class/block/sda/slaves":   {},
		"/sys/class/block/sdaa/slaves":  {},
		"/sys/class/block/sdb/slaves":   {},
		"/sys/class/block/md127/slaves": {"sda1", "sdb"},
		"/sys/class/block/dm-0/slaves":  {"md127"},
		"/sys/class/block/dm-1/slaves":  {"dm-0"},
	}}
	inv, err := Read(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][2][]string{}
	for _, d := range inv.Devices() {
		got[d.Name] = [2][]string{d.Below, d.Above}
	}
	want := map[string][2][]string{
		"sda": {nil, {"sda1"}}, "sda1": {{"sda"}, {"md127"}}, "sdaa": {}, "sdb": {nil, {"md127"}},
		"md127": {{"sda1", "sdb"}, {"dm-0"}}, "dm-0": {{"md127"}, {"dm-1"}}, "dm-1": {{"dm-0"}, nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("below and above (-want +got):\n%s", diff)
	}
	if !slices.Contains(k.args, "--nodeps") {
		t.Errorf("lsblk was asked for a tree: %q", k.args)
	}

	k.gone = "sdaa"
	if inv, err = Read(t.Context(), k); err != nil || len(inv.Devices()) != 6 {
		t.Errorf("one went away meanwhile: %v", err)
	}
	// Where the kernel does not tell what a partition is part of, nothing may be
	// taken for unused.
	k.dirs["/sys/class/block/sda"] = []string{"size", "slaves"}
	if _, err := Read(t.Context(), k); err == nil {
		t.Error("a partition without its disk was read")
	}
}
