package scsi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

// modalDevice is a fakeDevice with mode and log pages.
type modalDevice struct {
	fakeDevice
	fail error
}

func (d *modalDevice) ModePages() []ModePage {
	return []ModePage{
		{Code: 0x08, Default: append([]byte{4}, make([]byte, 17)...), Mask: append([]byte{4}, make([]byte, 17)...),
			Check: func(body []byte) int {
				if body[0]&0x80 != 0 {
					return 0
				}
				return -1
			},
			Changed: func(body []byte) error {
				d.changed = append(d.changed, body)
				return d.fail
			}},
		{Code: 0x0a, Sub: 0x05, Default: []byte{1, 2, 3, 4}, Mask: make([]byte, 4)},
	}
}
func (d *modalDevice) ModeParameter() byte { return 0x10 }
func (d *modalDevice) BlockDescriptor(b []byte, long bool) []byte {
	if long {
		return append(b, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2, 0)
	}
	return append(b, 0, 0, 8, 0, 0, 0, 2, 0)
}
func (d *modalDevice) LogPages() []byte { return []byte{0x0c} }
func (d *modalDevice) LogPage(page byte, b []byte) []byte {
	return append(b, 0, 1, 0x03, 1, 0x42)
}

func modal(t *testing.T) (*modalDevice, *Unit, *host, *host) {
	d := &modalDevice{}
	u := NewUnit(testIdentity, d)
	return d, u, newHost(t, "iqn.2026-01.org.example:a", 1, 1, u).calm(), newHost(t, "iqn.2026-01.org.example:b", 2, 1, u).calm()
}

func TestModeSenseGolden(t *testing.T) {
	_, _, h, _ := modal(t)
	for name, cdb := range map[string]string{
		"mode6-all":         "1a 00 3f 00 ff 00",
		"mode6-all-sub":     "1a 00 3f ff ff 00",
		"mode6-nodbd":       "1a 08 0a 00 ff 00",
		"mode6-changeable":  "1a 00 7f 00 ff 00",
		"mode10-long":       "5a 10 08 00 00 00 00 00 ff 00",
		"mode10-subpage":    "5a 08 0a 05 00 00 00 00 ff 00",
		"log-pages":         "4d 00 00 00 00 00 00 00 ff 00",
		"log-subpages":      "4d 00 00 ff 00 00 00 00 ff 00",
		"log-device":        "4d 00 4c 00 00 00 00 00 ff 00",
		"log-informational": "4d 00 6f 00 00 00 00 00 ff 00",
	} {
		golden(t, name, h.want("good", cdb))
	}
	for _, c := range []struct{ want, cdb string }{
		{"5/3900", "1a 00 ff 00 ff 00"}, // saved values
		{"5/2400", "1a 00 05 00 ff 00"}, // no such page
		{"5/2400", "1a 00 08 07 ff 00"}, // no such subpage
		{"5/2400", "1a 00 3f 07 ff 00"}, // reserved
		{"5/2400", "4d 01 00 00 00 00 00 00 ff 00"},
		{"5/2400", "4d 00 4d 00 00 00 00 00 ff 00"},
		{"5/2400", "4d 00 4c 01 00 00 00 00 ff 00"},
		{"5/2400", "4d 00 4c 00 00 00 01 00 ff 00"},
	} {
		h.want(c.want, c.cdb)
	}
	if in := h.want("good", "1a 00 3f 00 04 00"); len(in) != 4 || in[0] < 3 {
		t.Errorf("MODE SENSE cut to 4 bytes: %x", in)
	}
}

func TestModeSelect(t *testing.T) {
	d, u, a, b := modal(t)
	control := func(dsense, swp byte) []byte {
		return []byte{0, 0, 0, 0, 0x0a, 10, 0x22 | dsense, 0x10, swp, 0, 0, 0, 0xff, 0xff, 0, 0}
	}
	sense := func(h *host) string {
		task, _ := h.run(0, "c1 00 00 00 00 00")
		return hex.EncodeToString(task.AppendSense(nil)[:1])
	}
	if s := sense(a); s != "70" {
		t.Errorf("sense data starts with %s", s)
	}
	a.want("good", "15 10 00 00 10 00", control(4, 0)...)
	a.heard()
	b.heard(ModeParametersChanged)
	if s := sense(b); s != "72" {
		t.Errorf("with D_SENSE sense data starts with %s", s)
	}
	a.want("good", "15 10 00 00 10 00", control(4, 0)...) // as it is: no change
	b.heard()
	a.want("good", "15 10 00 00 10 00", control(0, 8)...)
	b.calm()
	a.want("7/2700", write10)
	b.want("7/2700", write10)
	b.want("good", read10)
	if in := a.want("good", "1a 00 0a 00 ff 00"); in[2] != 0x90 || in[16] != 8 {
		t.Errorf("with SWP: %x", in)
	}
	if a.ManageTask(LogicalUnitReset, 0) != FunctionComplete || u.mode.softwareProtected() {
		t.Error("SWP outlived a reset")
	}
	a.calm()
	a.want("good", write10)

	caching := func(v byte) []byte { return append([]byte{0, 0, 0, 0, 8, 18, v}, make([]byte, 17)...) }
	a.want("good", "55 10 00 00 00 00 00 00 1c 00", append([]byte{0, 0, 0, 0}, caching(0)...)...)
	if len(d.changed) != 1 || d.changed[0][0] != 0 {
		t.Errorf("the device heard of %x", d.changed)
	}
	d.fail = errors.New("flush failed")
	a.want("4/4400", "15 10 00 00 18 00", caching(4)...)
	if in := a.want("good", "1a 08 08 00 ff 00"); in[6] != 0 {
		t.Errorf("what failed holds: %x", in)
	}
	d.fail = nil
	withBlocks := func(count, length byte) []byte {
		return append([]byte{0, 0, 0, 8, 0, 0, count, 0, 0, 0, length, 0}, caching(4)[4:]...)
	}
	a.want("good", "15 10 00 00 20 00", withBlocks(8, 2)...)
	a.want("good", "15 10 00 00 20 00", withBlocks(0, 2)...)
	for _, c := range []struct {
		want, cdb string
		list      []byte
	}{
		{"good", "15 00 00 00 00 00", nil},
		{"5/2400", "15 11 00 00 10 00", control(0, 0)}, // SP
		{"5/2400", "15 00 00 00 10 00", control(0, 0)}, // PF
		{"5/2600", "15 10 00 00 20 00", withBlocks(8, 16)},
		{"5/2600", "15 10 00 00 20 00", withBlocks(7, 2)},
		{"5/2600", "15 10 00 00 18 00", caching(1)},                           // RCD cannot change
		{"5/2600", "15 10 00 00 18 00", caching(0x84)},                        // nor what Check refuses
		{"5/1a00", "15 10 00 00 17 00", caching(4)[:23]},                      // the page is cut
		{"5/1a00", "15 10 00 00 03 00", []byte{0, 0, 0}},                      // the header is
		{"5/1a00", "15 10 00 00 05 00", []byte{0, 0, 0, 0, 8}},                // the page header is
		{"5/1a00", "15 10 00 00 18 00", caching(4)[:10]},                      // Data-Out is short
		{"5/2600", "15 10 00 00 08 00", []byte{0, 0, 0, 0, 8, 2, 0, 0}},       // another length
		{"5/2600", "15 10 00 00 08 00", []byte{0, 0, 0, 0, 0x33, 2, 0, 0}},    // no such page
		{"5/2600", "15 10 00 00 08 00", []byte{0, 0, 0, 0, 0x48, 0, 0, 0}},    // subpage 0 in sub_page format
		{"5/1a00", "55 10 00 00 00 00 00 20 00 00", make([]byte, 0x2000)},     // too long
		{"5/1a00", "15 10 00 00 08 00", []byte{0, 0, 0, 0xff, 0, 0, 0, 0, 0}}, // descriptor beyond the end
	} {
		a.want(c.want, c.cdb, c.list...)
	}
}

func TestReportOpcodes(t *testing.T) {
	_, u, h, _ := modal(t)
	all := h.want("good", "a3 0c 00 00 00 00 00 01 00 00 00 00")
	golden(t, "opcodes", all)
	golden(t, "opcodes-timeouts", h.want("good", "a3 0c 82 9e 00 10 00 01 00 00 00 00"))
	if n := (len(all) - 4) / 8; n != len(u.rows()) {
		t.Errorf("%d commands reported, %d served", n, len(u.rows()))
	}
	if in := h.want("good", "a3 0c 80 00 00 00 00 01 00 00 00 00"); len(in) != 4+20*len(u.rows()) {
		t.Errorf("with timeouts: %d bytes for %d commands", len(in), len(u.rows()))
	}
	for _, c := range u.rows() { // each as the other options tell it
		op := hex.EncodeToString([]byte{c.Op})
		action := hex.EncodeToString([]byte{byte(c.Action >> 8), byte(c.Action)})
		plain, acted := "good", "5/2400"
		if c.HasAction {
			plain, acted = acted, plain
		}
		h.want(plain, "a3 0c 01"+op+action+"00010000 00 00")
		h.want(acted, "a3 0c 02"+op+action+"00010000 00 00")
		in := h.want("good", "a3 0c 03"+op+action+"00010000 00 00")
		if in[1] != 3 || int(in[3]) != len(c.Usage) || in[4] != c.Op || !bytes.Equal(in[5:], c.Usage[1:]) {
			t.Errorf("%s: %x", c.Name, in)
		}
	}
	for _, cdb := range []string{"a3 0c 01 c1 00 00 00 01 00 00 00 00", "a3 0c 02 9e 00 1f 00 01 00 00 00 00", "a3 0c 03 28 00 01 00 01 00 00 00 00"} {
		if in := h.want("good", cdb); len(in) != 4 || in[1] != 1 {
			t.Errorf("%s: %x", cdb, in)
		}
	}
	h.want("5/2400", "a3 0c 04 00 00 00 00 01 00 00 00 00")
	golden(t, "tmfs", h.want("good", "a3 0d 80 00 00 00 00 01 00 00 00 00"))
	if in := h.want("good", "a3 0d 00 00 00 00 00 00 00 04 00 00"); len(in) != 4 {
		t.Errorf("task management functions: %x", in)
	}
	h.want("5/2400", "a3 0d 00 00 00 00 00 00 00 03 00 00")
}
