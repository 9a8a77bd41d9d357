package hardware

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host/hwraid"
	"github.com/esos-project/esos/internal/tui/frame"
)

// controllersNow is what esos hwraid list tells.
type controllersNow struct {
	Programs []struct {
		Name  string `json:"name"`
		Error string `json:"error"`
	} `json:"programs"`
	Controllers []hwraid.Controller `json:"controllers"`
}

// withControllers asks the controllers, and goes on with those that are there.
// Without a program that could be asked, the programs are shown: which one is
// needed, and how it is put in.
func (p programs) withControllers(d *frame.Desk, t task, then func([]hwraid.Controller)) {
	frame.Load(d, "Ask the RAID controllers", func(ctx context.Context) (now controllersNow, err error) {
		out, err := d.CommandOutput(ctx, "hwraid", "list", "--output", "json")
		if err == nil {
			if err = json.Unmarshal([]byte(out), &now); err != nil {
				err = fmt.Errorf("read what esos hwraid list says: %w", err)
			}
		}
		return now, err
	}, func(now controllersNow) {
		if len(now.Controllers) > 0 {
			then(now.Controllers)
			return
		}
		p.list(d, &t)
		var asked, failed []string
		for _, x := range now.Programs {
			asked = append(asked, x.Name)
			if x.Error != "" {
				failed = append(failed, x.Error)
			}
		}
		switch {
		case len(failed) > 0:
			d.Warn("The controllers cannot be asked", strings.Join(failed, "\n\n")+"\n\nThe programs are shown next: r runs one by hand, a puts in another version.")
		case len(asked) > 0:
			d.Say("No controller", strings.Join(asked, " and ")+" found no RAID controller. One of another vendor needs another program: they are shown next.")
		}
	})
}

// find finds a controller.
func find(all []hwraid.Controller, id string) hwraid.Controller {
	for _, c := range all {
		if c.ID == id {
			return c
		}
	}
	return hwraid.Controller{}
}

// controllerOptions are controllers to choose from; why says why one cannot be
// chosen.
func controllerOptions(all []hwraid.Controller, why func(hwraid.Controller) string) []frame.Option {
	var o []frame.Option
	for _, c := range all {
		o = append(o, frame.Option{Value: c.ID, Cells: []string{c.ID, c.Model, c.State, c.Serial}, Why: why(c)})
	}
	return o
}

// first is the first option that can be chosen.
func first(all []frame.Option) string {
	if i := slices.IndexFunc(all, func(o frame.Option) bool { return o.Why == "" }); i >= 0 {
		return all[i].Value
	}
	return ""
}

// nothing says why none of the controllers can be chosen, if that is so.
func nothing(d *frame.Desk, all []frame.Option) bool {
	if first(all) != "" {
		return false
	}
	var why []string
	for _, o := range all {
		why = append(why, o.Value+": "+o.Why+".")
	}
	d.Say("No drive", strings.Join(why, "\n"))
	return true
}

// driveOptions are the drives of a controller to choose from.
func driveOptions(c hwraid.Controller, why func(hwraid.Drive) string) []frame.Option {
	o := []frame.Option{}
	for _, k := range c.Drives {
		o = append(o, frame.Option{Value: k.Place, Cells: []string{k.Place, k.Size, strings.TrimSpace(k.Interface + " " + k.Medium), k.State, k.Model, k.Serial}, Why: why(k)})
	}
	return o
}

func driveColumns() []string {
	return []string{"drive", "size", "kind", "state", "model", "serial"}
}

func freeDrive(k hwraid.Drive) string { return k.Why }

func spareDrive(k hwraid.Drive) string {
	if !k.Spare {
		return fmt.Sprintf("it is no hot spare (its state is %s)", k.State)
	}
	return ""
}

// has says why a controller has nothing for what is to be done.
func has(why func(hwraid.Drive) string, nothing string) func(hwraid.Controller) string {
	return func(c hwraid.Controller) string {
		switch {
		case c.Why != "":
			return c.Why
		case !slices.ContainsFunc(c.Drives, func(k hwraid.Drive) bool { return why(k) == "" }):
			return nothing
		}
		return ""
	}
}

// controllerField is the field for the controller. changed is called when another
// one was chosen.
func controllerField(id *string, options []frame.Option, changed func()) frame.Field {
	return frame.Field{Label: "Controller", One: id, Options: options, Columns: []string{"controller", "model", "state", "serial"}, Check: frame.Needed, Changed: changed,
		Hint: "All that is chosen below is at this controller."}
}

// runHardware runs a command about controllers. What it said is read first; then
// the form goes, too, if it has ended well.
func runHardware(d *frame.Desk, f *frame.Form, title string, args ...string) {
	well := false
	page := d.CommandFrom(title, strings.NewReader(""), func() { well = true }, append([]string{"hwraid"}, args...)...)
	gone := page.Gone
	page.Gone = func() {
		gone()
		if well {
			d.Close(f)
		}
	}
}
