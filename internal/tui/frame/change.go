package frame

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

// Change is a change of the array's document: made, shown as a plan, confirmed,
// carried out.
type Change struct {
	// Why is kept in the history: what the esos command that does the same would
	// be. Secrets must not be in it.
	Why string
	// Edit changes the document. It may be called more than once, each time with
	// the document as it then is.
	Edit func(*config.Document) error
	// Destroy are objects that go with their data, which would stay otherwise:
	// filesystem/NAME, image/NAME. Their names are asked for like those of others.
	Destroy []string
	// From is the form that asked, which goes away when the change is done; nil
	// if there is none.
	From *Form
	// Done is called after the change is in force; nil if nothing follows.
	Done func()
}

// Change carries out a change, after its plan was seen and confirmed.
func (d *Desk) Change(c Change) {
	d.plan(&planned{desk: d, title: c.Why, why: c.Why, from: c.From, done: c.Done, wanted: c.Destroy,
		plan: func(ctx context.Context, p *planned) (v1.Plan, error) {
			old, err := d.o.Client.Document(ctx, false)
			if err != nil {
				return v1.Plan{}, err
			}
			doc, err := config.Decode("the array's document", old.Text)
			if err != nil {
				return v1.Plan{}, err
			}
			if err := c.Edit(doc); err != nil {
				return v1.Plan{}, err
			}
			text, err := config.Marshal(doc)
			if err != nil {
				return v1.Plan{}, err
			}
			p.same = string(text) == string(old.Text)
			p.begin = func(ctx context.Context, destroy []string) (v1.Operation, error) {
				return d.o.Client.Apply(ctx, text, client.ChangeOptions{IfMatch: old.ETag, Why: c.Why, Destroy: destroy})
			}
			of, err := d.o.Client.Plan(ctx, text, slices.Concat(p.destroy, p.wanted))
			for _, w := range slices.Backward(p.wanted) {
				if slices.ContainsFunc(of.Steps, func(s v1.Step) bool { return s.Object == w && s.Destroys != "" }) {
					of.Needs = slices.Insert(of.Needs, 0, w)
				}
			}
			return of, err
		}})
}

// Document reads the array's document. It may be called from anywhere.
func (d *Desk) Document(ctx context.Context) (*config.Document, error) {
	old, err := d.o.Client.Document(ctx, false)
	if err != nil {
		return nil, err
	}
	return config.Decode("the array's document", old.Text)
}

// Operation is work of the array that has a plan of its own, such as going back
// to an older revision: Plan makes it, Begin begins it.
type Operation struct {
	Title string
	Plan  func(ctx context.Context, destroy []string) (v1.Plan, error)
	Begin func(ctx context.Context, destroy []string) (v1.Operation, error)
	Done  func()
}

// Operate carries out an operation, after its plan was seen and confirmed.
func (d *Desk) Operate(o Operation) {
	d.plan(&planned{desk: d, title: o.Title, done: o.Done, begin: o.Begin,
		plan: func(ctx context.Context, p *planned) (v1.Plan, error) { return o.Plan(ctx, p.destroy) }})
}

// planned is a change whose plan is shown.
type planned struct {
	desk       *Desk
	title, why string
	from       *Form
	done       func()
	plan       func(context.Context, *planned) (v1.Plan, error)
	begin      func(context.Context, []string) (v1.Operation, error)
	same       bool     // the document stays as it is
	destroy    []string // named back so far
	wanted     []string // to be destroyed, besides what the plan has to

	page  *Page
	of    v1.Plan
	anew  bool // somebody else changed the document meanwhile
	tries int
}

func (d *Desk) plan(p *planned) {
	Load(d, "Plan", func(ctx context.Context) (v1.Plan, error) { return p.plan(ctx, p) }, p.show)
}

// show shows the plan, to be confirmed.
func (p *planned) show(of v1.Plan) {
	p.of = of
	if p.page != nil {
		p.desk.Close(p.page)
	}
	switch {
	case len(of.Refused) > 0:
		p.desk.Warn("This cannot be carried out", faults(of.Refused))
		return
	case len(of.Steps) == 0 && p.same:
		p.end() // takes the form away, and what is above it
		p.desk.Say("No changes", "The array is like that already.")
		return
	}
	p.page = &Page{Title: "Plan", Command: "esos plan", Text: p.text(),
		Help: "What the array would do, step by step. Nothing was changed yet. Steps that lose data are marked; the objects they destroy must be typed before anything is done.",
		Keys: []PageKey{{'c', "carry out", p.confirm}}}
	p.desk.Page(p.page)
}

func faults(all []v1.Fault) string {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "%s: %s\n", f.Location, f.Message)
	}
	return b.String()
}

// text puts the plan into words.
func (p *planned) text() string {
	var b strings.Builder
	// What is lost is told before the steps, which may fill more than a screen,
	// and after them, where a reader of the steps is asked to go on.
	lost := ""
	if len(p.of.Needs) > 0 {
		lost = "DATA ARE LOST. To carry this out, press c and type each of these names:\n  " + strings.Join(p.of.Needs, "\n  ") + "\n"
		b.WriteString(lost + "\n")
	}
	if p.anew {
		b.WriteString("Somebody else changed the document meanwhile. This is the plan on theirs.\n\n")
	}
	if p.why != "" {
		fmt.Fprintf(&b, "%s\n\n", p.why)
	}
	if len(p.of.Steps) == 0 && len(p.of.Adopts) == 0 {
		b.WriteString("The document changes; nothing of what is served does.\n")
	} else {
		b.WriteString(p.of.Text)
	}
	for _, w := range p.of.Warnings {
		if !strings.Contains(p.of.Text, w) {
			fmt.Fprintf(&b, "\nwarning: %s\n", w)
		}
	}
	for _, n := range p.of.Notes {
		if !strings.Contains(p.of.Text, n.Message) {
			fmt.Fprintf(&b, "\nnote: %s: %s\n", n.Location, n.Message)
		}
	}
	if lost == "" {
		lost = "Press c to carry this out, Esc to leave all as it is.\n"
	}
	return b.String() + "\n" + lost
}

// confirm asks for what is to be destroyed, name by name, or for a yes.
func (p *planned) confirm() {
	for _, object := range p.of.Needs {
		if !slices.Contains(p.destroy, object) {
			p.name(object)
			return
		}
	}
	if len(p.of.Needs) > 0 {
		p.carryOut()
		return
	}
	steps := fmt.Sprintf("%d steps.", len(p.of.Steps))
	switch len(p.of.Steps) {
	case 0:
		steps = "The document changes; nothing of what is served does."
	case 1:
		steps = "1 step."
	}
	p.desk.ask("Carry this out?", steps, "Carry out", p.title, p.carryOut)
}

// name asks for the name of an object that is destroyed.
func (p *planned) name(object string) {
	var typed string
	lost := ""
	for _, s := range p.of.Steps {
		if s.Object == object && s.Destroys != "" {
			lost = s.Sentence + ": " + s.Destroys
		}
	}
	f := &Form{Title: "This destroys " + object, Intro: strings.TrimSpace(lost + "\n\nType " + object + " to have it destroyed."), Submit: "Destroy",
		Fields: []Field{{Label: "Name", Text: &typed, Hint: "exactly " + object, Check: func(s string) error {
			if s != object {
				return fmt.Errorf("not %s: nothing was changed", object)
			}
			return nil
		}}}}
	f.Do = func() {
		p.desk.Close(f)
		p.desk.confirmed(p.title + ": destroy " + object)
		p.destroy = append(p.destroy, object)
		p.confirm()
	}
	p.desk.Form(f)
}

// tries is how often a plan is made anew because somebody else's change came
// between.
const tries = 5

// carryOut begins the change.
func (p *planned) carryOut() {
	LoadElse(p.desk, "Begin", func(ctx context.Context) (v1.Operation, error) { return p.begin(ctx, p.destroy) },
		func(op v1.Operation) {
			p.desk.Close(p.page)
			p.desk.follow("Carrying out", op, p.ended)
		},
		func(err error) {
			var e *client.Error
			if errors.As(err, &e) && e.Status == http.StatusPreconditionFailed && p.tries < tries {
				p.tries++
				p.anew = true
				p.desk.plan(p)
				return
			}
			p.desk.Fail("Carry it out", err)
		})
}

// ended goes on after the operation.
func (p *planned) ended(op v1.Operation) {
	word := "Done."
	if op.Revision > 0 {
		word = fmt.Sprintf("Done: revision %d.", op.Revision)
	}
	p.desk.Toast(Good, word)
	p.end()
	if len(op.Warnings) > 0 {
		p.desk.Warn("Done, but", strings.Join(op.Warnings, "\n\n"))
	}
	if cutsOff(p.of) {
		p.desk.keepNetwork()
	}
}

func (p *planned) end() {
	if p.from != nil {
		p.desk.Close(p.from)
	}
	if p.done != nil {
		p.done()
	}
}

// cutsOff says whether a plan changes interfaces.
func cutsOff(p v1.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s v1.Step) bool { return s.Layer == "network" && strings.HasPrefix(s.Object, "interface/") })
}

// keepNetwork asks whether a change of the network stays, as long as the array
// waits for an answer. Who was cut off gives none, and it is undone.
func (d *Desk) keepNetwork() {
	Load(d, "Look at the network", d.o.Client.Status, func(s v1.Status) {
		u := s.Unconfirmed
		if u == nil {
			return
		}
		k := &keep{until: u, dialog: dialog{desk: d, level: Bad, title: "The network was changed. Keep it?", at: 1, buttons: []button{
			{"Keep", func() {
				d.Do("Keep the network", func(ctx context.Context) error { return d.o.Client.ConfirmNetwork(ctx, u.Revision) },
					func() { d.Toast(Good, "The change of the network stays.") })
			}},
			{"Undo", func() {
				d.Do("Undo the change of the network", d.o.Client.UndoNetwork, func() { d.Toast(Warn, "The change of the network is undone.") })
			}},
		}}}
		k.Tick()
		d.Push(k)
	})
}

// keep is a dialog with an end.
type keep struct {
	dialog
	until   *v1.UnconfirmedNetwork
	looking bool
}

// Key leaves Esc out: it is no answer.
func (k *keep) Key(ev *tcell.EventKey) {
	if ev.Key() == tcell.KeyEscape {
		return
	}
	if ev.Key() == tcell.KeyEnter {
		at := k.at
		k.desk.Close(k)
		k.desk.confirmed(k.title)
		k.buttons[at].do()
		return
	}
	k.dialog.Key(ev)
}

// Tick counts down, and goes when there is nothing left to answer: the time is
// over, or somebody who came in anew has answered there.
func (k *keep) Tick() {
	left := max(0, int(k.until.Deadline.Sub(k.desk.Now()).Seconds()))
	k.text = fmt.Sprintf("If nobody answers it is undone in %d s. See that you still get in, then choose Keep.", left)
	if k.looking || k.desk.Lost() {
		return
	}
	k.looking = true
	Refresh(k.desk, k.desk.o.Client.Status, func(s v1.Status, err error) {
		k.looking = false
		switch u := s.Unconfirmed; {
		case err != nil, !k.desk.Shows(k), u != nil && u.Revision == k.until.Revision:
			return
		}
		k.desk.Close(k)
		if strings.HasPrefix(s.Revision.Why, "network change of revision") {
			k.desk.Toast(Warn, "No answer: the change of the network is undone.")
			return
		}
		k.desk.Toast(Good, "The change of the network stays: it was kept elsewhere.")
	})
}
