package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/carry/foreign"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

// foreignFormat finds a format by its name, or by the text if there is none.
func foreignFormat(name, file string, text []byte) (foreign.Format, error) {
	f, err := foreign.Find(name, file, text)
	if err != nil {
		return nil, usageError{err}
	}
	return f, nil
}

// importFlags are those of esos import, besides those of all changes.
type importFlags struct {
	format        string
	reveal, alone bool
	change        changeFlags
}

func (a *app) importCommand() *cobra.Command {
	f := &importFlags{}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Move in from SCST or LIO: take over scst.conf or saveconfig.json",
		Long: `Read SCST's scst.conf or LIO's saveconfig.json, show what was understood, what cannot
be carried, line by line, and what would be done to make this array serve the
same. On a terminal it then asks and does it; elsewhere it takes --yes. Lines with
a ! are what initiators notice.

The devices, portals, targets and device groups of the file take the place of those
in force; the rest of the document (network, users, mail, ...) stays. What that
would destroy has to be named with --destroy, as with 'esos apply'. A target whose
access control cannot be carried whole comes disabled, never open.

With -o yaml it prints the document and does no more: edit it, then 'esos apply -f'.`,
		Example: "  esos import /etc/scst.conf\n  esos import saveconfig.json --yes --why 'moved in from the old box'\n  esos import scst.conf -o yaml --reveal >esos.yaml",
		Args:    cobra.ExactArgs(1),
	}
	f.change.add(c)
	c.Flags().StringVar(&f.format, "format", "", "scst or lio (default by the file's contents)")
	c.Flags().BoolVar(&f.alone, "alone", false, "with -o yaml: only what the file says, without asking an array")
	c.Flags().BoolVar(&f.reveal, "reveal", false, "with -o yaml: print the file's CHAP secrets too")
	c.RunE = func(c *cobra.Command, args []string) error { return a.importFile(c, args[0], f) }
	return c
}

func (a *app) importFile(c *cobra.Command, file string, f *importFlags) error {
	if f.alone && a.output != asYAML {
		return usageError{errors.New("--alone goes with -o yaml: without an array there is nothing to plan")}
	}
	text, name, err := a.readForeign(file)
	if err != nil {
		return err
	}
	format, err := foreignFormat(f.format, name, text)
	if err != nil {
		return err
	}
	found, err := format.Read(name, text)
	if err != nil {
		return err
	}
	if f.alone {
		showLeft(a.err, found.Left, "cannot be carried")
		return a.printDocument(found.Document, f.reveal)
	}
	cl, err := a.connect()
	if err != nil {
		return err
	}
	defer cl.Close()
	now, err := cl.Document(c.Context(), false)
	if err != nil {
		return err
	}
	inForce, err := config.Decode("the array's document", now.Text)
	if err != nil {
		return err
	}
	doc := inForce
	foreign.MoveIn(doc, found)
	if a.output == asYAML {
		showLeft(a.err, found.Left, "cannot be carried")
		return a.printDocument(doc, f.reveal)
	}
	if f.change.why == "" {
		f.change.why = "esos import " + file
	}
	return a.moveIn(c, cl, doc, now.ETag, found, &f.change)
}

// moveIn shows and carries out an import.
func (a *app) moveIn(c *cobra.Command, cl *client.Client, doc *config.Document, etag string, found *carry.Import, f *changeFlags) error {
	text, err := config.Marshal(doc)
	if err != nil {
		return err
	}
	// Nobody confirms where there is no terminal: there it is shown only.
	if !f.yes && !a.terminal() {
		f.dryRun = true
	}
	if f.dryRun && a.output == asJSON {
		p, err := cl.Plan(c.Context(), text, f.destroy)
		if err != nil {
			return err
		}
		return a.print(struct {
			Left []carry.Left `json:"left"`
			Plan v1.Plan      `json:"plan"`
		}{append([]carry.Left{}, found.Left...), p}, nil)
	}
	understood(a.notes(), found.Document)
	showLeft(a.notes(), found.Left, "cannot be carried")
	if err := a.change(c.Context(), cl, text, etag, f, true); err != nil {
		return err
	}
	if f.dryRun {
		fmt.Fprintln(a.notes(), "Nothing was changed; --yes carries it out.")
	}
	return nil
}

// readForeign reads a file, or standard input for "-".
func (a *app) readForeign(file string) (text []byte, name string, err error) {
	if file == "-" {
		text, err = foreign.ReadAll("standard input", a.in)
		return text, "standard input", err
	}
	text, err = foreign.ReadFile(file)
	return text, file, err
}

// printDocument prints a document, its secrets hidden unless they are wanted.
func (a *app) printDocument(d *config.Document, reveal bool) error {
	if !reveal {
		d = d.Redacted()
	}
	text, err := config.Marshal(d)
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}

// understood says in a few lines what a file has.
func understood(w io.Writer, d *config.Document) {
	handlers := map[config.Handler]int{}
	var order []string
	for _, dev := range d.Devices {
		if handlers[dev.Handler]++; handlers[dev.Handler] == 1 {
			order = append(order, string(dev.Handler))
		}
	}
	for i, h := range order {
		order[i] = fmt.Sprintf("%d %s", handlers[config.Handler(h)], h)
	}
	fmt.Fprintf(w, "Understood: %s", count(len(d.Devices), "device"))
	if len(order) > 0 {
		fmt.Fprintf(w, " (%s)", strings.Join(order, ", "))
	}
	fmt.Fprintf(w, ", %s, %s\n", count(len(d.Targets), "target"), count(len(d.DeviceGroups), "device group"))
	for _, t := range d.Targets {
		luns, initiators := len(t.LUNs), 0
		for _, g := range t.Groups {
			luns += len(g.LUNs)
			initiators += len(g.Initiators)
		}
		state := ""
		if t.Disabled {
			state = ", disabled"
		}
		fmt.Fprintf(w, "  %s: %s, %s with %s, %s%s\n", clean(t.Name), count(luns, "LUN"),
			count(len(t.Groups), "host group"), count(initiators, "initiator"), count(len(t.Auth.Users), "CHAP user"), state)
	}
}

// showLeft lists what was not carried, each with its line.
func showLeft(w io.Writer, left []carry.Left, how string) {
	missed := 0
	for _, l := range left {
		if l.Missed {
			missed++
		}
	}
	if len(left) == 0 {
		fmt.Fprintln(w, "Everything is carried.")
		return
	}
	fmt.Fprintf(w, "%s %s; initiators notice %d of them (!):\n", count(len(left), "thing"), how, missed)
	for _, l := range left {
		mark := " "
		if l.Missed {
			mark = "!"
		}
		fmt.Fprintf(w, "%s %s\n", mark, clean(l.String()))
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
