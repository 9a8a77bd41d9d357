package scsi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// mode holds the mode pages of a unit: one set for all initiators. Nothing is
// saved: the saved values do not exist, and the defaults come back with every
// reset (SPC-5 5.12).
type mode struct {
	flags atomic.Uint32 // what the Control page says, for those in a hurry

	moder Moder // nil if the device has no pages of its own

	mu    sync.Mutex
	pages []*modePage // ascending by code and subcode
}

// modePage is a page with its current values.
type modePage struct {
	ModePage
	current []byte
}

// Bits of mode.flags.
const (
	modeDescriptorSense = 1 << iota
	modeWriteProtect
)

// Pages that Unit has.
const (
	pageControl       = 0x0a
	pageInformational = 0x1c
	pageAll           = 0x3f
	subpageAll        = 0xff
)

// Bytes and bits of the Control page's body (SPC-5 7.5.10).
const (
	controlDSense = 0x04 // in byte 0
	controlSWP    = 0x08 // in byte 2
)

func (m *mode) init(d Device) {
	control := ModePage{
		Code: pageControl,
		// TST 001b: a task set for each I_T nexus. GLTSD: log parameters are
		// not saved. QUEUE ALGORITHM MODIFIER 1: SIMPLE tasks run in any order.
		// BUSY TIMEOUT PERIOD: unlimited.
		Default: []byte{0x22, 0x10, 0, 0, 0, 0, 0xff, 0xff, 0, 0},
		Mask:    []byte{controlDSense, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	}
	if d.Type() == 0 { // SWP is a disk's (SBC-4 5.3.3)
		control.Mask[2] = controlSWP
	}
	m.add(control)
	// DEXCPT: there are no informational exceptions to report.
	m.add(ModePage{Code: pageInformational, Default: []byte{0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0}, Mask: make([]byte, 10)})
	if md, ok := d.(Moder); ok {
		m.moder = md
		for _, p := range md.ModePages() {
			m.add(p)
		}
	}
	slices.SortFunc(m.pages, func(a, b *modePage) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Sub, b.Sub))
	})
}

// add adds a page; one of the device replaces one of ours.
func (m *mode) add(p ModePage) {
	m.pages = slices.DeleteFunc(m.pages, func(o *modePage) bool { return o.Code == p.Code && o.Sub == p.Sub })
	m.pages = append(m.pages, &modePage{p, slices.Clone(p.Default)})
}

func (m *mode) descriptorSense() bool   { return m.flags.Load()&modeDescriptorSense != 0 }
func (m *mode) softwareProtected() bool { return m.flags.Load()&modeWriteProtect != 0 }

// find returns a page, nil if there is none. The caller holds mu.
func (m *mode) find(code, sub byte) *modePage {
	for _, p := range m.pages {
		if p.Code == code && p.Sub == sub {
			return p
		}
	}
	return nil
}

// values picks the values that a page control asks for (SPC-5 table 134).
func (p *modePage) values(pc byte) []byte {
	switch pc {
	case 1:
		return p.Mask
	case 2:
		return p.Default
	}
	return p.current
}

// appendPages appends the pages that MODE SENSE asks for, and says whether
// there are any.
func (m *mode) appendPages(b []byte, pc, code, sub byte) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := false
	for _, p := range m.pages {
		if code != pageAll && p.Code != code || sub != subpageAll && p.Sub != sub {
			continue
		}
		found = true
		if p.Sub == 0 {
			b = append(b, p.Code, byte(len(p.Default)))
		} else { // sub_page format: SPF
			b = append(b, p.Code|0x40, p.Sub, byte(len(p.Default)>>8), byte(len(p.Default)))
		}
		b = append(b, p.values(pc)...)
	}
	return b, found
}

// apply makes bodies current, by page, and tells the device. Where that fails
// the page keeps its old values.
func (m *mode) apply(bodies map[*modePage][]byte) (changed bool, err error) {
	for _, p := range m.pages {
		body, ok := bodies[p]
		if !ok || slices.Equal(body, p.current) {
			continue
		}
		if p.Changed != nil {
			if e := p.Changed(slices.Clone(body)); e != nil {
				err = errors.Join(err, fmt.Errorf("set mode page %02xh: %w", p.Code, e))
				continue
			}
		}
		p.current, changed = slices.Clone(body), true
	}
	var flags uint32
	if c := m.find(pageControl, 0); c != nil {
		if c.current[0]&controlDSense != 0 {
			flags |= modeDescriptorSense
		}
		if c.current[2]&controlSWP != 0 {
			flags |= modeWriteProtect
		}
	}
	m.flags.Store(flags)
	return changed, err
}

// reset brings the default values back.
func (m *mode) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[*modePage][]byte, len(m.pages))
	for _, p := range m.pages {
		all[p] = p.Default
	}
	// A device that cannot follow keeps the old values, and MODE SENSE says so.
	_, _ = m.apply(all)
}
