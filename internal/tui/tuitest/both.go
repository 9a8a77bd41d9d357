package tuitest

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/esos-project/esos/internal/api/apitest"
)

// Step is what a test does with an entry of a menu, from the menu to its end.
type Step struct {
	// Name begins with the entry's ID, if it has one.
	Name string
	// Do presses the keys, and checks what came of them in the document.
	Do func(t *testing.T, c *Console, a *apitest.Array)
	// Served checks what initiators find then. It is called where ESOS's own
	// engine serves; nil if they find what they did before.
	Served func(t *testing.T, a *apitest.Array)
}

// Drive takes the steps one after another. Where ESOS's own engine serves, it
// has to serve what the document says after each.
func (c *Console) Drive(t *testing.T, a *apitest.Array, steps []Step) {
	t.Helper()
	whole := c.t
	defer func() { c.t = whole }()
	for _, s := range steps {
		good := t.Run(s.Name, func(t *testing.T) {
			c.t = t
			s.Do(t, c, a)
			if !a.Native() {
				return
			}
			a.Well(t)
			if s.Served != nil {
				s.Served(t, a)
			}
		})
		if !good {
			return // the next ones build on it
		}
	}
}

// Both drives the same steps twice: on an array with the options, whose engine
// is in memory, with golden screens; and without them on one whose engine is
// ESOS's own, with a real target process. begin sets each up once it runs.
// Portals, by their order, are at other addresses on the second, which are this
// machine's: 127.0.0.1, 127.0.0.2 ... at a port that is free.
func Both(t *testing.T, o apitest.Options, begin func(*testing.T, *apitest.Array), steps []Step) {
	t.Helper()
	for _, name := range []string{"memory", "native"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := o
			if o.Native = name == "native"; o.Native {
				o.Document = local(o.Document)
			}
			a := apitest.New(t, o)
			if begin != nil {
				begin(t, a)
			}
			New(t, Options{Client: a.Client, Blind: o.Native}).Drive(t, a, steps)
		})
	}
}

// local puts the portals of a document on this machine.
func local(document string) string {
	n := 0
	return regexp.MustCompile(`address: "[^"]*"`).ReplaceAllStringFunc(document, func(string) string {
		n++
		return fmt.Sprintf(`address: "127.0.0.%d:0"`, n)
	})
}
