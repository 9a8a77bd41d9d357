package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/tui/console"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// start opens the menu of a console whose commands end with a code and say
// something.
func start(t *testing.T, code int, said string) *tuitest.Console {
	t.Helper()
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client, Command: func(_ context.Context, args []string, _ io.Reader, out io.Writer) int {
		_, _ = io.WriteString(out, strings.Join(args, " ")+": "+said)
		return code
	}})
	c.In(func(d *frame.Desk) { d.Menu(console.Menu()) })
	return c
}

// entry opens an entry of the menu.
func entry(c *tuitest.Console, title string) {
	for i, a := range console.Menu().Actions {
		if a.Title == title {
			for range i {
				c.Press(tcell.KeyDown)
			}
			break
		}
	}
	c.Enter()
}

func TestMenu(t *testing.T) {
	t.Parallel()
	start(t, 0, "").Golden("menu")
}

func TestQuit(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, said string
		code       int
		ends       bool
	}{
		{"I1 quit: saved", "saved as generation 8", 0, true},
		{"I1 quit: no medium to save to", "this machine is no ESOS appliance", 8, true},
		{"I1 quit: not allowed to save", "only root may", 6, true},
		{"I1 quit: the stick is gone", "the medium is not there", 9, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, x.code, x.said)
			if x.ends {
				c.Leaves(func() { c.Send(tcell.KeyEnter) })
				return
			}
			entry(c, "Quit")
			c.Wait("The settings were not saved")
			c.Shows("the medium is not there")
			c.Golden("quit-unsaved")
			c.Enter() // stay
			c.Gone("The settings were not saved")
			c.In(func(d *frame.Desk) { d.Menu(console.Menu()) })
			entry(c, "Quit")
			c.Wait("The settings were not saved")
			c.Press(tcell.KeyRight)
			c.Leaves(func() { c.Send(tcell.KeyEnter) })
		})
	}
}

func TestShell(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	left, root := 0, errors.New("sudo: no")
	c := tuitest.New(t, tuitest.Options{Client: a.Client, Shell: func() error { left++; return nil }, Root: func() error { return root }})
	open := func(title string) {
		c.In(func(d *frame.Desk) { d.Menu(console.Menu()) })
		entry(c, title)
	}
	t.Run("I2 exit to shell", func(t *testing.T) {
		open("Exit to Shell")
		if left != 1 {
			t.Errorf("%d shells, want 1", left)
		}
		open("About") // and it goes on
		c.Shows("Apache License")
		c.Escape()
	})
	open("Become Root")
	c.Wait("That was refused")
	c.Golden("become-root")
	c.Enter()
	root = nil
	open("Become Root")
	c.Shows("commands that only root may run work, too")
}

func TestTheme(t *testing.T) {
	t.Parallel()
	t.Run("I3 color theme", func(t *testing.T) {
		var kept []string
		a := apitest.New(t, apitest.Options{})
		c := tuitest.New(t, tuitest.Options{Client: a.Client, Keep: func(x frame.Theme) error {
			kept = append(kept, x.Name)
			return nil
		}})
		for _, name := range []string{"black", "contrast", "none", "blue"} {
			c.In(func(d *frame.Desk) { d.Menu(console.Menu()) })
			entry(c, "Color Theme")
			if name == "black" {
				c.Golden("theme")
			}
			c.Type(name)
			c.Enter()
			c.Shows("The theme is " + name)
			c.In(func(d *frame.Desk) {
				if d.Theme().Name != name {
					t.Errorf("the theme is %s, want %s", d.Theme().Name, name)
				}
			})
		}
		if got := strings.Join(kept, " "); got != "black contrast none blue" {
			t.Errorf("kept %s", got)
		}
	})
}

// TestThemeNotKept: a theme that cannot be kept is in force all the same.
func TestThemeNotKept(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client, Keep: func(frame.Theme) error { return errors.New("write /home/ann/.esos-theme: no space is left") }})
	c.In(func(d *frame.Desk) { d.Menu(console.Menu()) })
	entry(c, "Color Theme")
	c.Type("contrast")
	c.Enter()
	c.Wait("it is not kept")
	c.Golden("theme-not-kept")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	t.Run("I4 help", func(t *testing.T) {
		c := start(t, 0, "")
		entry(c, "Help")
		c.Shows("draw the screen anew")
		c.Golden("help")
	})
}

func TestSupportBundle(t *testing.T) {
	t.Parallel()
	t.Run("I5 support bundle", func(t *testing.T) {
		c := start(t, 0, "/tmp/esos-support.tar.gz\n")
		entry(c, "Support Bundle")
		c.Wait("Secrets are left out")
		c.Golden("support")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Wait("support-bundle: /tmp/esos-support.tar.gz")
		c.Wait("Done. Esc goes back")
	})
}

func TestAbout(t *testing.T) {
	t.Parallel()
	t.Run("I6 about", func(t *testing.T) {
		c := start(t, 0, "")
		entry(c, "About")
		c.Shows("Apache License, version 2.0")
		host, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		c.Shows(host)
		built := runtime.Version() + " for " + runtime.GOOS + "/" + runtime.GOARCH
		c.Golden("about", fmt.Sprintf("%-60s", host), fmt.Sprintf("%-60s", "vault"), fmt.Sprintf("%-60s", built), fmt.Sprintf("%-60s", "go1.0 for linux/amd64"))
	})
	t.Run("T0.4 the licence can be read", func(t *testing.T) {
		c := start(t, 0, "")
		entry(c, "About")
		c.Type("l")
		c.Golden("licence")
		c.Shows("TERMS AND CONDITIONS FOR USE")
		ours, err := os.ReadFile("LICENSE")
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile("../../../LICENSE")
		if err != nil {
			t.Fatal(err)
		}
		if string(ours) != string(theirs) {
			t.Error("this package's LICENSE is not the tree's: copy it")
		}
	})
}
