package components

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestScriptAndJudge runs the script with sh, with a systemctl of the test's
// own, and reads what it prints.
func TestScriptAndJudge(t *testing.T) {
	bin := t.TempDir()
	const systemctl = `#!/bin/sh
case "$1 $2" in
"is-active on.service") echo active ;;
"is-active "*) echo inactive; exit 3 ;;
"cat gone.service") exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(systemctl), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		c    Component
		want string // of the error; "" for none
		out  string
	}{
		{Component{Name: "good", Check: "echo it\\'s $((6*7))", Expect: "^it's 42$"}, "", "it's 42"},
		{Component{Name: "quoted", Check: `printf '%s\n' 'a|b' "@exit 1"`, Expect: `^a\|b`}, "", "a|b\n@exit 1"},
		{Component{Name: "fails", Check: "echo here; exit 3", Expect: "here"}, "exit code 3", "here"},
		{Component{Name: "differs", Check: "echo version 1 >&2", Expect: "version 2"}, "does not match version 2", "version 1"},
		{Component{Name: "no newline", Check: "printf x", Expect: "^x$"}, "", "x"},
		{Component{Name: "reads nothing", Check: "cat; echo end", Expect: "^end$"}, "", "end"},
		{Component{Name: "off", Check: "echo a", Expect: "a", Off: []string{"off.service"}}, "", "a"},
		{Component{Name: "on", Check: "echo a", Expect: "a", On: []string{"on.service"}}, "", "a"},
		{Component{Name: "not off", Check: "echo a", Expect: "a", Off: []string{"on.service"}}, "is active, not inactive", "a"},
		{Component{Name: "not on", Check: "echo a", Expect: "a", On: []string{"off.service"}}, "is inactive, not active", "a"},
		{Component{Name: "no unit", Check: "echo a", Expect: "a", Off: []string{"gone.service"}}, "is absent, not inactive", "a"},
	}
	var list []Component
	for _, test := range tests {
		list = append(list, test.c)
	}
	script := strings.Replace(Script(list), "PATH=", "PATH="+bin+":", 1)
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(script)
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("the script: %v", err)
	}
	// What a console makes of it.
	text := "[   12.3] a line of the kernel\r\n" + strings.ReplaceAll(string(output), "\n", "\r\n")
	for i, v := range Judge(list, text) {
		want := tests[i].want
		switch {
		case want == "" && v.Err != nil:
			t.Error(v.Err)
		case want != "" && (v.Err == nil || !strings.Contains(v.Err.Error(), want)):
			t.Errorf("%s: error %v, want one with %q", v.Component, v.Err, want)
		}
		if v.Output != tests[i].out {
			t.Errorf("%s: output %q, want %q", v.Component, v.Output, tests[i].out)
		}
	}
}

func TestJudgeOfWhatDidNotRun(t *testing.T) {
	list := []Component{{Name: "a", Expect: "a"}, {Name: "b", Expect: "b"}, {Name: "c", Expect: "c"}}
	got := Judge(list, "@component 1\n|a\n@exit 0\n\n@component 2\n|b\n")
	for i, want := range []string{"", "did not end", "did not run"} {
		err := got[i].Err
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", got[i].Component, err, want)
		}
	}
}
