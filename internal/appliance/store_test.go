package appliance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
)

// failingDisk fails one call, counted over all that write, and can stop for
// good there, as a power cut does.
type failingDisk struct {
	diskFiles
	fail, calls int
	dead        bool // every later call fails, too
	torn        bool // a write that fails leaves half of its file
}

var errDisk = errors.New("disk error")

func (d *failingDisk) step(op string) error {
	d.calls++
	if d.calls == d.fail || d.dead && d.fail > 0 && d.calls > d.fail {
		return fmt.Errorf("%s: %w", op, errDisk)
	}
	return nil
}

func (d *failingDisk) WriteTemp(dir string, data []byte) (string, error) {
	if err := d.step("write"); err != nil {
		if d.torn {
			_ = os.WriteFile(filepath.Join(dir, tempPrefix+"torn"), data[:len(data)/2], 0o600)
		}
		return "", err
	}
	return d.diskFiles.WriteTemp(dir, data)
}

func (d *failingDisk) Rename(from, to string) error {
	if err := d.step("rename"); err != nil {
		return err
	}
	return d.diskFiles.Rename(from, to)
}

func (d *failingDisk) SyncDir(dir string) error {
	if err := d.step("sync"); err != nil {
		return err
	}
	return d.diskFiles.SyncDir(dir)
}

func (d *failingDisk) Remove(path string) error {
	if err := d.step("remove"); err != nil {
		return err
	}
	return d.diskFiles.Remove(path)
}

// Each step of keeping a revision fails once: the change fails, the old
// document stays in force, now and after a restart, and the next one works.
func TestKeepingARevisionFails(t *testing.T) {
	steps := 0
	for fail := 1; ; fail++ {
		dir, e := t.TempDir(), &enginetest.Memory{}
		a := open(t, dir, e)
		apply(t, a, Change{Document: document(), Why: "old"})
		was, err := e.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d := &failingDisk{fail: fail, torn: true}
		a.store.disk = d
		next := document()
		next.Targets[0].Alias = "new"
		err = func() error {
			op, err := a.Apply(t.Context(), Change{Document: next, Who: "test"})
			if err != nil {
				return err
			}
			return op.Wait(t.Context())
		}()
		if err == nil {
			if steps < 3 {
				t.Fatalf("only %d steps can fail: the test tests little", steps)
			}
			return
		}
		steps++
		if !errors.Is(err, errDisk) {
			t.Fatalf("step %d: %v", fail, err)
		}
		is, err := e.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a, b := fmt.Sprint(byName(was)), fmt.Sprint(byName(is)); a != b {
			t.Errorf("step %d: what is served was not put back:\n%s\n%s", fail, a, b)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		a = open(t, dir, e)
		if doc, rev, _ := a.Document(t.Context()); doc.Targets[0].Alias != "" || rev.Why != "old" {
			t.Errorf("step %d: after a restart revision %+v is in force", fail, rev)
		}
		if p := apply(t, a, Change{Document: next}); p.Revision.Number != 2 {
			t.Errorf("step %d: the next change: %+v", fail, p)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		left, _ := filepath.Glob(filepath.Join(dir, "revisions", tempPrefix+"*"))
		if len(left) > 0 {
			t.Errorf("step %d: left behind: %q", fail, left)
		}
	}
}

// The power goes at each step of keeping a revision: afterwards the newest
// whole document is in force, the old one or the new one.
func TestPowerCut(t *testing.T) {
	for fail := 1; fail < 6; fail++ {
		dir := t.TempDir()
		d := &failingDisk{}
		s, _, _, _, err := openStore(dir, d, 10)
		if err != nil {
			t.Fatal(err)
		}
		keep := func(name string) error {
			text, err := config.Marshal(&config.Document{Version: 1, Name: name})
			if err != nil {
				t.Fatal(err)
			}
			p, err := s.prepare(text, Revision{Who: name})
			if err != nil {
				return err
			}
			_, err = p.commit()
			return err
		}
		if err := keep("old"); err != nil {
			t.Fatal(err)
		}
		d.calls, d.fail, d.dead, d.torn = 0, fail, true, true
		cut := keep("new")
		_, doc, rev, damaged, err := openStore(dir, diskFiles{}, 10)
		if err != nil || len(damaged) > 0 {
			t.Fatalf("step %d: %v %v", fail, err, damaged)
		}
		switch {
		case cut == nil && doc.Name != "new":
			t.Errorf("step %d: what was reported as kept is gone", fail)
		case doc.Name != rev.Who || doc.Name != "old" && doc.Name != "new":
			t.Errorf("step %d: %q of %q is in force", fail, doc.Name, rev.Who)
		}
	}
}

func TestRevisions(t *testing.T) {
	dir, e := t.TempDir(), &enginetest.Memory{}
	a, err := Open(t.Context(), Options{DataDir: dir, Engine: e, Keep: 5, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		d := document()
		d.Targets[0].Alias = fmt.Sprint("alias ", i+1)
		d.Targets[0].Auth.Users = []config.CHAPUser{{Name: "u", Secret: "example-secret"}}
		apply(t, a, Change{Document: d, Who: "root", Why: fmt.Sprint("change ", i+1)})
	}
	revs, err := a.Revisions(t.Context())
	if err != nil || len(revs) != 5 || revs[0].Number != 8 || revs[4].Number != 4 || revs[0].Why != "change 8" || revs[0].Who != "root" {
		t.Fatalf("revisions: %+v %v", revs, err)
	}
	files, _ := os.ReadDir(filepath.Join(dir, "revisions"))
	for _, f := range files {
		if st, _ := f.Info(); st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v: it has secrets inside", f.Name(), st.Mode())
		}
	}
	if len(files) != 5 {
		t.Errorf("%d files", len(files))
	}
	// A revision's file can be applied as it is.
	if _, _, err := config.Load(filepath.Join(dir, "revisions/000006.yaml")); err != nil {
		t.Error(err)
	}
	doc, rev, err := a.Revision(t.Context(), 6)
	if err != nil || doc.Targets[0].Alias != "alias 6" || rev.Number != 6 {
		t.Errorf("revision 6: %+v %v", rev, err)
	}
	if _, _, err := a.Revision(t.Context(), 1); !errors.Is(err, ErrNoRevision) {
		t.Errorf("revision 1: %v", err)
	}
	op, err := a.Rollback(t.Context(), 6, Change{Who: "root"})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if doc, rev, _ := a.Document(t.Context()); rev.Number != 9 || doc.Targets[0].Alias != "alias 6" || rev.Why != "rollback to revision 6" {
		t.Errorf("rollback: %+v", rev)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	// The newest is damaged: the one before is in force, and an event says so.
	path := filepath.Join(dir, "revisions/000009.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir, e)
	if doc, rev, _ := b.Document(t.Context()); rev.Number != 8 || doc.Targets[0].Alias != "alias 8" {
		t.Errorf("with a damaged revision %+v is in force", rev)
	}
	events, _ := b.Events(t.Context(), 0)
	if !strings.Contains(fmt.Sprint(events), "revision 9 is damaged") {
		t.Errorf("nothing tells of the damage: %v", events)
	}
	if p := apply(t, b, Change{Document: document()}); p.Revision.Number != 10 {
		t.Errorf("next revision: %+v", p.Revision)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ = os.ReadDir(filepath.Join(dir, "revisions"))
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, "revisions", f.Name()), []byte("version: 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(t.Context(), Options{DataDir: dir, Engine: e, Log: quiet()}); err == nil || !strings.Contains(err.Error(), "none in") {
		t.Errorf("with no whole revision: %v", err)
	}
}

func TestOneDaemonADirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, &enginetest.Memory{})
	if b, err := Open(t.Context(), Options{DataDir: dir, Engine: &enginetest.Memory{}}); err == nil {
		t.Error("two appliances on one data directory")
		b.Close()
	}
}
