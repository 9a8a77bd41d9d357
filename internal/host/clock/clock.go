// Package clock is the gate to the machine's clock: its time zone, the time
// servers that are asked, and the time itself.
package clock

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/units"
)

// Settings are how a machine's clock is set up.
type Settings struct {
	Timezone string   // "" is not known, or none
	Servers  []string // time servers that were named by us; others are asked when empty
	Sync     bool     // whether time servers are asked
}

// Machine is a machine's clock, kept by systemd-timesyncd.
type Machine struct {
	Root  string // of its file system; / when empty
	Units Units
}

// Units is the part of units.Systemd that this works with.
type Units interface {
	Look(ctx context.Context, names ...string) ([]units.Unit, error)
	Enable(ctx context.Context, names ...string) error
	Disable(ctx context.Context, names ...string) error
	Stop(ctx context.Context, names ...string) error
	Restart(ctx context.Context, names ...string) error
}

const (
	zoneDir      = "/usr/share/zoneinfo"
	localtime    = "/etc/localtime"
	timezoneFile = "/etc/timezone" // Debian's; nearly nobody reads it any more
	timesyncd    = "systemd-timesyncd.service"
	// Ours alone: what an administrator writes beside it is left.
	timesyncdConf = "/etc/systemd/timesyncd.conf.d/50-esos.conf"
)

func (c Machine) path(name string) string { return filepath.Join("/", c.Root, name) }

// Settings reads how the clock is set up.
func (c Machine) Settings(ctx context.Context) (Settings, error) {
	s, err := c.files()
	if err != nil {
		return s, err
	}
	found, err := c.Units.Look(ctx, timesyncd)
	if err != nil {
		return s, fmt.Errorf("look at the clock: %w", err)
	}
	s.Sync = len(found) == 1 && found[0].Enabled()
	return s, nil
}

func (c Machine) files() (Settings, error) {
	var s Settings
	link, err := os.Readlink(c.path(localtime))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.Timezone = "UTC" // localtime(5)
	case err != nil:
		// A copy of a zone's file: it works, but does not say which it is.
	default:
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(localtime), link)
		}
		if name, err := filepath.Rel(zoneDir, link); err == nil && filepath.IsLocal(name) {
			s.Timezone = name
		}
	}
	text, err := os.ReadFile(c.path(timesyncdConf))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("look at the clock: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if servers, ok := strings.CutPrefix(lines.Text(), "NTP="); ok {
			s.Servers = strings.Fields(servers)
		}
	}
	return s, nil
}

// HasTimezone says whether the machine knows a time zone.
func (c Machine) HasTimezone(name string) bool {
	if !filepath.IsLocal(name) {
		return false
	}
	f, err := os.Open(c.path(filepath.Join(zoneDir, name)))
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = f.Read(magic)
	return err == nil && string(magic) == "TZif" // RFC 9636 3.1
}

// Set sets the clock up. An empty time zone leaves the one that is there. What
// is as it should be is not touched.
func (c Machine) Set(ctx context.Context, want Settings) error {
	have, err := c.Settings(ctx)
	if err != nil {
		return err
	}
	if want.Timezone != "" && want.Timezone != have.Timezone {
		if err := c.setTimezone(want.Timezone); err != nil {
			return fmt.Errorf("set time zone %s: %w", want.Timezone, err)
		}
	}
	servers := !slices.Equal(want.Servers, have.Servers)
	if servers {
		if err := c.setServers(want.Servers); err != nil {
			return fmt.Errorf("name time servers: %w", err)
		}
	}
	switch {
	case !want.Sync:
		// Stopped first: once it is disabled, nothing tells that it still runs.
		if err = c.Units.Stop(ctx, timesyncd); err == nil {
			err = c.Units.Disable(ctx, timesyncd)
		}
	default:
		if err = c.Units.Enable(ctx, timesyncd); err == nil {
			err = c.Units.Restart(ctx, timesyncd)
		}
	}
	if err != nil {
		return fmt.Errorf("set up the synchronization of the clock: %w", err)
	}
	return nil
}

// setTimezone sets the time zone of all programs that are started from now on,
// and of most that run: the C library notices.
func (c Machine) setTimezone(name string) error {
	if !c.HasTimezone(name) {
		return fmt.Errorf("there is no %s", filepath.Join(zoneDir, name))
	}
	etc := c.path("/etc")
	if err := renameio.WriteFile(c.path(timezoneFile), []byte(name+"\n"), 0o644, renameio.IgnoreUmask()); err != nil {
		return err
	}
	if err := renameio.Symlink(filepath.Join("..", zoneDir, name), c.path(localtime)); err != nil {
		return err
	}
	return host.SyncDir(etc)
}

// setServers names the time servers to systemd-timesyncd; none is to have it
// ask those that it knows without us.
func (c Machine) setServers(servers []string) error {
	path := c.path(timesyncdConf)
	if len(servers) == 0 {
		if err := os.Remove(path); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		return host.SyncDir(filepath.Dir(path))
	}
	if err := host.PublicDir(filepath.Dir(path)); err != nil {
		return err
	}
	text := "# Written by ESOS from clock.ntp of its document; changes here are lost.\n[Time]\nNTP=" + strings.Join(servers, " ") + "\nFallbackNTP=\n"
	if err := renameio.WriteFile(path, []byte(text), 0o644, renameio.IgnoreUmask()); err != nil {
		return err
	}
	return host.SyncDir(filepath.Dir(path))
}

// State is what the clock does.
type State struct {
	Time         time.Time
	Timezone     string
	Sync         bool   // time servers are asked
	Synchronized bool   // one has answered
	Server       string // which one; "" when none
}

// State asks what the clock does.
func (c Machine) State(ctx context.Context) (State, error) {
	settings, err := c.Settings(ctx)
	if err != nil {
		return State{}, err
	}
	s := State{Timezone: settings.Timezone, Sync: settings.Sync, Time: time.Now()}
	if zone, err := time.LoadLocation(settings.Timezone); err == nil {
		s.Time = s.Time.In(zone)
	}
	err = onBus(ctx, func(bus *dbus.Conn) error {
		if v, err := bus.Object(timedate, "/org/freedesktop/timedate1").GetProperty(timedate + ".NTPSynchronized"); err == nil {
			s.Synchronized, _ = v.Value().(bool)
		}
		if !s.Sync {
			return nil
		}
		const name = "org.freedesktop.timesync1"
		if v, err := bus.Object(name, "/org/freedesktop/timesync1").GetProperty(name + ".Manager.ServerName"); err == nil {
			s.Server, _ = v.Value().(string)
		}
		return nil
	})
	return s, err
}

// SetTime sets the clock by hand. Only systemd-timedated may, which refuses
// while time servers are asked; it also sets the hardware's clock.
func (c Machine) SetTime(ctx context.Context, t time.Time) error {
	return onBus(ctx, func(bus *dbus.Conn) error {
		const relative, interactive = false, false
		call := bus.Object(timedate, "/org/freedesktop/timedate1").CallWithContext(ctx, timedate+".SetTime", 0, t.UnixMicro(), relative, interactive)
		if call.Err != nil {
			return fmt.Errorf("set the clock to %s: %w", t.Format(time.RFC3339), call.Err)
		}
		return nil
	})
}

const timedate = "org.freedesktop.timedate1"

// onBus does something on the system bus.
func onBus(ctx context.Context, do func(*dbus.Conn) error) error {
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("connect to the system bus: %w", err)
	}
	err = do(bus)
	return errors.Join(err, bus.Close())
}
