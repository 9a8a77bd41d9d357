// Package hwraidtest imitates the programs of RAID controllers' vendors, for
// tests: a program in a directory, which keeps what the controller has in a file
// beside it.
package hwraidtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// variable tells a test's own binary that it is to be the program.
const variable = "ESOS_TEST_RAID_STATE"

// Main is to be the first call of TestMain: if the test's binary was started as
// the program, it is that, and the code that it ends with is returned.
func Main() (code int, is bool) {
	file := os.Getenv(variable)
	if file == "" {
		return 0, false
	}
	var s State
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99, true
	}
	code = s.storcli(os.Args[1:])
	s.Calls = append(s.Calls, strings.Join(os.Args[1:], " "))
	if err := s.save(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99, true
	}
	return code, true
}

// State is what the program knows.
type State struct {
	Model   string
	Serial  string
	Drives  []*Drive
	Volumes []*Volume
	Calls   []string // with which arguments it was called
	Refuse  string   // what it says to every change
	Print   string   // what it prints, whatever is asked
	Code    int      // that it ends with then
	// Disks are what the kernel has new volumes as.
	Disks []string
}

// Drive is a disk at the controller.
type Drive struct{ Place, State, Medium, Model, Serial, Group string }

// Volume is a volume.
type Volume struct {
	Number             int
	Level, Cache, Disk string
	Drives             []string
}

func (s *State) save(file string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// Program is one that is in place.
type Program struct {
	Root, Path string
	t          testing.TB
	file       string
}

// Shelf is a controller with seven drives: two in a volume, one in which
// nothing can be had, a hot spare, three that are free.
func Shelf() State {
	s := State{Model: "Imitation 9000-8i", Serial: "SV00000001", Disks: []string{"/dev/vdb", "/dev/vdc"}}
	for i, state := range []string{"Onln", "Onln", "UGood", "UGood", "UGood", "GHS", "UBad"} {
		s.Drives = append(s.Drives, &Drive{Place: fmt.Sprintf("252:%d", i), State: state, Medium: "HDD", Model: "IMITATION-4T", Serial: fmt.Sprintf("K%04d", i), Group: "-"})
	}
	s.Drives[0].Group, s.Drives[1].Group = "0", "0"
	s.Volumes = []*Volume{{Number: 0, Level: "RAID1", Cache: "NRWTD", Disk: "/dev/vda", Drives: []string{"252:0", "252:1"}}}
	return s
}

// Install puts a program into a root.
func Install(t testing.TB, root, name string, s State) *Program {
	t.Helper()
	dir := filepath.Join(root, map[string]string{"storcli64": "opt/MegaRAID/storcli", "perccli64": "opt/MegaRAID/perccli", "arcconf": "opt/Arcconf"}[name]) // as internal/image/raidcli has it
	p := &Program{Root: root, Path: filepath.Join(dir, name), file: filepath.Join(dir, "state.json"), t: t}
	self, err := os.Executable()
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = s.save(p.file)
	}
	if err != nil {
		t.Fatal(err)
	}
	// With the race detector a process would wait a second before it ends.
	p.Script(variable + "='" + p.file + "' GORACE=atexit_sleep_ms=0 exec '" + self + "' \"$@\"")
	return p
}

// Script has the program do something else: commands of a shell.
func (p *Program) Script(commands string) {
	p.t.Helper()
	// A process that is forked while the file is written has it open for writing
	// until it is another program, and the kernel runs no such file.
	syscall.ForkLock.RLock()
	err := os.WriteFile(p.Path, []byte("#!/bin/sh\n"+commands+"\n"), 0o600)
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = os.Chmod(p.Path, 0o755) // whatever the umask is: tests beside this one change it for a moment
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// State is what the program knows now.
func (p *Program) State() State {
	p.t.Helper()
	var s State
	text, err := os.ReadFile(p.file)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// Set changes what the program knows.
func (p *Program) Set(change func(*State)) {
	p.t.Helper()
	s := p.State()
	change(&s)
	if err := s.save(p.file); err != nil {
		p.t.Fatal(err)
	}
}

// Changes are the calls that were to change something.
func (p *Program) Changes() []string {
	p.t.Helper()
	return slices.DeleteFunc(p.State().Calls, func(c string) bool { return strings.Contains(c, " show ") })
}
