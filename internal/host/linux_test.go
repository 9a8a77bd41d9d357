package host

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBlank(t *testing.T) {
	zeros := make([]byte, 4<<20)
	with := func(at int) []byte { b := bytes.Clone(zeros); b[at] = 1; return b }
	for name, c := range map[string]struct {
		data  []byte
		blank bool
		err   string
	}{
		"zeros":        {zeros, true, ""},
		"first byte":   {with(0), false, ""},
		"end of first": {with(1<<20 - 1), false, ""},
		"last byte":    {with(4<<20 - 1), false, ""},
		"last MiB":     {with(3 << 20), false, ""},
		"middle":       {with(2 << 20), true, ""}, // a wiped disk is blank
		"small":        {make([]byte, 512), true, ""},
		"small, data":  {append(make([]byte, 511), 1), false, ""},
		"no medium":    {nil, false, "it has no medium"},
	} {
		path := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		blank, err := Linux{}.Blank(path)
		if blank != c.blank || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v", name, blank, err)
		}
	}
	if blank, err := (Linux{}).Blank("/dev/none"); blank || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v, %v", blank, err)
	}
}

func TestOutput(t *testing.T) {
	out, err := Linux{}.Output(t.Context(), Call{Name: "sh", Args: []string{"-c", "cat; echo $LC_ALL; pwd"}, Input: "secret\n"})
	if err != nil || string(out) != "secret\nC.UTF-8\n/\n" {
		t.Errorf("%q, %v", out, err)
	}
	out, err = Linux{}.Output(t.Context(), Call{Name: "sh", Args: []string{"-c", "echo half; echo no disk >&2; echo here >&2; exit 3"}})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 3 || exit.Said != "no disk\nhere" || err.Error() != "sh: no disk; here" || string(out) != "half\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err = (Linux{}).Output(t.Context(), Call{Name: "false"}); err == nil || err.Error() != "false: exit status 1" {
		t.Error(err)
	}
	if _, err = (Linux{}).Output(t.Context(), Call{Name: "no-such-program"}); err == nil || errors.As(err, &exit) && exit.Name == "no-such-program" {
		t.Error(err)
	}
	if _, err = (Linux{}).Output(t.Context(), Call{Name: "sh", Args: []string{"-c", "yes long | head -c 9000 >&2; exit 1"}}); !errors.As(err, &exit) || len(exit.Said) > 2<<10 {
		t.Errorf("%d bytes of complaint are kept", len(exit.Said))
	}
}

// TestOutputEnds: a program that does not end is not waited for, nor are its
// children.
func TestOutputEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := Linux{}.Output(ctx, Call{Name: "sh", Args: []string{"-c", "sleep 8 & sleep 8"}})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "sh: ") {
		t.Error(err)
	}
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestSaveAndDelete(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b.json")
	l := Linux{}
	for _, text := range []string{"one", "two"} {
		if err := l.Save(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := l.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if names, err := l.ReadDir(filepath.Join(dir, "a")); err != nil || !slices.Equal(names, []string{"b.json"}) {
		t.Errorf("%v, %v", names, err)
	}
	if err := l.Save(filepath.Join(path, "below"), nil, 0o600); err == nil || !strings.Contains(err.Error(), "save ") {
		t.Error(err)
	}
	for range 2 {
		if err := l.Delete(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.ReadDir(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := l.Tell(path, "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the kernel's files are not made: %v", err)
	}
	if err := l.Delete(dir); err == nil {
		t.Error("a directory that holds something is deleted")
	}
}
