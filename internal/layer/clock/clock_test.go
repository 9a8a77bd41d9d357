package clock

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/clock"
	"github.com/esos-project/esos/internal/layer/layertest"
	"github.com/esos-project/esos/internal/plan"
)

// machine is a host's clock.
type machine struct {
	clock.Settings
	err  error // of Settings
	fail bool  // the next Set does half of what it should
}

var errFault = errors.New("the machine does not want to")

type fake struct{ *machine }

func (f fake) Settings(context.Context) (clock.Settings, error) { return f.machine.Settings, f.err }
func (fake) HasTimezone(name string) bool                       { return strings.HasPrefix(name, "Europe/") }

func (f fake) Set(_ context.Context, want clock.Settings) error {
	f.machine.Settings.Timezone = want.Timezone
	if f.fail {
		f.machine.fail = false
		return errFault
	}
	f.machine.Settings = want
	return nil
}

func planned(t *testing.T, m *machine, inForce, declared config.Clock) *plan.Plan {
	t.Helper()
	return layertest.Planned(t, Layer{Machine: fake{m}}, &config.Document{Clock: declared}, &config.Document{Clock: inForce})
}

func TestPlans(t *testing.T) {
	image := clock.Settings{Timezone: "UTC", Sync: true}
	for name, c := range map[string]struct {
		have     clock.Settings
		declared config.Clock
		text     string
	}{
		"nothing declared":   {image, config.Clock{}, "no changes\n"},
		"as it is":           {clock.Settings{Timezone: "Europe/Rome", Servers: []string{"a"}, Sync: true}, config.Clock{Timezone: "Europe/Rome", NTP: []string{"a"}}, "no changes\n"},
		"time zone":          {image, config.Clock{Timezone: "Europe/Rome"}, "~ Set up the clock: time zone\n      timezone: UTC -> Europe/Rome\n"},
		"servers":            {image, config.Clock{NTP: []string{"a", "b"}}, "~ Set up the clock: time servers\n      ntp: (default) -> a, b\n"},
		"other order":        {clock.Settings{Timezone: "UTC", Servers: []string{"a", "b"}, Sync: true}, config.Clock{NTP: []string{"b", "a"}}, "~ Set up the clock: time servers\n      ntp: a, b -> b, a\n"},
		"by hand":            {clock.Settings{Timezone: "UTC", Servers: []string{"a"}, Sync: true}, config.Clock{NTPDisabled: true}, "~ Set up the clock: synchronization, time servers\n      ntp_disabled: (default) -> true\n      ntp: a -> (default)\n"},
		"asked again":        {clock.Settings{Timezone: "Europe/Rome"}, config.Clock{Timezone: "Europe/Rome"}, "~ Set up the clock: synchronization\n      ntp_disabled: true -> (default)\n"},
		"no such time zone":  {image, config.Clock{Timezone: "Mars/Olympus"}, "  refused: clock: this machine knows no time zone Mars/Olympus; 'ls /usr/share/zoneinfo' there shows which it knows\n"},
		"unknown is nothing": {clock.Settings{Sync: true}, config.Clock{Timezone: "Europe/Rome"}, "~ Set up the clock: time zone\n      timezone: (default) -> Europe/Rome\n"},
	} {
		m := &machine{Settings: c.have}
		p := planned(t, m, config.Clock{}, c.declared)
		text := p.Text(nil)
		if !p.Empty() {
			text = text[:strings.LastIndex(text, "1 step:")]
		}
		if diff := cmp.Diff(c.text, text); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(p.Problems) > 0 {
			continue
		}
		if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if left := planned(t, m, c.declared, c.declared); !left.Empty() {
			t.Errorf("%s: still to do:\n%s", name, left.Text(nil))
		}
	}
}

func TestFault(t *testing.T) {
	want := config.Clock{Timezone: "Europe/Rome", NTP: []string{"a"}}
	m := &machine{Settings: clock.Settings{Timezone: "UTC", Sync: true}, fail: true}
	_, err := plan.Runner{}.Run(t.Context(), planned(t, m, config.Clock{}, want))
	if !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	if m.Settings.Timezone != "UTC" || len(m.Settings.Servers) > 0 {
		t.Errorf("not undone: %+v", m.Settings)
	}
	if _, err := (plan.Runner{}).Run(t.Context(), planned(t, m, config.Clock{}, want)); err != nil {
		t.Fatal(err)
	}
	if m.Settings.Timezone != "Europe/Rome" || !slices.Equal(m.Settings.Servers, []string{"a"}) {
		t.Errorf("the next try leaves %+v", m.Settings)
	}
}

// What was declared before and cannot be had now is told, and refuses nothing.
func TestDeclaredBefore(t *testing.T) {
	m := &machine{err: errFault}
	want := config.Clock{Timezone: "Europe/Rome"}
	if p := planned(t, m, want, want); len(p.Problems) > 0 || len(p.Notes) != 1 || !p.Notes[0].Degraded {
		t.Errorf("problems %v, notes %v", p.Problems, p.Notes)
	}
	if p := planned(t, m, config.Clock{}, want); len(p.Problems) != 1 {
		t.Errorf("a wish that cannot be had: %v", p.Problems)
	}
}
