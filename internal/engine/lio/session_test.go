package lio

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

func TestSessions(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	ctx := t.Context()
	b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
	other := config.Target{Name: iqn + ":all"}
	b.ok(b.PutTarget(ctx, other))
	b.ok(b.PutLUN(ctx, other.Name, "", config.LUN{LUN: 0, Device: "d1"}))
	if b.kernel.Login(liofake.Session{Group: tpg1, Initiator: bob, Address: "192.0.2.8:1"}) {
		t.Error("who is in no group is let in")
	}
	all := "iscsi/" + other.Name + "/tpgt_1"
	if !b.kernel.Login(liofake.Session{Group: tpg1, Initiator: alice, ISID: "00023d000001", Address: "192.0.2.7:51000"}) ||
		!b.kernel.Login(liofake.Session{Group: all, Initiator: bob, ISID: "00023d000002", Address: "[2001:db8::1]:51000"}) {
		t.Fatal("nobody is let in")
	}
	b.kernel.Count(tpg1+"/acls/"+alice+"/lun_0/statistics/scsi_auth_intr/num_cmds", 12)
	b.kernel.Count(tpg1+"/acls/"+alice+"/lun_0/statistics/scsi_auth_intr/read_mbytes", 3)
	got, err := b.Sessions(ctx)
	b.ok(err)
	if len(got) != 2 {
		t.Fatalf("sessions: %+v", got)
	}
	a := got[slices.IndexFunc(got, func(s engine.Session) bool { return s.Initiator == alice })]
	if a.Target != iqn || a.Group != "g" || a.ISID != "00023d000001" || a.Address != "192.0.2.7" || a.Portal != "main" || a.LUNs != 1 ||
		a.Counters.Other != 12 || a.Counters.ReadBytes != 3<<20 || time.Since(a.Since) > time.Minute {
		t.Errorf("alice: %+v", a)
	}
	c := got[slices.IndexFunc(got, func(s engine.Session) bool { return s.Initiator == bob })]
	if c.Target != other.Name || c.Group != "" || c.LUNs != 1 || c.ID == "" {
		t.Errorf("bob: %+v", c)
	}
	st, err := b.Statistics(ctx)
	b.ok(err)
	if len(st.LUNs) != 2 || st.LUNs[0].Counters.Other != 12 || st.LUNs[0].Group != "g" || st.LUNs[0].Device != "d0" || st.LUNs[1].Device != "d1" {
		t.Errorf("statistics: %+v", st)
	}
	for _, s := range []engine.Session{a, c} {
		b.ok(b.CloseSession(ctx, s.ID))
		left, err := b.Sessions(ctx)
		b.ok(err)
		if slices.ContainsFunc(left, func(l engine.Session) bool { return l.ID == s.ID }) {
			t.Errorf("%s is still there", s.ID)
		}
		b.ok(b.CloseSession(ctx, s.ID))
	}
	b.reads(tpg1+"/acls/"+alice+"/cmdsn_depth", "64")
	b.sees(alice, map[string]string{"lun_0": "d0 rw"})
}

func TestEvents(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("g", []string{alice})
	ctx, cancel := context.WithCancel(t.Context())
	events, err := b.Events(ctx)
	b.ok(err)
	next := func(kind, initiator string) {
		t.Helper()
		select {
		case e := <-events:
			if e.Kind != kind || e.Object != iqn || e.Detail["initiator"] != initiator || e.Message == "" || e.Time.IsZero() {
				t.Errorf("event %+v, want %s of %s", e, kind, initiator)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no event %s", kind)
		}
	}
	b.kernel.Login(liofake.Session{Group: tpg1, Initiator: alice, ISID: "00023d000001", Address: "192.0.2.7:51000"})
	next("session.opened", alice)
	b.kernel.Logout(tpg1, alice)
	next("session.closed", alice)
	b.kernel.Login(liofake.Session{Group: tpg1, Initiator: bob})
	next("login.refused", "")
	cancel()
	for range events { // it is closed
	}
}

func FuzzInfo(f *testing.F) {
	f.Add("InitiatorName: iqn.a\nLIO Session ID: 7   ISID: 0x00 02 3d 00 00 01  TSIH: 1  SessionType: Normal\n   Address [2001:db8::1]:51000 TCP  StatSN: 0x1\n")
	f.Add("No active iSCSI Session for Initiator Endpoint: iqn.a\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseInfo(text)
		if ok && (s.ID == "" || len(s.ISID) != 12) {
			t.Errorf("session %+v", s)
		}
		for _, name := range dynamicSessions(text) {
			if name == "" {
				t.Error("an initiator without a name")
			}
		}
	})
}

func TestInfo(t *testing.T) {
	s, ok := parseInfo("LIO Session ID: 7   ISID: 0x00 02 3d 00 00 01  TSIH: 1  SessionType: Normal\n   Address [2001:db8::1]:51000 TCP  StatSN: 0x1\n")
	if !ok || s.ID != "7" || s.ISID != "00023d000001" || s.Address != "2001:db8::1" {
		t.Errorf("%+v, %v", s, ok)
	}
	if got := dynamicSessions("iqn.a\n\x00iqn.b\n\x00"); !slices.Equal(got, []string{"iqn.a", "iqn.b"}) {
		t.Errorf("dynamic sessions %q", got)
	}
}
