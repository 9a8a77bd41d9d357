package wizards

import (
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// flow is a sequence of forms that ends in one change. Each form stays below
// the next: Esc goes a step back, and what was typed is kept.
type flow struct {
	desk  *frame.Desk
	title string
	doc   *config.Document // as it was when the wizard began
	steps []step
	// edit makes the change that was asked for so far: of the steps up to the
	// named one.
	edit func(doc *config.Document, upTo int) error
	// finish is called after the last step with the first form, which goes away
	// with all others when the change is done.
	finish func(first *frame.Form)

	first *frame.Form
	forms map[int]*frame.Form
}

// step is one form of a flow.
type step struct {
	// skip leaves the step out; nil if it is always there.
	skip func() bool
	form func() *frame.Form
}

func (s step) shown() bool { return s.skip == nil || !s.skip() }

// start shows the first step.
func (w *flow) start() {
	w.forms = map[int]*frame.Form{}
	w.open(0)
}

// open shows the step i, or the next one that is not left out.
func (w *flow) open(i int) {
	for i < len(w.steps) && !w.steps[i].shown() {
		i++
	}
	if i >= len(w.steps) {
		w.finish(w.first)
		return
	}
	f := w.steps[i].form()
	f.Title = w.title + ": " + f.Title
	w.forms[i] = f
	w.number()
	if i == 0 {
		w.first = f
	}
	own := f.Do
	f.Do = func() {
		if own != nil {
			own()
		}
		if faults := w.faults(i); faults != "" {
			w.desk.Warn("This does not go together", faults)
			return
		}
		w.open(i + 1)
	}
	w.desk.Form(f)
}

// number says on each form which step it is, which depends on what was
// answered.
func (w *flow) number() {
	of := 0
	for _, s := range w.steps {
		if s.shown() {
			of++
		}
	}
	at := 0
	for i, s := range w.steps {
		if s.shown() {
			at++
		}
		f := w.forms[i]
		if f == nil {
			continue
		}
		f.Step, f.Submit = fmt.Sprintf("step %d of %d", at, of), "Next"
		if at == of {
			f.Submit = "Show the plan"
		}
	}
}

// faults says what the document would be wrong with after the steps up to i
// that it is not wrong with now.
func (w *flow) faults(i int) string {
	doc := w.doc.Clone()
	if err := w.edit(doc, i); err != nil {
		return err.Error()
	}
	before := w.doc.Validate()
	text := ""
	for _, p := range doc.Validate() {
		if !p.Warning && !slices.Contains(before, p) {
			text += p.Path + ": " + p.Message + "\n"
		}
	}
	return text
}

// wrong is what a document is wrong with at a path, nil if nothing.
func wrong(doc *config.Document, path string) error {
	doc.Version, doc.Name = config.Version, "check"
	for _, p := range doc.Validate() {
		if !p.Warning && p.Path == path {
			return fmt.Errorf("%s", p.Message)
		}
	}
	return nil
}

// free is the first of NAME, NAME2, NAME3 ... that is not taken.
func free(name string, taken []string) string {
	try := name
	for n := 2; slices.Contains(taken, try); n++ {
		try = fmt.Sprintf("%s%d", name, n)
	}
	return try
}
