package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) clock() *cobra.Command {
	c := &cobra.Command{
		Use: "clock", Short: "The appliance's date, time, time zone and time servers",
		Long: "The appliance's date, time, time zone and time servers. Without servers of your own\nit asks those that DHCP names, else Debian's.",
	}
	c.AddCommand(a.clockShow(), a.clockTimezone(), a.clockNTP(), a.clockSet())
	return c
}

func (a *app) clockShow() *cobra.Command {
	type shown struct {
		v1.ClockState
		Declared config.Clock `json:"declared"`
	}
	return &cobra.Command{
		Use: "show", Short: "Show the clock", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			doc, err := a.fetch(c)
			if err != nil {
				return err
			}
			return a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
				now, err := c.Clock(ctx)
				if err != nil {
					return err
				}
				return a.print(shown{now, doc.Clock}, func(t *table) {
					t.pair("time", now.Time.Format("2006-01-02 15:04:05 -0700"))
					t.pair("time zone", now.Timezone)
					t.pair("time servers asked", yesNo(now.Sync))
					t.pair("synchronized", yesNo(now.Synchronized))
					t.pair("server", now.Server)
					t.pair("declared servers", strings.Join(doc.Clock.NTP, " "))
				})
			})(c, nil)
		},
	}
}

func (a *app) clockTimezone() *cobra.Command {
	c := &cobra.Command{
		Use: "set-timezone ZONE", Short: "Set the time zone", Args: cobra.ExactArgs(1),
		Example: "  esos clock set-timezone Europe/Berlin\n  esos clock set-timezone UTC",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		doc.Clock.Timezone = args[0]
		return nil
	})
}

func (a *app) clockNTP() *cobra.Command {
	var off bool
	c := &cobra.Command{
		Use: "set-ntp [SERVER...]", Short: "Name the time servers; none given: those of DHCP or Debian", Args: cobra.ArbitraryArgs,
		Example: "  esos clock set-ntp ntp1.example.com ntp2.example.com\n  esos clock set-ntp --off",
	}
	c.Flags().BoolVar(&off, "off", false, "ask no time server; the clock is set by hand")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		if off && len(args) > 0 {
			return usageError{errors.New("give either time servers or --off")}
		}
		doc.Clock.NTP, doc.Clock.NTPDisabled = args, off
		return nil
	})
}

func (a *app) clockSet() *cobra.Command {
	return &cobra.Command{
		Use: "set TIME", Short: "Set the clock by hand, where no time server is asked", Args: cobra.MinimumNArgs(1),
		Long: `Set the clock by hand. TIME is 2006-01-02 15:04:05 or 15:04:05 in the appliance's time
zone, or 2006-01-02T15:04:05Z. It is refused while time servers are asked; 'esos clock
set-ntp --off' ends that.`,
		Example: "  esos clock set 2026-11-28 09:30:00",
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			now, err := c.Clock(ctx)
			if err != nil {
				return err
			}
			t, err := parseTime(strings.Join(args, " "), now.Time)
			if err != nil {
				return usageError{err}
			}
			return c.SetClock(ctx, t)
		}),
	}
}

// parseTime reads a time as people write it; now has the appliance's day and
// offset.
func parseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	zone := now.Location()
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, zone), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write it like 2026-11-28 09:30:00", text)
}
