package raid

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/tui/frame"
)

// check asks for what is to be done to all of an array, and begins it.
func check(d *frame.Desk, x array) {
	if x.Level == "0" {
		d.Say("Not with RAID 0", "RAID 0 has no copies and no parity that could be compared.")
		return
	}
	begin := func(action, word string) func() {
		return func() {
			d.Do("Check "+x.Name, func(ctx context.Context) error { return d.Client().CheckArray(ctx, x.Name, action) },
				func() { d.Toast(frame.Good, word) })
		}
	}
	if x.Now != nil && (x.Now.Sync.Action == "check" || x.Now.Sync.Action == "repair") {
		d.Ask("End the check of "+x.Name+"?", fmt.Sprintf("Array %s is being read and compared: %s. What was found so far is kept.", x.Name, x.sync()),
			"End it", begin("idle", "The check of "+x.Name+" is ended."))
		return
	}
	d.Choose("Check "+x.Name+"?", fmt.Sprintf("All of array %s (RAID %s, %s) is read, and its copies or its parity are compared. It stays in use, and is slower meanwhile; Linux MD Status shows how far that is.\n\n"+
		"Check counts what differs. Repair corrects it: parity from the data, other copies from the first one.", x.Name, x.Level, x.State()),
		frame.Answer{Text: "Cancel", Do: func() {}},
		frame.Answer{Text: "Check", Do: begin("check", "Array "+x.Name+" is being checked.")},
		frame.Answer{Text: "Repair", Do: begin("repair", "Array "+x.Name+" is being repaired.")})
}
