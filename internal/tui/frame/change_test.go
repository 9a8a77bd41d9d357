package frame_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// rename is a form that sets the array's name.
func rename(d *frame.Desk) {
	var name string
	f := &frame.Form{Title: "Name", Intro: "Give the array a name.", Command: "esos config edit"}
	f.Fields = []frame.Field{{Label: "Name", Text: &name, Check: frame.Name(20, nil), Hint: "What the array is called."}}
	f.Do = func() {
		d.Change(frame.Change{Why: "name it " + name, From: f, Edit: func(doc *config.Document) error {
			doc.Name = name
			return nil
		}})
	}
	d.Form(f)
}

func TestChange(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	before := a.Revisions()
	c.In(rename)
	c.Golden("form")
	c.Type("bad name")
	c.Shows("letters, digits and . _ - only")
	c.Press(tcell.KeyTab, tcell.KeyEnter) // refused: the cursor is back in the field
	c.Shows("letters, digits and . _ - only")
	if n := a.Revisions(); n != before {
		t.Fatalf("%d revisions, want %d: something was changed without a confirmation", n, before)
	}
	c.Field("vault")
	c.Enter()
	c.Wait("Press c to carry this out")
	c.Golden("plan")
	c.Type("c")
	c.Golden("confirm")
	c.Escape()
	c.Press(tcell.KeyF1)
	c.Golden("plan-help")
	c.Escape()
	c.Escape() // back to the form: what was typed is still there
	c.Shows("vault")
	if n := a.Revisions(); n != before {
		t.Fatalf("%d revisions, want %d: something was changed without a confirmation", n, before)
	}
	c.Enter()
	c.CarryOut()
	c.Gone("Give the array a name")
	if got := a.Document().Name; got != "vault" {
		t.Errorf("the array's name is %q, want vault", got)
	}
}

// TestLostDaemon: the daemon goes away under an open form and comes back: what
// was typed is kept, and the console goes on by itself.
func TestLostDaemon(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	c.In(rename)
	c.Type("vault")
	a.Stop()
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.Wait("that failed")
	c.Wait("does not answer since")
	c.Enter()
	c.Shows("vault")
	a.Start()
	c.Wait("answers again")
	c.Gone("does not answer since")
	c.Shows("vault")
	c.Enter()
	c.CarryOut()
	if got := a.Document().Name; got != "vault" {
		t.Errorf("the array's name is %q, want vault", got)
	}
}

func TestTooSmall(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	c.In(rename)
	c.Resize(60, 10)
	c.Shows("60x10 is too small: enlarge to 80x24")
	c.Type("vault")
	c.Resize(80, 24)
	if s := c.Text(); !strings.Contains(s, "vault") {
		t.Errorf("what was typed while the terminal was small is not there:\n%s", s)
	}
}

// TestLongPlan: what a plan destroys is told where it begins, however long it is.
func TestLongPlan(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	objects := []string{"disk/d1", "disk/d2"}
	c.In(func(d *frame.Desk) {
		d.Operate(frame.Operation{Title: "Long", Plan: func(context.Context, []string) (v1.Plan, error) {
			return v1.Plan{Text: strings.Repeat("~ Change something\n", 100), Steps: []v1.Step{{Object: objects[0], Destroys: "it"}}, Needs: objects}, nil
		}})
	})
	told := func() {
		t.Helper()
		for _, text := range append(objects, "DATA ARE LOST. To carry this out, press c and type each of these names:", "~ Change something") {
			c.Shows(text)
		}
	}
	told()
	c.Press(tcell.KeyPgDn)
	if s := c.Text(); strings.Contains(s, "DATA ARE LOST") {
		t.Errorf("the plan is not long:\n%s", s)
	}
	c.Press(tcell.KeyEnd)
	told()
}

// TestProgress: an operation with steps of every state.
func TestProgress(t *testing.T) {
	t.Parallel()
	_, c := console(t)
	c.In(func(d *frame.Desk) {
		d.ShowProgress("Carrying out", v1.Operation{ID: "op7", Done: 2, Steps: []v1.Progress{
			{Sentence: "Create array data (RAID 6) of virtio-d1, virtio-d2, virtio-d3 and virtio-d4", State: "done"}, {Sentence: "Create volume group vg0 on /dev/md/data", State: "done"},
			{Sentence: "Copy /mnt/vdisks/images/db01.img", State: "running", Fraction: 0.25}, {Sentence: "Create device db01", State: "waiting"}, {Sentence: "Map LUN 0 to device db01", State: "waiting"}}})
	})
	c.Golden("progress")
	c.Press(tcell.KeyF1)
	c.Golden("progress-help")
}
