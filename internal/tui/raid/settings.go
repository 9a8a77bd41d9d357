package raid

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// settings asks for how an array works.
func settings(d *frame.Desk, x array) {
	if x.Level == "0" {
		d.Say("Not with RAID 0", "RAID 0 has no redundancy: checks, speed limits and a bitmap do not go with it.")
		return
	}
	text := func(s config.Size) string {
		if s == 0 {
			return ""
		}
		return s.String()
	}
	check, repair, bitmap := x.Check, x.Repair, x.Bitmap != "none"
	if check == "" {
		check = "monthly"
	}
	least, most := text(x.SpeedMin), text(x.SpeedMax)
	var names []string
	paths := map[string]string{}
	for _, m := range x.members() {
		if strings.HasPrefix(m.Place, "disk ") && m.Path != "" {
			names = append(names, m.ID)
			paths[m.ID] = m.Path
		}
	}
	var last []string
	for _, n := range names {
		if slices.Contains(x.WriteMostly, paths[n]) {
			last = append(last, n)
		}
	}
	f := &frame.Form{Title: "Settings of " + x.Name, Command: "esos array set " + x.Name + " --check weekly --repair --speed-min 50MiB",
		Intro: fmt.Sprintf("RAID %s, %s. It stays in use.", x.Level, x.State()), Help: "How an array works; what is not changed stays."}
	f.Fields = []frame.Field{
		{Label: "Check", One: &check, Options: frame.Options("weekly", "monthly", "never"), Hint: "How often all of it is read and compared by itself. One array is checked at a time."},
		{Label: "Checks repair", Yes: &repair, Hint: "A check corrects what differs, rather than counting it only."},
		{Label: "Least speed", Text: &least, Check: frame.Size(true), Hint: "A second, that a resync gets though others want the disks, such as 10MiB. Empty: the kernel's."},
		{Label: "Most speed", Text: &most, Check: mostSpeed(&least), Hint: "A second, that a resync takes at most, such as 200MiB. Empty: the kernel's."},
		{Label: "Bitmap", Yes: &bitmap, Show: func() bool { return x.Journal == "" }, Hint: "Write-intent bitmap: a resync after a crash, and a disk that was away for a while, take minutes rather than hours."},
		{Label: "Write-mostly", Many: &last, Options: frame.Options(names...), Show: func() bool { return x.Level == "1" }, Hint: "Disks that are read from only if the others fail: slower ones.",
			Check: func(string) error {
				if len(last) > 0 && len(last) == len(names) {
					return fmt.Errorf("leave a disk to read from")
				}
				return nil
			}},
	}
	f.Do = func() {
		change := func(a *config.Array) error {
			if a.Check != "" || check != "monthly" {
				a.Check = check
			}
			a.Repair = repair
			a.SpeedMin, a.SpeedMax = optionalSize(least), optionalSize(most)
			if !bitmap && x.Journal == "" {
				a.Bitmap = "none"
			} else if a.Bitmap == "none" {
				a.Bitmap = ""
			}
			if a.Level == "1" {
				a.WriteMostly = nil
				for _, n := range last {
					a.WriteMostly = append(a.WriteMostly, paths[n])
				}
			}
			return nil
		}
		will := x.Array.Array
		_ = change(&will) // it refuses nothing
		d.Change(frame.Change{Why: "esos array set " + x.Name + words(config.Array{Bitmap: will.Bitmap, Check: will.Check, Repair: will.Repair, SpeedMin: will.SpeedMin, SpeedMax: will.SpeedMax, WriteMostly: will.WriteMostly}),
			From: f, Edit: edit(x, change)})
	}
	d.Form(f)
}
