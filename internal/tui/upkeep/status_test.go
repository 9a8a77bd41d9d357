package upkeep_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

func TestEngineInformation(t *testing.T) {
	t.Parallel()
	t.Run("S9 engine information", func(t *testing.T) {
		s := play(t, apitest.Options{})
		s.a.Engine.SetSessions(engine.Session{ID: "1", Target: "iqn.2026-11.com.example:vault", Initiator: "iqn.1994-05.com.redhat:h1", Active: 3})
		st, err := s.a.Client.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		s.open(t, "Engine Information")
		s.Wait("Up since")
		s.Shows("2 (1 vdisk_memory, 1 vdisk_nullio)")
		s.Shows("1, with 3 commands under way")
		s.Shows("6f1a3f0e-52d1-4a6c-8a0e-0d1c2b3a4f5e")
		s.Golden("engine", append(s.revised(t), local(st.Started), day)...)
		s.a.Engine.SetSessions()
		s.Type("l")
		s.Wait("0, with 0 commands under way")
	})
}

func TestCluster(t *testing.T) {
	t.Parallel()
	t.Run("S10 CRM status", func(t *testing.T) {
		s := play(t, apitest.Options{})
		s.open(t, "CRM Status")
		s.Wait("No cluster is configured on this array: corosync and pacemaker are off.")
		s.Golden("crm")
		services := s.a.Machine.Services()
		_ = services.Restart(context.Background(), "corosync.service") // fails, as corosync without a configuration does
		s.Type("l")
		s.Wait("this node takes no part in it")
		s.Shows("failed")
	})
	t.Run("S11 DRBD status", func(t *testing.T) {
		s := play(t, apitest.Options{Disks: 2})
		s.open(t, "DRBD Status")
		s.Wait("No DRBD resource is configured on this array: DRBD has no block device.")
		s.Golden("drbd")
		s.a.Disks.Add(&storagefake.Device{Name: "drbd0", Type: "disk", Size: 4 << 30, Below: []string{"vda"}})
		s.Type("l")
		s.Wait("drbd0")
		s.Shows("4 GiB")
		s.Golden("drbd-one")
	})
}

func TestAlerts(t *testing.T) {
	s := play(t, apitest.Options{})
	s.open(t, "Alerts")
	s.Wait("there is no alert")
	s.Golden("alerts-none")
	s.a.Alerts.Raise(alert.Alert{ID: "array.degraded", Severity: alert.Critical, Object: "array/r6",
		Message: "array r6 has lost a disk: another one would lose data; put a disk in and say 'esos array replace-disk r6'"})
	s.a.Alerts.Raise(alert.Alert{ID: "mail.waits", Severity: alert.Warning, Object: "mail", Message: "mail waits: no server takes it"})
	s.Wait("array.degraded")
	var pairs []string
	for _, x := range s.a.Alerts.Active() {
		pairs = append(pairs, local(x.Since), day)
	}
	s.Golden("alerts", pairs...)
	s.Enter()
	s.Shows("esos array replace-disk r6")
	s.Golden("alert", pairs...)
	s.Escape()
	s.a.Alerts.Clear("array.degraded", "array.healthy", "array r6 is whole")
	s.Gone("array.degraded")
}

func TestEvents(t *testing.T) {
	s := play(t, apitest.Options{})
	s.open(t, "Events")
	s.Wait("revision 1")
	note := func(kind, object, message string) {
		s.a.Appliance.Note(engine.Event{Time: moment(), Kind: kind, Object: object, Message: message})
	}
	note("session.opened", "target/vault", "h1 logged in")
	s.Wait("session.opened target/vault: h1 logged in")
	note("login.refused", "target/vault", "h2 has the wrong secret")
	s.Wait("h2 has the wrong secret")
	var began []string // when the first revision came into force
	for i := range 60 {
		began = append(began, local(time.Now().Add(-time.Duration(i)*time.Second)), day)
	}
	s.Golden("events-all", began...)
	s.Type("f")
	s.Wait("Only lines that have this text")
	s.Field("REFUSED")
	s.Enter()
	s.Wait("Events with REFUSED")
	s.Gone("h1 logged in")
	s.Golden("events")
	s.Type("f")
	s.Golden("find")
	s.Escape()
	note("login.refused", "target/vault", "h3 is nobody's")
	s.Wait("h3 is nobody's") // it goes on
	// The daemon goes away and comes back: the page goes on by itself.
	s.a.Stop()
	s.Wait("does not answer since")
	s.a.Start()
	s.Wait("answers again")
	note("login.refused", "target/vault", "h4 came after it")
	s.Wait("h4 came after it")
	if n := strings.Count(s.Text(), "h3 is nobody's"); n != 1 {
		t.Errorf("an event is shown %d times after the daemon was back:\n%s", n, s.Text())
	}
}

// counting is an engine whose LUN does the same each second; a second goes by
// from one look to the next.
type counting struct {
	*enginetest.Memory
	mu      sync.Mutex
	seconds int
}

func (c *counting) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return moment().Add(time.Duration(c.seconds) * time.Second)
}

func (c *counting) Statistics(context.Context) (engine.Statistics, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seconds++
	n := uint64(c.seconds)
	counters := engine.Counters{Reads: 1000 * n, ReadBytes: 4096 * 1000 * n, Writes: 500 * n, WriteBytes: 1e6 * n, Other: 1,
		ReadLatency:  engine.Histogram{Sum: time.Duration(n) * 1000 * 80 * time.Microsecond},
		WriteLatency: engine.Histogram{Sum: time.Duration(n) * 500 * 2 * time.Millisecond}}
	counters.ReadLatency.Buckets[3], counters.WriteLatency.Buckets[16] = 1000*n, 500*n
	return engine.Statistics{LUNs: []engine.LUNStatistics{
		{Target: "iqn.2026-11.com.example:vault", Group: "hosts", Device: "db01", Counters: counters},
		{Target: "iqn.2026-11.com.example:vault", LUN: 7, Device: "idle"},
	}}, nil
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	e := &counting{Memory: &enginetest.Memory{}}
	a := apitest.New(t, apitest.Options{Engine: e, Document: document})
	s := &stage{a: a, m: &commands{}, Console: tuitest.New(t, tuitest.Options{Client: a.Client, Now: e.now})}
	s.open(t, "Statistics")
	s.Wait("80µs")
	s.Golden("statistics")
	s.Shows("4.1") // MB/s
	s.Enter()
	s.Golden("counters")
	s.Shows("LUN 0 of target")
	s.Shows("under 128µs")
	s.Shows("longer")
	s.Press(tcell.KeyEscape)
	s.open(t, "Engine Information")
	s.Wait("1 others, 0 errors")
}
