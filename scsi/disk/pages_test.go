package disk

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/backing"
)

// kinds are the disks whose pages are kept as golden files.
var kinds = []struct {
	name string
	opt  Options
}{
	{"thick-512", Options{}},
	{"thin-512", Options{Thin: true, Volatile: true}},
	{"thin-4096", Options{Thin: true, Volatile: true, BlockSize: 4096}},
	{"thin-512e", Options{Thin: true, PhysicalBlockSize: 4096, WriteThrough: true}},
	{"rotational-readonly-512", Options{Rotational: true, ReadOnly: true}},
}

func TestPages(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			r := newRig(t, 1<<30, k.opt)
			var b strings.Builder
			dump := func(name string, p []byte) {
				b.WriteString(name + "\n")
				for len(p) > 0 {
					n := min(16, len(p))
					b.WriteString("  " + hex.EncodeToString(p[:n]) + "\n")
					p = p[n:]
				}
			}
			for _, page := range r.VPDPages() {
				body, ok := r.VPD(page, []byte{0xff})
				if !ok || body[0] != 0xff {
					t.Errorf("VPD page %02xh is listed but not served, or replaces what was there", page)
				}
				dump("VPD "+hex.EncodeToString([]byte{page}), body[1:])
			}
			dump("READ CAPACITY (10)", r.good(t, cdb10(0x25, 0, 0, 0), nil))
			dump("READ CAPACITY (16)", r.good(t, cdb16(0x9e, 0x10, 0, 32), nil))
			for _, p := range r.ModePages() {
				dump("mode page "+hex.EncodeToString([]byte{p.Code, p.Sub}), p.Default)
				dump("changeable", p.Mask)
			}
			dump("device-specific parameter", []byte{r.ModeParameter()})
			dump("block descriptor", r.BlockDescriptor(nil, false))
			dump("long block descriptor", r.BlockDescriptor(nil, true))
			for _, c := range r.Commands() {
				dump(c.Name, c.Usage)
			}
			golden(t, k.name+".txt", []byte(b.String()))
		})
	}
}

func TestNoSuchPage(t *testing.T) {
	r := newRig(t, mib, Options{})
	if body, ok := r.VPD(0xb9, []byte{1}); ok || len(body) != 1 {
		t.Error("a page that is not listed is served")
	}
}

// The tables must not contradict themselves: REPORT SUPPORTED OPERATION CODES
// and dispatch live on them.
func TestCommandTable(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t, mib, k.opt)
		seen := map[[2]int]bool{}
		for _, c := range r.Commands() {
			key := [2]int{int(c.Op), -1}
			if c.HasAction {
				key[1] = int(c.Action)
			}
			if seen[key] {
				t.Errorf("%s: twice in the table", c.Name)
			}
			seen[key] = true
			want := map[byte]int{0: 6, 1: 10, 2: 10, 4: 16, 5: 12}[c.Op>>5]
			if len(c.Usage) != want || c.Usage[0] != c.Op {
				t.Errorf("%s: usage data % x", c.Name, c.Usage)
			}
			if c.HasAction && c.Usage[1]&0x1f != byte(c.Action) {
				t.Errorf("%s: service action %#x, usage data % x", c.Name, c.Action, c.Usage)
			}
			if c.Do == nil {
				t.Errorf("%s does nothing", c.Name)
			}
		}
	}
}

func TestLargeDisk(t *testing.T) {
	d, err := New(backing.NewNull(4<<40), Options{Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := &rig{Disk: d, rows: rowsOf(d)}
	if got := hex.EncodeToString(r.good(t, cdb10(0x25, 0, 0, 0), nil)); got != "ffffffff00000200" {
		t.Errorf("READ CAPACITY (10): %s", got)
	}
	if got := hex.EncodeToString(r.good(t, cdb16(0x9e, 0x10, 0, 12), nil)); got != "00000001ffffffff00000200" {
		t.Errorf("READ CAPACITY (16): %s", got)
	}
	if got := hex.EncodeToString(r.BlockDescriptor(nil, false)); got != "ffffffff00000200" {
		t.Errorf("block descriptor: %s", got)
	}
	r.good(t, cdb16(0x88, 0, 1<<33-1, 1), nil)
}

func TestReadDefectData(t *testing.T) {
	r := newRig(t, mib, Options{})
	c10 := cdb10(0x37, 0, 0, 32)
	c10[2] = 0x1d
	if d := cmp.Diff([]byte{0, 0x1d, 0, 0}, r.good(t, c10, nil)); d != "" {
		t.Error(d)
	}
	c12 := cdb12(0xb7, 0x1d, 0, 32)
	if d := cmp.Diff([]byte{0, 0x1d, 0, 0, 0, 0, 0, 0}, r.good(t, c12, nil)); d != "" {
		t.Error(d)
	}
}

func TestWriteCacheCanBeTurnedOff(t *testing.T) {
	store := &counted{Memory: backing.NewMemory(mib)}
	r := rigOn(t, store, Options{})
	page := r.ModePages()[1]
	body := append([]byte(nil), page.Default...)
	for _, c := range []struct {
		wce   byte
		syncs int // by the change itself, and by a write after it
	}{{0, 2}, {0, 1}, {wce, 0}, {0, 2}} {
		store.syncs = 0
		body[0] = c.wce
		if err := page.Changed(body); err != nil {
			t.Fatal(err)
		}
		if r.good(t, cdb10(0x2a, 0, 0, 1), make([]byte, 512)); store.syncs != c.syncs {
			t.Errorf("WCE %d: %d syncs, want %d", c.wce, store.syncs, c.syncs)
		}
	}
}

func TestRefresh(t *testing.T) {
	r := newRig(t, mib, Options{})
	if changed, err := r.Refresh(); changed || err != nil {
		t.Errorf("changed %v (%v)", changed, err)
	}
	r.store.Grow(2 * mib)
	if changed, err := r.Refresh(); !changed || err != nil || r.Blocks() != 4096 {
		t.Errorf("changed %v (%v), %d blocks", changed, err, r.Blocks())
	}
	r.good(t, cdb10(0x28, 0, 4095, 1), nil)
	shrunk := &shrinking{Store: r.store, size: mib}
	d, err := New(r.store, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.store = shrunk
	if changed, err := d.Refresh(); changed || err == nil || d.Blocks() != 4096 {
		t.Errorf("a store that shrank: changed %v (%v), %d blocks", changed, err, d.Blocks())
	}
}

type shrinking struct {
	backing.Store
	size int64
}

func (s *shrinking) Refresh() (int64, error) { return s.size, nil }

func TestOptionsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		size int64
		opt  Options
	}{
		{mib, Options{BlockSize: 520}}, {mib, Options{BlockSize: 2048}}, {mib, Options{BlockSize: 4096, PhysicalBlockSize: 512}},
		{mib, Options{PhysicalBlockSize: 1000}}, {511, Options{}}, {0, Options{}}, {4095, Options{BlockSize: 4096}},
	} {
		if d, err := New(backing.NewMemory(c.size), c.opt); err == nil {
			d.Close()
			t.Errorf("%d bytes, %+v: no error", c.size, c.opt)
		}
	}
}
