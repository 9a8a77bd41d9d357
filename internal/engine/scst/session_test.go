package scst

import (
	"context"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

func TestSessions(t *testing.T) {
	for name, o := range modes() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, o)
			b.serve()
			b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"}, config.LUN{LUN: 1, Device: "d1"})
			before := time.Now()
			b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: alice, SID: "10000023d0200", Address: "127.0.0.1", Portal: "127.0.0.1"})
			second := b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: alice, SID: "10180023d0200", Address: "[0000:0000:0000:0000:0000:0000:0000:0001]", Portal: "[0000:0000:0000:0000:0000:0000:0000:0001]"})
			b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: bob, SID: "7", Address: "127.0.0.1"})
			at := tgt + "/sessions/" + second
			for file, n := range map[string]int{"read_cmd_count": 3, "read_io_count_kb": 12, "write_cmd_count": 5, "write_io_count_kb": 7, "none_cmd_count": 9, "bidi_cmd_count": 1, "active_commands": 2} {
				b.kernel.Count(at+"/"+file, n)
			}
			got, err := b.Sessions(t.Context())
			b.ok(err)
			if len(got) != 3 {
				t.Fatalf("sessions %+v", got)
			}
			s := got[1]
			if s.Since.Before(before) {
				t.Errorf("since %s", s.Since)
			}
			want := engine.Session{
				ID: "iscsi," + iqn + "," + second + ",10180023d0200", Target: iqn, Group: "g", Initiator: alice, ISID: "00023d028001", Address: "::1", Portal: "", Since: s.Since,
				LUNs: 2, Active: 2, Counters: engine.Counters{Reads: 3, Writes: 5, Other: 10, ReadBytes: 12 << 10, WriteBytes: 7 << 10},
			}
			if s != want {
				t.Errorf("session %+v, want %+v", s, want)
			}
			if got[0].Portal != "main" || got[0].ISID != "00023d020000" || got[2].Group != "" || got[2].LUNs != 0 {
				t.Errorf("sessions %+v, %+v", got[0], got[2])
			}
			again, err := b.Sessions(t.Context())
			if err != nil || again[1].Since != s.Since {
				t.Errorf("since %s, %v before", again[1].Since, s.Since)
			}
			// Its name goes to another session, which is not closed.
			b.kernel.Logout("iscsi/"+iqn, second)
			b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: alice, SID: "9", Address: "127.0.0.1"})
			b.ok(b.CloseSession(t.Context(), s.ID))
			if got, err = b.Sessions(t.Context()); err != nil || len(got) != 3 {
				t.Errorf("sessions %+v, %v", got, err)
			}
			b.ok(b.CloseSession(t.Context(), got[1].ID))
			for n := 0; len(got) != 2; n++ {
				if got, err = b.Sessions(t.Context()); err != nil || n > 9 {
					t.Fatalf("sessions %+v, %v", got, err)
				}
			}
			b.ok(b.CloseSession(t.Context(), "nonsense"))
		})
	}
}

// SCST counts by session: what is told of LUNs follows from that.
func TestStatistics(t *testing.T) {
	b := newBench(t, scstfake.Options{})
	b.serve()
	b.group("one", []string{alice}, config.LUN{LUN: 3, Device: "d0"})
	b.group("two", []string{bob}, config.LUN{LUN: 0, Device: "d1"}, config.LUN{LUN: 1, Device: "d2"})
	for i, name := range []string{alice, alice, bob} {
		s := b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: name, SID: "1", Address: "127.0.0.1"})
		b.kernel.Count(tgt+"/sessions/"+s+"/read_cmd_count", 10+i)
		b.kernel.Count(tgt+"/sessions/"+s+"/write_io_count_kb", 1)
	}
	st, err := b.Statistics(t.Context())
	b.ok(err)
	if len(st.LUNs) != 3 {
		t.Fatalf("statistics %+v", st)
	}
	want := engine.LUNStatistics{Target: iqn, Group: "one", LUN: 3, Device: "d0", Counters: engine.Counters{Reads: 21, WriteBytes: 2048}}
	if st.LUNs[0] != want {
		t.Errorf("statistics %+v, want %+v", st.LUNs[0], want)
	}
	if st.LUNs[1].Counters != (engine.Counters{}) {
		t.Errorf("of one LUN of two there is nothing to tell: %+v", st.LUNs[1])
	}
}

func TestEvents(t *testing.T) {
	b := newBench(t, scstfake.Options{EAGAIN: true})
	b.serve()
	ctx, cancel := context.WithCancel(t.Context())
	events, err := b.Events(ctx)
	b.ok(err)
	await := func(kind string) {
		t.Helper()
		select {
		case e := <-events:
			if e.Kind != kind || e.Object != iqn || e.Detail["initiator"] != alice || e.Detail["address"] != "127.0.0.1" || e.Time.IsZero() || e.Message == "" {
				t.Errorf("event %+v, want %s", e, kind)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no event %s", kind)
		}
	}
	name := b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: alice, SID: "1", Address: "127.0.0.1"})
	await("session.opened")
	b.kernel.Logout("iscsi/"+iqn, name)
	await("session.closed")
	cancel()
	for range events { // it is closed
	}
}

// TestStop takes away what is ours, and nothing else.
func TestStop(t *testing.T) {
	for name, o := range modes() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, machine(o))
			b.daemon.kernel.StartDaemon()
			b.daemon.port = 3260
			theirs := iqn + ":theirs"
			for _, w := range [][2]string{
				{"targets/iscsi/mgmt", "add_target " + theirs}, {"handlers/vdisk_nullio/mgmt", "add_device theirs"},
				{"targets/iscsi/" + theirs + "/luns/mgmt", "add theirs 0"},
			} {
				b.mu.Lock()
				err := b.k.write(t.Context(), w[0], w[1])
				b.mu.Unlock()
				b.ok(err)
			}
			empty := b.observed()
			if s, ok := empty.(engine.State); !ok || !s.Foreign["target/"+theirs] || !s.Foreign["device/theirs"] || !s.Shared {
				t.Errorf("it is not told as somebody else's: %+v", empty)
			}
			b.start()
			if !b.TookUp() || b.Name() != "scst" {
				t.Error("what was there was not noticed")
			}
			everything(b)
			b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: alice, SID: "1", Address: "127.0.0.1"})
			b.ok(b.Close())
			b.ok(b.Stop(t.Context()))
			if got := b.observed(); !equalState(got, empty) {
				t.Errorf("left: %+v, want %+v", got, empty)
			}
			b.ok(b.Stop(t.Context()))
		})
	}
}
