package upkeep_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
)

// change makes a revision past the console.
func (s *stage) change(t *testing.T, why string, edit func(*config.Document)) v1.Operation {
	t.Helper()
	ctx := context.Background()
	old, err := s.a.Client.Document(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := config.Decode("it", old.Text)
	if err != nil {
		t.Fatal(err)
	}
	edit(doc)
	text, err := config.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.a.Client.Apply(ctx, text, client.ChangeOptions{IfMatch: old.ETag, Why: why})
	if err != nil {
		t.Fatal(err)
	}
	if op, err = s.a.Client.Follow(ctx, op, nil); err != nil {
		t.Fatal(err)
	}
	return op
}

func more(doc *config.Document) {
	doc.Devices = append(doc.Devices, config.Device{Name: "mail", Handler: config.NullIO, Size: 1 << 30})
}

func TestHistory(t *testing.T) {
	s := play(t, apitest.Options{})
	s.change(t, "esos device create mail", more)
	s.open(t, "Configuration History")
	s.Wait("esos device create mail")
	s.Golden("history", s.revised(t)...)
	s.Press(tcell.KeyDown)
	s.Type("d")
	s.Wait("What was changed since revision 1")
	s.Shows("+ device/mail")
	s.Escape()
	s.Enter()
	s.Wait("name: vault")
	s.Golden("revision")
	s.Type("r")
	s.Wait("Delete device mail")
	if _, err := s.a.Document().FindDevice("mail"); err != nil {
		t.Fatal("it was gone back to without a confirmation")
	}
	s.CarryOut()
	s.Wait("esos config rollback 1") // the list is read anew
	if _, err := s.a.Document().FindDevice("mail"); err == nil {
		t.Error("device mail is still there after going back")
	}
	s.Type("d") // revision 1 is under the cursor
	s.Wait("says the same as the document in force")
}

func TestOperations(t *testing.T) {
	hold, failing := make(chan struct{}), false
	e := &enginetest.Memory{Fail: func(op, object string) error {
		switch {
		case op == "PutDevice" && object == "slow":
			<-hold
		case op == "PutDevice" && object == "broken":
			failing = true
			return errors.New("the kernel has no room")
		}
		return nil
	}}
	s := play(t, apitest.Options{Engine: e})
	s.change(t, "esos device create mail", more)
	if op := s.change(t, "esos device create broken", func(doc *config.Document) {
		doc.Devices = append(doc.Devices, config.Device{Name: "broken", Handler: config.NullIO, Size: 1 << 30})
	}); op.State != v1.Failed || !failing {
		t.Fatalf("the operation ended as %s", op.State)
	}
	all, err := s.a.Client.Operations(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, o := range all {
		pairs = append(pairs, local(o.Started), day)
		if o.Ended != nil {
			pairs = append(pairs, local(*o.Ended), day)
		}
	}
	s.open(t, "Operations")
	s.Wait("failed")
	s.Golden("operations", pairs...)
	s.Enter()
	s.Wait("the kernel has no")
	s.Golden("operation", pairs...)
	s.Escape()

	// One that is under way is followed to its end.
	ctx := context.Background()
	old, err := s.a.Client.Document(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := config.Decode("it", old.Text)
	if err != nil {
		t.Fatal(err)
	}
	doc.Devices = append(doc.Devices, config.Device{Name: "slow", Handler: config.NullIO, Size: 1 << 30})
	text, err := config.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.a.Client.Apply(ctx, text, client.ChangeOptions{IfMatch: old.ETag, Why: "esos device create slow"}); err != nil {
		t.Fatal(err)
	}
	s.Wait("running")
	s.Press(tcell.KeyHome)
	// Following does not come to rest before it ends: the keys are not waited for.
	go func() {
		for !strings.Contains(s.Text(), "steps done") {
		}
		close(hold)
	}()
	s.Enter()
	s.Wait("done.")
	s.Gone("running")
	if _, err := s.a.Document().FindDevice("slow"); err != nil {
		t.Error(err)
	}
}

func TestDrift(t *testing.T) {
	e := &enginetest.Memory{Shared: true, Foreign: map[string]bool{}}
	s := play(t, apitest.Options{Engine: e})
	s.open(t, "Changes By Hand")
	s.Wait("Nothing was changed by hand")
	s.Golden("drift-none")
	ctx := context.Background()
	const target = "iqn.2026-11.com.example:vault"
	if err := e.PutLUN(ctx, target, "hosts", config.LUN{LUN: 5, Device: "db01"}); err != nil {
		t.Fatal(err)
	}
	s.Type("l")
	s.Wait("hosts/5: it is there, and it is not")
	s.Golden("drift")
	s.Enter()
	s.Golden("changed-by-hand")
	s.Shows("device: db01")
	s.Escape()

	// Undo.
	s.Type("u")
	s.CarryOut()
	s.Wait("Nothing was changed by hand")
	if st, _ := e.Observe(ctx); len(st.Targets[0].Groups[0].LUNs) != 1 {
		t.Errorf("the LUN is still there: %v", st.Targets[0].Groups[0].LUNs)
	}
}

func TestAdopt(t *testing.T) {
	e := &enginetest.Memory{Shared: true, Foreign: map[string]bool{}}
	s := play(t, apitest.Options{Engine: e})
	ctx := context.Background()
	const target = "iqn.2026-11.com.example:vault"
	extra := config.Device{Name: "extra", Handler: config.NullIO, Size: 1 << 30, Identity: config.Identity{Serial: "12345678", NAA: "60014051234567800000000000000000"}}
	if err := e.PutDevice(ctx, extra.WithDefaults()); err != nil {
		t.Fatal(err)
	}
	for _, lun := range []int{5, 6} {
		if err := e.PutLUN(ctx, target, "hosts", config.LUN{LUN: lun, Device: "extra"}); err != nil {
			t.Fatal(err)
		}
	}
	s.open(t, "Changes By Hand")
	s.Wait("+  device/extra")
	s.Type("c")
	s.Wait("Mark those that are to be undone")
	s.Golden("drift-pick")
	s.Type("   ")
	s.Enter()
	s.Wait("3 changes by hand were chosen")
	s.Golden("what-is-to-become-of-them")
	s.Press(tcell.KeyRight, tcell.KeyEnter) // Adopt
	s.Wait("Press c to carry this out")
	s.Golden("drift-adopt")
	s.CarryOut()
	s.Wait("Nothing was changed by hand")
	if _, err := s.a.Document().FindDevice("extra"); err != nil {
		t.Error(err)
	}
	if n := len(s.a.Document().Targets[0].Groups[0].LUNs); n != 3 {
		t.Errorf("the document has %d LUNs, want 3", n)
	}
}
