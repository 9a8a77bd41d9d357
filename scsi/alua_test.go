package scsi

import (
	"encoding/hex"
	"errors"
	"testing"
)

func TestPortGroups(t *testing.T) {
	var asked []map[uint16]AccessState
	var refuse error
	u := NewUnit(testIdentity, &fakeDevice{}, WithAccessSetter(func(s map[uint16]AccessState) error {
		asked = append(asked, s)
		return refuse
	}))
	a := newHost(t, "iqn.2026-01.org.example:a", 1, 1, u).calm()
	b := newHost(t, "iqn.2026-01.org.example:b", 2, 2, u).calm()
	const rtpg = "a3 0a 00 00 00 00 00 00 01 00 00 00"
	golden(t, "rtpg-default", a.want("good", rtpg))
	groups := []PortGroup{
		{ID: 10, State: ActiveOptimized, Preferred: true, Ports: []uint16{1}},
		{ID: 20, State: Standby, Ports: []uint16{2, 3}},
	}
	u.SetAccess(groups)
	a.heard(AsymmetricAccessStateChanged)
	b.heard(AsymmetricAccessStateChanged)
	u.SetAccess(groups) // no change, no noise
	a.heard()
	golden(t, "rtpg", a.want("good", rtpg))
	golden(t, "rtpg-extended", a.want("good", "a3 2a 00 00 00 00 00 00 01 00 00 00"))
	a.want("5/2400", "a3 4a 00 00 00 00 00 00 01 00 00 00")
	if in := a.want("good", "a3 0a 00 00 00 00 00 00 00 08 00 00"); len(in) != 8 || in[3] != 28 {
		t.Errorf("RTPG cut to 8 bytes: %x", in)
	}
	golden(t, "vpd83-group", b.want("good", "12 01 83 01 00 00"))
	if in := a.want("good", "12 00 00 00 60 00"); in[5]>>4&3 != 3 {
		t.Errorf("TPGS is %d", in[5]>>4&3)
	}
	always := []string{"12 00 00 00 60 00", "a0 00 00 00 00 00 00 00 10 00 00 00", "03 00 00 00 12 00", rtpg}
	standby := []string{senseModes, readKeys, "4d 00 00 00 00 00 00 00 ff 00"}
	for _, c := range []struct {
		state AccessState
		sense string
	}{
		{ActiveNonOptimized, ""},
		{Standby, "2/040b"},
		{Unavailable, "2/040c"},
		{Offline, "2/0412"},
		{Transitioning, "2/040a"},
	} {
		u.SetAccess([]PortGroup{{ID: 10, State: c.state, Ports: []uint16{1}}})
		a.calm()
		for _, cdb := range always {
			a.want("good", cdb)
		}
		want := c.sense
		if want == "" {
			want = "good"
		}
		a.want(want, read10)
		a.want(want, tur)
		for _, cdb := range standby {
			if c.state == Standby {
				a.want("good", cdb)
			} else {
				a.want(want, cdb)
			}
		}
	}
	u.SetAccess(groups)
	a.calm()
	b.calm()

	set := func(h *host, want, list string) {
		t.Helper()
		raw, _ := hex.DecodeString(list)
		h.want(want, "a4 0a 00 00 00 00 00 00 00"+hex.EncodeToString([]byte{byte(len(raw))})+"00 00", raw...)
	}
	set(b, "good", "")
	set(b, "good", "00000000")
	set(b, "5/1a00", "000000")
	set(b, "5/2600", "00000000"+"00000063") // no such group
	set(b, "5/2600", "00000000"+"0f000014") // no such state
	refuse = errors.New("the peer is gone")
	set(b, "4/670a", "00000000"+"00000014")
	a.want("good", read10)
	b.want("2/040b", read10)
	refuse = nil
	set(b, "good", "00000000"+"00000014"+"0100000a")
	b.heard()
	a.heard(AsymmetricAccessStateChanged)
	b.want("good", read10)
	if last := asked[len(asked)-1]; last[20] != ActiveOptimized || last[10] != ActiveNonOptimized {
		t.Errorf("asked for %v", last)
	}
	golden(t, "rtpg-after-set", a.want("good", rtpg))
	u.SetAccess(nil)
	if in := a.calm().want("good", rtpg); in[7] != defaultGroup {
		t.Errorf("groups remain: %x", in)
	}

	plain := NewUnit(testIdentity, &fakeDevice{}) // no setter, no command
	newHost(t, "iqn.2026-01.org.example:a", 1, 1, plain).calm().want("5/2000", "a4 0a 00 00 00 00 00 00 00 00 00 00")
}
