package hardware

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/tui/frame"
)

// programs are the vendors' programs on this machine.
type programs struct{ run runner }

// runner runs a program on the terminal, which is its own meanwhile.
type runner func(ctx context.Context, name string, args []string) error

// program is one of them, as esos raid-cli list tells.
type program struct {
	Name      string `json:"name"`
	Vendor    string `json:"vendor"`
	Installed bool   `json:"installed"`
}

// driven says whether esos hwraid calls it.
func (x program) driven() bool {
	return slices.Contains([]string{"storcli64", "perccli64", "arcconf"}, x.Name)
}

// list shows the programs that are known, and which are here. The task, if
// there is one, is what somebody wants to do with one.
func (p programs) list(d *frame.Desk, t *task) {
	title := "Controllers' programs"
	if t != nil {
		title = t.title + ": which controller?"
	}
	of := func(r frame.Row) program { return r.Value.(program) }
	d.List(&frame.List{
		Title: title, Command: "esos raid-cli list",
		Help: "RAID controllers are set up through their vendors' own programs. These are proprietary; whoever has one puts it in. With storcli64, perccli64 or arcconf the entries of this menu do the work, " +
			"with the others r does, which runs them. " +
			"A controller shows its volumes as disks: how many of the disks look like volumes of a controller, by what they call themselves, is in the list. No controller is asked for that.",
		Columns: []frame.Column{{Title: "program"}, {Title: "here"}, {Title: "volumes", Right: true}, {Title: "controllers", Wide: true}},
		Empty:   "No program is known.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			out, err := d.CommandOutput(ctx, "raid-cli", "list", "--output", "json")
			if err != nil {
				return nil, err
			}
			var all []program
			if err := json.Unmarshal([]byte(out), &all); err != nil {
				return nil, fmt.Errorf("read what esos raid-cli list says: %w", err)
			}
			volumes := map[string]int{}
			// How many there are is only a hint: without it the rest still helps.
			if now, err := d.Client().Storage(ctx); err == nil {
				for _, k := range now.Disks {
					for _, name := range volumeOf(k) {
						volumes[name]++
					}
				}
			}
			var rows []frame.Row
			for _, x := range all {
				r := frame.Row{ID: x.Name, Value: x, Level: frame.Dim, Cells: []string{x.Name, "no", "", x.Vendor}, Why: "It is not here: a puts it in."}
				if x.Installed {
					r.Level, r.Cells[1], r.Why = frame.Plain, "yes", ""
				}
				if n := volumes[x.Name]; n > 0 {
					r.Level, r.Cells[2] = frame.Good, fmt.Sprint(n)
					if !x.Installed {
						r.Level, r.Why = frame.Warn, "Disks of this machine look like its volumes, and it is not here: a puts it in."
					}
				}
				rows = append(rows, r)
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Does: "how", Do: func(r frame.Row) { p.how(d, of(r), t) }},
			{Key: 'r', Does: "run", Do: func(r frame.Row) { p.ask(d, of(r), t) }},
			{Key: 'a', Does: "put in", Do: func(r frame.Row) { p.add(d, of(r)) }},
			{Key: 'd', Does: "take out", Do: func(r frame.Row) { p.remove(d, of(r)) }},
		},
	})
}

// how says what must be done with a program.
func (p programs) how(d *frame.Desk, x program, t *task) {
	v := vendors()[x.Name]
	var b strings.Builder
	if x.driven() {
		fmt.Fprintf(&b, "Controllers of %s are set up through the vendor's own program, %s: the entries of this menu and esos hwraid call it.\n\n", x.Vendor, x.Name)
	} else {
		fmt.Fprintf(&b, "ESOS does not set up controllers of %s itself yet. The vendor's own program does, %s.\n\n", x.Vendor, x.Name)
	}
	title := x.Name
	if t != nil {
		title = t.title + " with " + x.Name
		b.WriteString(t.text + "\n\n")
	}
	if x.Installed {
		b.WriteString("It is on this machine: press r to run it.\n")
	} else {
		b.WriteString("It is not on this machine: press a to put it in from the file in which the vendor ships it.\n")
	}
	if v.show != "" {
		fmt.Fprintf(&b, "\nTo see what there is:\n    %s %s\n", x.Name, v.show)
	}
	examples := func(t task) {
		if e := t.example(v); e != "" {
			fmt.Fprintf(&b, "%s, for example:\n    %s %s\n", t.title, x.Name, e)
		}
	}
	if t != nil {
		examples(*t)
	} else {
		for _, t := range tasks() {
			examples(t)
		}
	}
	b.WriteString("\nNumbers of controllers, enclosures, slots and volumes are those of your machine; the vendor's manual has the rest.\n")
	d.Page(&frame.Page{Title: title, Command: x.Name + " " + v.show, Text: b.String(), Help: "What is to be done with the vendor's program.",
		Keys: []frame.PageKey{{Key: 'r', Does: "run it", Do: func() { p.ask(d, x, t) }}, {Key: 'a', Does: "put it in", Do: func() { p.add(d, x) }}}})
}

// ask asks with which arguments a program is to be run, and runs it. What is
// there to begin with only shows something.
func (p programs) ask(d *frame.Desk, x program, t *task) {
	if !x.Installed {
		d.Say(x.Name+" is not here", "It is the vendor's, and proprietary: press a to put it in from the file in which the vendor ships it.")
		return
	}
	v := vendors()[x.Name]
	args := v.show
	f := &frame.Form{Title: "Run " + x.Name, Command: x.Name + " " + v.show, Submit: "Run",
		Intro: "The terminal is the program's until it ends. It runs as whoever sits here.", Help: "ESOS does not see what it does. Look at Disks afterwards."}
	if t != nil && t.example(v) != "" {
		f.Intro += "\n" + t.title + ", for example: " + x.Name + " " + t.example(v)
	}
	f.Fields = []frame.Field{{Label: "Arguments", Text: &args, Hint: "With blanks between them. What is there to begin with only shows what there is."}}
	f.Do = func() {
		d.Close(f)
		var err error
		d.Suspend(func() { err = p.run(d.Context(), x.Name, strings.Fields(args)) })
		if err != nil {
			d.Warn(x.Name+" failed", err.Error())
		}
	}
	d.Form(f)
}

// onTerminal runs a program on the terminal, and waits until what it said was
// read.
func onTerminal(ctx context.Context, name string, args []string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := c.Run()
	fmt.Print("\nPress Enter to go back. ")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // an end is an answer, too
	if err != nil {
		return fmt.Errorf("run %s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// add puts a program in.
func (p programs) add(d *frame.Desk, x program) {
	var file string
	f := &frame.Form{Title: "Put in " + x.Name, Command: "esos raid-cli add " + x.Name + "=FILE",
		Intro: "For controllers of " + x.Vendor + ". The vendor's file goes onto this machine first, by scp, or on a stick that is mounted.",
		Help:  "The program is taken out of the file in which its vendor ships it: a zip, tar, rpm or deb, one in another, or the bare program. It goes below /opt, and is kept with the settings when they are saved next."}
	f.Fields = []frame.Field{{Label: "File", Text: &file, Check: func(s string) error {
		if !strings.HasPrefix(s, "/") {
			return fmt.Errorf("a path such as /tmp/storcli.zip")
		}
		return nil
	}, Hint: "Path of the vendor's file on this machine."}}
	f.Do = func() {
		d.Close(f)
		d.Command("Put in "+x.Name, nil, "raid-cli", "add", x.Name+"="+file)
	}
	d.Form(f)
}

// remove takes a program out.
func (programs) remove(d *frame.Desk, x program) {
	if !x.Installed {
		d.Say("It is not here", x.Name+" is not on this machine.")
		return
	}
	d.Ask("Take out "+x.Name+"?", "The vendor's program is deleted from this machine. The controller and its volumes stay as they are.", "Take out", func() {
		d.Command("Take out "+x.Name, nil, "raid-cli", "remove", x.Name)
	})
}
