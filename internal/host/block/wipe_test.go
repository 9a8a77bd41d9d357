package block

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host"
)

// lsblkOf is what lsblk --list says of a disk before it is wiped.
const lsblkOf = `{"blockdevices":[{"path":"/dev/vda","type":"disk","size":4194304,"serial":"d1","wwn":null,"mountpoints":[null]},
{"path":"/dev/vda2","type":"part","size":1024,"mountpoints":[]},{"path":"/dev/vda1","type":"part","size":1024,"mountpoints":[]}]}`

var vda = Device{Name: "vda", Path: "/dev/vda", Type: "disk", Serial: "d1", Size: 4 << 20}

func TestWipe(t *testing.T) {
	m := &canned{out: map[string]string{"lsblk": lsblkOf}}
	if err := Discard(t.Context(), m, vda); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"wipefs --all --quiet /dev/vda1", "wipefs --all --quiet /dev/vda2", "wipefs --all --quiet /dev/vda",
		"blkdiscard --zeroout --offset 0 --length 1048576 /dev/vda", "blkdiscard --zeroout --offset 3145728 --length 1048576 /dev/vda",
		"udevadm settle --timeout=60", "blkdiscard /dev/vda", "udevadm settle --timeout=60",
	}
	if !slices.Equal(m.calls[1:], want) {
		t.Errorf("%s", strings.Join(m.calls, "\n"))
	}
	for _, c := range m.calls {
		if strings.Contains(c, "--force") || strings.Contains(c, " -f") {
			t.Errorf("%s: the program's own refusal is the second lock", c)
		}
	}
}

func TestWipeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ lsblk, err string }{
		"another disk":  {strings.Replace(lsblkOf, `"d1"`, `"d2"`, 1), "another device is there now"},
		"another size":  {strings.Replace(lsblkOf, `4194304`, `8388608`, 1), "another device is there now"},
		"array":         {strings.Replace(lsblkOf, `"/dev/vda2","type":"part"`, `"/dev/md5","type":"raid1"`, 1), "/dev/md5 (raid1) stands on it"},
		"mounted":       {strings.Replace(lsblkOf, `"mountpoints":[]}]`, `"mountpoints":["/srv"]}]`, 1), "/dev/vda1 is mounted at /srv"},
		"swap":          {strings.Replace(lsblkOf, `"mountpoints":[null]`, `"mountpoints":["[SWAP]"]`, 1), "mounted at [SWAP]"},
		"gone":          {`{"blockdevices":[]}`, "not there any more"},
		"no answer":     {``, "lsblk's answer"},
		"a part of one": {`{"blockdevices":[{"path":"/dev/vda1","type":"part"}]}`, "not there any more"},
	} {
		m := &canned{out: map[string]string{"lsblk": c.lsblk}}
		err := Wipe(t.Context(), m, vda)
		if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "wipe /dev/vda") {
			t.Errorf("%s: %v", name, err)
		}
		if len(m.calls) != 1 {
			t.Errorf("%s: it went on: %v", name, m.calls)
		}
	}
}

// failing fails the nth call.
type failing struct {
	canned
	n int
}

func (f *failing) Output(ctx context.Context, c host.Call) ([]byte, error) {
	if f.n--; f.n == 0 {
		return nil, errors.New("boom")
	}
	return f.canned.Output(ctx, c)
}

func TestWipeTellsFailures(t *testing.T) {
	for n := 1; n <= 9; n++ {
		m := &failing{canned: canned{out: map[string]string{"lsblk": lsblkOf}}, n: n}
		if err := Discard(t.Context(), m, vda); err == nil || !strings.Contains(err.Error(), "boom") || len(m.calls) != n-1 {
			t.Errorf("call %d: %v after %v", n, err, m.calls)
		}
	}
}
