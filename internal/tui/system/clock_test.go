package system

import (
	"slices"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
)

func TestClock(t *testing.T) {
	t.Parallel()
	t.Run("S12 date and time", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Date/Time Settings")
		c.Wait("It is 2026-11-28 09:30:00 +00:00, UTC.")
		golden(c, "clock")
		c.Type(" ")
		c.Wait("Asia/Tokyo")
		golden(c, "clock_zones")
		c.Type("berl")
		c.Enter()
		c.Type(" ")
		c.Golden("choose_clock_is_set_by")
		c.Escape()
		choose(c, "named")
		c.Type("bad host")
		c.Field("ntp1.example.com, 2001:db8::123")
		golden(c, "clock_servers")
		c.Enter()
		c.Wait("esos clock set-timezone Europe/Berlin; esos clock set-ntp ntp1.example.com")
		c.CarryOut()
		if k := a.Document().Clock; k.Timezone != "Europe/Berlin" || !slices.Equal(k.NTP, []string{"ntp1.example.com", "2001:db8::123"}) {
			t.Errorf("the clock is %+v", k)
		}
		// By hand: the servers go first, then it is set.
		open(t, c, "Date/Time Settings")
		c.Wait("10:30:00 +01:00, Europe/Berlin")
		tab(c, 1)
		choose(c, "hand")
		c.Type("tomorrow")
		c.Shows("a date such as 2026-11-28")
		c.Field("2026-11-29")
		c.Type("25:00:00")
		c.Shows("a time such as 09:30:00")
		c.Field("08:15:30")
		golden(c, "clock_hand")
		c.Enter()
		c.Wait("esos clock set-ntp --off")
		c.CarryOut()
		c.Wait("Set the clock?")
		c.Golden("set_the_clock")
		c.Shows("To 2026-11-29 08:15:30 +01:00, Europe/Berlin.")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Wait("the clock is set")
		want := time.Date(2026, 11, 29, 7, 15, 30, 0, time.UTC)
		now, err := a.Client.Clock(t.Context())
		if err != nil || !now.Time.Equal(want) || now.Sync {
			t.Errorf("the clock is %+v, %v", now, err)
		}
		// Once more: nothing else changes, and it is only the time of day.
		before := a.Revisions()
		open(t, c, "Date/Time Settings")
		tab(c, 3)
		c.Field("09:00:00")
		c.Enter()
		c.Wait("Set the clock?")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Gone("Date/Time Settings")
		now, err = a.Client.Clock(t.Context())
		if err != nil || !now.Time.Equal(time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)) || a.Revisions() != before {
			t.Errorf("the clock is %+v, %v; %d revisions, %d before", now, err, a.Revisions(), before)
		}
	})
}
