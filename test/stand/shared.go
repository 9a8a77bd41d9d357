package stand

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
)

// Shared is what all stands of a test binary have in common: the image, and a
// medium that nobody writes to. They are made on first use.
type Shared struct {
	once   sync.Once
	lab    *appliance.Lab
	dir    string
	medium string
	err    error
	made   int // stands
}

// Lab makes what is shared, or fails the test.
func (s *Shared) Lab(t *testing.T) *appliance.Lab {
	t.Helper()
	s.once.Do(func() { s.err = s.open(t) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.lab
}

// open is not of the first test alone: it does not end with it.
func (s *Shared) open(t *testing.T) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	if s.dir, err = os.MkdirTemp(level.Cache(t), "stand-"); err != nil {
		return err
	}
	if s.lab, err = appliance.Open(ctx, level.Root(t), s.dir, t.Output()); err != nil {
		return err
	}
	s.medium, err = s.lab.Medium(ctx, "medium")
	return err
}

// Medium is the file of the medium that nobody writes to.
func (s *Shared) Medium(t *testing.T) string {
	t.Helper()
	s.Lab(t)
	return s.medium
}

// Dir is where what is large may be kept until the test binary ends.
func (s *Shared) Dir(t *testing.T) string {
	t.Helper()
	s.Lab(t)
	return s.dir
}

// Main runs the tests of a package, and removes what they shared: for TestMain.
func (s *Shared) Main(m *testing.M) {
	code := m.Run()
	if s.dir != "" {
		if err := os.RemoveAll(s.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// StickSize is that of all sticks.
const StickSize = 8 << 30

// New is an appliance that is off, with a stick and a data disk of its own
// beside what the options say. It is gone with the test.
func (s *Shared) New(ctx context.Context, t *testing.T, o appliance.Options) *Stand {
	t.Helper()
	l := s.Lab(t)
	s.made++
	unique := strconv.Itoa(s.made)
	file, err := l.Overlay(ctx, s.medium, "stick-"+unique, StickSize)
	if err != nil {
		t.Fatal(err)
	}
	o.Boot = vm.Drive{File: file, Format: "qcow2", Bus: vm.USB, WriteLog: o.Boot.WriteLog}
	if o.Data, err = l.Blank("data-"+unique, 1<<30); err != nil {
		t.Fatal(err)
	}
	o.Dir = level.ShortDir(t)
	a := &Stand{Options: o, T: t, lab: l}
	files := []string{file, o.Data}
	t.Cleanup(func() {
		a.Off()
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	})
	return a
}
