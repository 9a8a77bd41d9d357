// Package clock is the layer of the machine's time: its time zone, and the time
// servers that are asked.
package clock

import (
	"context"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/clock"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (clock.Machine).
type Machine interface {
	Settings(ctx context.Context) (clock.Settings, error)
	HasTimezone(name string) bool
	Set(ctx context.Context, want clock.Settings) error
}

// Layer plans the clock.
type Layer struct{ Machine Machine }

// object is what plans call the clock.
const object = "clock"

// patience is how long systemd may take for what is asked of it.
const patience = time.Minute

// Name is clock.
func (Layer) Name() string { return "clock" }

// Declares says whether a document has anything for this layer.
func Declares(d *config.Document) bool { return d.Clock.Declared() }

// Observe reads how the clock is set up, if the document says how it should be.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	if !Declares(declared) {
		return nil
	}
	settings, err := l.Machine.Settings(ctx)
	zone := declared.Clock.Timezone
	seen.Clock = layer.Clock{Settings: settings, Err: err, NoZone: zone != "" && !l.Machine.HasTimezone(zone)}
	return ctx.Err()
}

// Plan sets the clock up.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	if !Declares(declared) {
		return
	}
	switch want := declared.Clock; {
	case seen.Clock.Err != nil:
		seen.Refuse(b, object, want, "%v", seen.Clock.Err)
		return
	case seen.Clock.NoZone:
		seen.Refuse(b, object, want, "this machine knows no time zone %s; 'ls /usr/share/zoneinfo' there shows which it knows", want.Timezone)
		return
	}
	have := seen.Clock.Settings
	want := clock.Settings{Timezone: declared.Clock.Timezone, Servers: declared.Clock.NTP, Sync: !declared.Clock.NTPDisabled}
	if want.Timezone == "" {
		want.Timezone = have.Timezone
	}
	changes := config.Fields(described(have), described(want))
	if len(changes) == 0 {
		return
	}
	set := func(ctx context.Context, s clock.Settings) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return l.Machine.Set(ctx, s)
	}
	b.Add(plan.Step{
		Layer: l.Name(), Object: object, Action: plan.Change, Phase: layer.Machine, Changes: changes,
		Sentence: "Set up the clock: " + sentence(changes),
		Do:       func(ctx context.Context, _ plan.Report) error { return set(ctx, want) },
		Undo:     func(ctx context.Context) error { return set(ctx, have) },
	})
}

// described puts settings into the document's words.
func described(s clock.Settings) config.Clock {
	return config.Clock{Timezone: s.Timezone, NTP: s.Servers, NTPDisabled: !s.Sync}
}

func sentence(changes []config.FieldChange) string {
	words := map[string]string{"timezone": "time zone", "ntp": "time servers", "ntp_disabled": "synchronization"}
	var list []string
	for _, c := range changes {
		list = append(list, words[c.Field])
	}
	return strings.Join(list, ", ")
}
