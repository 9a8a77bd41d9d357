package persist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// op is one step that was done to a medium.
type op struct {
	kind     string // write, rename, remove, syncdir
	path, to string
	data     []byte
}

func (o op) String() string { return strings.TrimSpace(o.kind + " " + filepath.Base(o.path)) }

// flaky is a medium that keeps a log of what is done to it, and that fails
// where a test says so.
type flaky struct {
	medium
	ops   []op
	calls int
	fail  int  // the call that fails; none if 0
	late  bool // it fails after it was done, and not instead of it
	free  []int64
}

func (f *flaky) step(o op, do func() error) error {
	f.calls++
	if f.calls == f.fail {
		if f.late {
			_ = do()
		}
		return fmt.Errorf("%s: %w", o, unix.EIO)
	}
	err := do()
	if err == nil && o.kind != "" {
		f.ops = append(f.ops, o)
	}
	return err
}

func (f *flaky) Write(path string, from func(io.Writer) error) error {
	var data bytes.Buffer
	if err := from(&data); err != nil {
		return err
	}
	return f.step(op{kind: "write", path: path, data: data.Bytes()}, func() error { return f.medium.Write(path, whole(data.Bytes())) })
}

func (f *flaky) Rename(from, to string) error {
	return f.step(op{kind: "rename", path: from, to: to}, func() error { return f.medium.Rename(from, to) })
}

func (f *flaky) Remove(path string) error {
	return f.step(op{kind: "remove", path: path}, func() error { return f.medium.Remove(path) })
}

func (f *flaky) SyncDir(dir string) error {
	return f.step(op{kind: "syncdir", path: dir}, func() error { return f.medium.SyncDir(dir) })
}

func (f *flaky) Digest(path string) (sum string, err error) {
	err = f.step(op{path: path}, func() error { sum, err = f.medium.Digest(path); return err })
	return sum, err
}

func (f *flaky) Free(dir string) (n int64, err error) {
	err = f.step(op{path: dir}, func() error {
		n = 1 << 40
		if len(f.free) > 0 {
			n, f.free = f.free[0], f.free[1:]
		}
		return nil
	})
	return n, err
}

// names is what a directory tree holds: text by path.
type names map[string]string

func readNames(t *testing.T, dir string) names {
	t.Helper()
	all := names{}
	err := filepath.Walk(dir, func(p string, st os.FileInfo, err error) error {
		if err != nil || st.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		all[p] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// afterCut returns every state that a power cut after the steps ops may leave
// of the medium, the last of them being done halfway. What the model takes
// from a medium is all that fsync does not promise: a file that is not synced
// has any part of its bytes, or zeroes; of what was done to names since their
// directory was synced, any part is there.
func afterCut(before names, ops []op) []names {
	durable, text := maps.Clone(before), maps.Clone(before) // text: what a path leads to, were all durable
	type change func(names)
	var pending []change
	pendingIn := []string{}
	var halves []string // what the file of the last write may have
	for i, o := range ops {
		last := i == len(ops)-1
		switch o.kind {
		case "write":
			data := string(o.data)
			if last {
				half := data[:len(data)/2]
				halves = []string{"", half, half + strings.Repeat("\x00", len(data)-len(half)), data}
			}
			text[o.path] = data
			pending = append(pending, func(n names) { n[o.path] = data })
			pendingIn = append(pendingIn, filepath.Dir(o.path))
		case "rename":
			data := text[o.path]
			text[o.to] = data
			delete(text, o.path)
			pending = append(pending, func(n names) { n[o.to] = data; delete(n, o.path) })
			pendingIn = append(pendingIn, filepath.Dir(o.to))
		case "remove":
			delete(text, o.path)
			pending = append(pending, func(n names) { delete(n, o.path) })
			pendingIn = append(pendingIn, filepath.Dir(o.path))
		case "syncdir":
			if last {
				break // cut before it did anything
			}
			var left []change
			var leftIn []string
			for j, c := range pending {
				if pendingIn[j] == o.path {
					c(durable)
				} else {
					left, leftIn = append(left, c), append(leftIn, pendingIn[j])
				}
			}
			pending, pendingIn = left, leftIn
		}
	}
	var states []names
	for subset := range 1 << len(pending) {
		n := maps.Clone(durable)
		for j, c := range pending {
			if subset&(1<<j) != 0 {
				c(n)
			}
		}
		states = append(states, n)
		if len(halves) > 0 && subset&(1<<(len(pending)-1)) != 0 {
			for _, h := range halves {
				torn := maps.Clone(n)
				torn[ops[len(ops)-1].path] = h
				states = append(states, torn)
			}
		}
	}
	return states
}

// lay makes a directory of a state.
func (n names) lay(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(to, generationsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for p, text := range n {
		rel, err := filepath.Rel(from, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, rel), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// hosts restores into upper and returns etc/hosts.
func hosts(t *testing.T, dir, upper string) (string, Restored) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(upper, "etc")); err != nil {
		t.Fatal(err)
	}
	r := mustRestore(t, dir, upper)
	text, err := os.ReadFile(filepath.Join(upper, "etc/hosts"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text), r
}

// situations in which a generation "new" is saved after "old".
func situations() map[string]struct {
	before []string
	damage int     // this generation has lost its archive
	free   []int64 // as told to Save
	keep   int
	old    string
} {
	type s = struct {
		before []string
		damage int
		free   []int64
		keep   int
		old    string
	}
	return map[string]s{
		"the first":              {old: ""},
		"the second":             {before: []string{"old"}, old: "old"},
		"with pruning":           {before: []string{"1", "2", "3", "old"}, keep: 2, old: "old"},
		"short of room":          {before: []string{"1", "2", "old"}, free: []int64{0, 0}, old: "old"},
		"short, newest damaged":  {before: []string{"1", "old", "3"}, damage: 3, free: []int64{0, 0}, old: "old"},
		"again, newest damaged":  {before: []string{"old", "new"}, damage: 2, old: "old"},
		"same settings in a row": {before: []string{"old", "old", "old"}, keep: 2, old: "old"},
	}
}

// TestPowerCut cuts the power at every step of a save, in every way that the
// medium is free to have it, and then boots: always the old or the new
// settings, never neither; the new ones, once Save has said so. The next save
// works.
func TestPowerCut(t *testing.T) {
	newer := t.TempDir()
	fill(t, newer, map[string]string{"etc/hosts": "new"})
	cuts := 0
	for name, s := range situations() {
		t.Run(name, func(t *testing.T) {
			dir := prepare(t, s.before, s.damage)
			before := readNames(t, dir)
			f := &flaky{free: s.free}
			if _, err := save(t.Context(), f, dir, newer, Options{Keep: s.keep, Slot: "PRIMARY"}); err != nil {
				t.Fatal(err)
			}
			after, upper := inMemory(t), inMemory(t)
			for n := range len(f.ops) + 1 {
				for _, state := range afterCut(before, f.ops[:n]) {
					cuts++
					state.lay(t, dir, after)
					got, r := hosts(t, after, upper)
					if got != s.old && got != "new" {
						t.Fatalf("cut at %v: %q came back: %+v\nfiles: %q", f.ops[:n], got, r, slices.Sorted(maps.Keys(state)))
					}
					if err := saveAgain(t, after, newer, upper); err != nil {
						t.Fatalf("cut at %v: %v\nfiles: %q", f.ops[:n], err, slices.Sorted(maps.Keys(state)))
					}
				}
			}
			// All was done: nothing that is not synced may matter.
			for _, state := range afterCut(before, append(f.ops, op{kind: "none"})) {
				cuts++
				state.lay(t, dir, after)
				if got, r := hosts(t, after, upper); got != "new" {
					t.Fatalf("cut after the save: %q came back: %+v", got, r)
				}
			}
		})
	}
	t.Logf("%d states of the medium", cuts)
	if cuts < 500 {
		t.Errorf("only %d states were looked at", cuts)
	}
}

// inMemory is a directory where fsync takes no time, if the machine has one.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "esos-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// prepare makes a medium with generations.
func prepare(t *testing.T, before []string, damage int) string {
	t.Helper()
	dir := inMemory(t)
	for i, text := range before {
		upper := t.TempDir()
		fill(t, upper, map[string]string{"etc/hosts": text, "root/.bash_history": fmt.Sprint(i)})
		mustSave(t, dir, upper, Options{})
	}
	if damage > 0 {
		if err := os.Truncate(shelf{dir: dir}.path(damage, archiveSuffix), 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, generationsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func saveAgain(t *testing.T, dir, newer, upper string) error {
	t.Helper()
	if _, err := Save(t.Context(), dir, newer, Options{}); err != nil {
		return fmt.Errorf("the next save: %w", err)
	}
	if got, r := hosts(t, dir, upper); got != "new" || r.Generation == nil {
		return fmt.Errorf("after the next save %q came back: %+v", got, r)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", tempPrefix+"*"))
	if len(left) > 0 {
		return fmt.Errorf("files are left half done: %q", left)
	}
	return err
}

// TestFaults lets each step fail, instead of being done and after it was done.
func TestFaults(t *testing.T) {
	newer := t.TempDir()
	fill(t, newer, map[string]string{"etc/hosts": "new"})
	failed := 0
	for name, s := range situations() {
		t.Run(name, func(t *testing.T) {
			whole, dir, upper := prepare(t, s.before, s.damage), inMemory(t), inMemory(t)
			before := readNames(t, whole)
			for _, late := range []bool{false, true} {
				for fail := 1; ; fail++ {
					before.lay(t, whole, dir)
					f := &flaky{free: s.free, fail: fail, late: late}
					sv, err := save(t.Context(), f, dir, newer, Options{Keep: s.keep, Slot: "PRIMARY"})
					if f.calls < fail {
						break
					}
					failed++
					if err != nil && !errors.Is(err, unix.EIO) {
						t.Fatalf("fault %d: %v", fail, err)
					}
					if err == nil && len(sv.Warnings) == 0 {
						t.Fatalf("fault %d (late: %v) is not told: %+v", fail, late, sv)
					}
					got, r := hosts(t, dir, upper)
					if got != "new" && (err == nil || got != s.old) {
						t.Fatalf("fault %d, Save said %v: %q came back: %+v", fail, err, got, r)
					}
					if err := saveAgain(t, dir, newer, upper); err != nil {
						t.Fatalf("fault %d: %v", fail, err)
					}
				}
			}
		})
	}
	t.Logf("%d faults", failed)
}

// TestFull: a medium without room is told, and keeps its newest good generation.
func TestFull(t *testing.T) {
	newer := t.TempDir()
	fill(t, newer, map[string]string{"etc/hosts": "new"})
	dir, upper := prepare(t, []string{"1", "2", "old", "4"}, 4), t.TempDir()
	sv, err := save(t.Context(), &flaky{free: make([]int64, 100)}, dir, newer, Options{})
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), dir) || !slices.Equal(sv.Pruned, []int{1, 2, 4}) {
		t.Errorf("a full medium: %+v, %v", sv, err)
	}
	if got, r := hosts(t, dir, upper); got != "old" {
		t.Errorf("%q came back: %+v", got, r)
	}
}

// TestForgetful: a medium that does not keep what is written to it is found out
// before anything depends on it.
func TestForgetful(t *testing.T) {
	newer := t.TempDir()
	fill(t, newer, map[string]string{"etc/hosts": "new"})
	dir, upper := prepare(t, []string{"old"}, 0), t.TempDir()
	_, err := save(t.Context(), forgetful{}, dir, newer, Options{})
	if err == nil || !strings.Contains(err.Error(), "failing") {
		t.Errorf("a failing medium: %v", err)
	}
	if got, r := hosts(t, dir, upper); got != "old" || len(r.Skipped) > 0 {
		t.Errorf("%q came back: %+v", got, r)
	}
}

type forgetful struct{ medium }

func (f forgetful) Write(path string, from func(io.Writer) error) error {
	var data bytes.Buffer
	if err := from(&data); err != nil {
		return err
	}
	data.Bytes()[data.Len()/2] ^= 4
	return f.medium.Write(path, whole(data.Bytes()))
}
