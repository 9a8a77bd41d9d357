package upkeep

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/tui/frame"
)

// trial is what 'esos upgrade status' says.
type trial struct {
	Running   string   `json:"running"`
	Version   string   `json:"version"`
	Default   string   `json:"default"`
	Trial     string   `json:"trial"`
	BootsLeft *int     `json:"boots_left"`
	OnTrial   bool     `json:"on_trial"`
	Passed    bool     `json:"passed"`
	Waits     []string `json:"waits"`
	Last      *struct {
		Slot     string    `json:"slot"`
		Version  string    `json:"version"`
		From     string    `json:"from"`
		Rollback bool      `json:"rollback"`
		When     time.Time `json:"when"`
		Failed   *struct {
			When time.Time `json:"when"`
			Why  string    `json:"why"`
		} `json:"failed"`
	} `json:"last"`
}

// says is how the trial goes, in sentences.
func (t trial) says() string {
	var s []string
	say := func(format string, args ...any) { s = append(s, fmt.Sprintf(format, args...)) }
	say("ESOS %s runs from slot %s.", t.Version, t.Running)
	switch {
	case t.OnTrial && t.Passed:
		say("It is healthy, and becomes the default as soon as the medium can be written.")
	case t.OnTrial:
		say("It is on trial: if it is not healthy in time, the machine goes back to the version of before.")
		for _, w := range t.Waits {
			say("It waits for: %s.", w)
		}
	case t.Trial != "":
		say("The next boot tries slot %s.", t.Trial)
	}
	if t.Last != nil && t.Last.Failed != nil {
		what := "upgrade"
		if t.Last.Rollback {
			what = "rollback"
		}
		say("The last %s, from ESOS %s to %s, failed at %s: %s", what, t.Last.From, t.Last.Version, when(t.Last.Failed.When), t.Last.Failed.Why)
	}
	return strings.Join(s, "\n")
}

func readTrial(d *frame.Desk, then func(trial)) {
	frame.Load(d, "Look at the slots", func(ctx context.Context) (trial, error) {
		var t trial
		return t, answer(ctx, d, &t, "upgrade", "status")
	}, then)
}

// upgrade puts another version on the medium. While a version is on trial it
// first asks what is to become of that.
func upgrade(d *frame.Desk) {
	readTrial(d, func(t trial) {
		if !t.OnTrial || t.Passed {
			askUpgrade(d, t)
			return
		}
		d.Choose("A version is on trial", t.says()+"\n\nOnce it is healthy it stays by itself. Keep says so in its place, if something is missing that will not come back.",
			frame.Answer{Text: "Wait", Do: func() {}},
			frame.Answer{Text: "Keep it", Do: func() { confirmTrial(d, nil) }},
			frame.Answer{Text: "Go back", Do: func() { rollBack(d) }},
			frame.Answer{Text: "Another upgrade", Do: func() { askUpgrade(d, t) }})
	})
}

func confirmTrial(d *frame.Desk, done func()) {
	d.Ask("Keep the version that runs?", "It is what boots from now on, whatever its trial found.", "Keep it",
		func() { d.Command("Keep the version that runs", done, "upgrade", "confirm") })
}

func askUpgrade(d *frame.Desk, t trial) {
	var source string
	var reboot bool
	f := &frame.Form{Title: "Upgrade", Command: "esos upgrade FILE|URL", Submit: "Upgrade",
		Intro: t.says() + " The new version goes into the other slot; this one stays, and is back by itself if the new one is not healthy.",
		Fields: []frame.Field{
			{Label: "File or address", Text: &source, Check: upgradeSource,
				Hint: "Such as https://files.example.com/esos-1.1.upgrade, or the whole path of a file. Its signature is checked first."},
			{Label: "Reboot into it at once", Yes: &reboot, Hint: "No: it waits until somebody reboots. Initiators lose their disks while the machine starts."},
		}}
	f.Do = func() {
		args := []string{"upgrade", source}
		if reboot {
			args = append(args, "--reboot")
		}
		answered(d, "Upgrade", "Write this version to the medium?", "Write it", f, args...)
	}
	d.Form(f)
}

func upgradeSource(s string) error {
	if strings.Contains(s, "://") {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("an address such as https://files.example.com/esos-1.1.upgrade")
		}
		return nil
	}
	return filePath(s)
}

// answered runs a command that shows what it would do and then asks; the answer
// is given with y, after another question.
func answered(d *frame.Desk, title, question, yes string, f *frame.Form, args ...string) {
	in, answer := io.Pipe()
	page := runFrom(d, f, title, in, args...)
	gone := page.Gone
	page.Gone = func() {
		_ = answer.Close() // the command reads the end of its input: nothing is changed
		_ = in.Close()     // and nobody waits for it to read an answer
		gone()
	}
	page.Help = "What the command prints. When it asks, y answers yes; leaving this screen before that changes nothing."
	page.Keys = []frame.PageKey{{Key: 'y', Does: "yes, go on", Do: func() {
		if !strings.HasSuffix(page.Text, "[y/N] ") {
			d.Toast(frame.Warn, "It did not ask yet, or has its answer.")
			return
		}
		d.Ask(question, "What it would do stands above. Do not switch the machine off while it writes.", yes, func() {
			page.Append("y\n")
			go func() { _, _ = io.WriteString(answer, "y\n") }() // waits until it is read
		})
	}}}
}

// rollBack boots the other version from now on.
func rollBack(d *frame.Desk) {
	settings := "now"
	var reboot bool
	f := &frame.Form{Title: "Roll Back", Command: "esos rollback", Submit: "Roll back",
		Intro: "The next boot takes the version in the other slot. It is read and checked first, and tried like an upgrade. What was written to disks is not touched.",
		Fields: []frame.Field{
			{Label: "Settings", One: &settings, Hint: "now: the newest, which is safe as a rule. then: those that the other version last ran with; later changes are left out.",
				Options: []frame.Option{{Value: "now", Cells: []string{"now", "the newest settings"}}, {Value: "then", Cells: []string{"then", "those that it last ran with"}}}},
			{Label: "Reboot into it at once", Yes: &reboot, Hint: "No: it waits until somebody reboots. Initiators lose their disks while the machine starts."},
		}}
	f.Do = func() {
		args := []string{"rollback", "--settings", settings}
		text := "The next boot takes the other version of ESOS."
		if reboot {
			args = append(args, "--reboot")
			text += " The machine reboots at once: initiators lose their disks while it starts."
		}
		d.Ask("Roll back?", text, "Roll back", func() { run(d, f, "Roll back", args...) })
	}
	d.Form(f)
}

// slotInfo is one of those that 'esos slot list' shows.
type slotInfo struct {
	Slot       string    `json:"slot"`
	Version    string    `json:"version"`
	Built      time.Time `json:"built"`
	Kernel     string    `json:"kernel"`
	Running    bool      `json:"running"`
	Default    bool      `json:"default"`
	Left       *int      `json:"boots_left"`
	Generation int       `json:"generation"`
	Verified   bool      `json:"verified"`
	Damage     string    `json:"damage"`
}

func (s slotInfo) state() string {
	var words []string
	for _, w := range []struct {
		is   bool
		text string
	}{{s.Damage != "", "DAMAGED"}, {s.Running, "running"}, {s.Left != nil, "on trial"}, {s.Default, "default"}, {s.Damage == "" && s.Verified, "verified"}} {
		if w.is {
			words = append(words, w.text)
		}
	}
	return strings.Join(words, ", ")
}

// slots shows the two copies of ESOS on the medium.
func slots(d *frame.Desk) {
	var l *frame.List
	again := func() { l.Again() }
	l = &frame.List{Title: "Slots", Command: "esos slot list", Once: true,
		Help:    "The two copies of ESOS on the medium: which one runs, which one boots, and whether they are whole. v reads and checks every byte of them.",
		Empty:   "There is no slot.",
		Columns: []frame.Column{{Title: "slot"}, {Title: "version"}, {Title: "state", Wide: true}, {Title: "built"}, {Title: "settings", Right: true}, {Title: "kernel"}},
		Read: rowsOf(d, func(s slotInfo) frame.Row {
			settings, built := "", ""
			if !s.Built.IsZero() {
				built = s.Built.Local().Format(time.DateOnly)
			}
			if s.Generation > 0 {
				settings = fmt.Sprint(s.Generation)
			}
			row := frame.Row{ID: s.Slot, Value: s, Cells: []string{s.Slot, s.Version, s.state(), built, settings, s.Kernel}}
			switch {
			case s.Damage != "":
				row.Level, row.Why = frame.Bad, "Damaged: "+s.Damage
			case s.Running:
				row.Level = frame.Good
			}
			return row
		}, "slot", "list"),
		Keys: []frame.RowKey{
			{Key: 't', Does: "trial", Always: true, Do: func(frame.Row) { showTrial(d, again) }},
			{Key: 'v', Does: "verify", Always: true, Do: func(frame.Row) { d.Command("Verify the slots", again, "slot", "list", "--verify") }},
			{Key: 'u', Does: "upgrade", Always: true, Do: func(frame.Row) { upgrade(d) }},
			{Key: 'r', Does: "roll back", Always: true, Do: func(frame.Row) { rollBack(d) }},
		}}
	d.List(l)
}

// showTrial shows what is tried, and how the last upgrade went.
func showTrial(d *frame.Desk, again func()) {
	readTrial(d, func(t trial) {
		p := &frame.Page{Title: "Trial", Command: "esos upgrade status", Text: t.says() + fmt.Sprintf("\nSlot %s boots by default.", t.Default),
			Help: "What is tried, and how the last upgrade went."}
		if t.BootsLeft != nil {
			p.Append(fmt.Sprintf("\nBoots left to the one that is tried: %d.", *t.BootsLeft))
		}
		p.Keys = []frame.PageKey{{Key: 'k', Does: "keep what runs", Do: func() { confirmTrial(d, again) }}}
		if t.Last != nil && t.Last.Failed != nil {
			p.Keys = append(p.Keys, frame.PageKey{Key: 'd', Does: "dismiss the alert", Do: func() {
				d.Ask("Take the alert away?", "What failed was read, and somebody saw to it.", "Take it away", func() { run(d, p, "Dismiss the alert", "upgrade", "dismiss") })
			}})
		}
		d.Page(p)
	})
}
