package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/cli"
	"github.com/esos-project/esos/internal/tui/tuitest/terminal"
)

// shown runs esos tui in a terminal.
func shown(t *testing.T, socket string, env ...string) *terminal.Terminal {
	t.Helper()
	c := exec.Command(program, "tui", "--socket", socket)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TERMINFO=/nonexistent"}, env...)
	return terminal.Run(t, 80, 24, c)
}

// TestTerminals: the console starts on every kind of terminal, without a file of
// terminfo, and leaves it as it was.
func TestTerminals(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	const box, acs = "┌", "\x1b(0"
	for _, x := range []struct {
		name        string
		env         []string
		has, hasNot string
	}{
		{"linux", []string{"TERM=linux", "LANG=C.UTF-8"}, box, ""},
		{"xterm-256color", []string{"TERM=xterm-256color", "LANG=C.UTF-8"}, box, ""},
		{"screen", []string{"TERM=screen", "LANG=C.UTF-8"}, box, ""},
		{"vt100", []string{"TERM=vt100"}, "\x0e", box}, // its other character set, by shift out
		{"vt220", []string{"TERM=vt220"}, acs, box},    // without a locale nothing is known of UTF-8
		{"vt220 with UTF-8", []string{"TERM=vt220", "LANG=en_US.UTF-8"}, box, ""},
		{"linux without UTF-8", []string{"TERM=linux", "LC_ALL=C"}, "Sessions", box},
		{"an encoding that nobody knows", []string{"TERM=xterm", "LC_ALL=xx_XX.EBCDIC"}, "Sessions", box},
		{"a terminal that nobody knows", []string{"TERM=frobnicator", "LC_ALL=C"}, "Sessions", box},
		{"no colour", []string{"TERM=linux", "LANG=C.UTF-8", "NO_COLOR=1"}, box, "\x1b[44m"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			term := shown(t, a.Socket, x.env...)
			term.Wait("nterface")
			term.Shows("Nobody is logged in")
			out := term.Output()
			if !strings.Contains(out, x.has) || x.hasNot != "" && strings.Contains(out, x.hasNot) {
				t.Errorf("want %q and not %q in %q", x.has, x.hasNot, out)
			}
			term.Type("i\r") // Quit: this machine has no medium to save to
			if code := term.Ends(); code != 0 {
				t.Errorf("exit code %d: %q", code, term.Output())
			}
		})
	}
}

// TestConsoleEnds: who hangs up or ends it wanted that.
func TestConsoleEnds(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			term := shown(t, a.Socket, "TERM=xterm", "LANG=C.UTF-8")
			term.Wait("nterface")
			if err := term.Cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			if code := term.Ends(); code != 0 {
				t.Errorf("exit code %d: %q", code, term.Output())
			}
			term.Wait("\x1b[?1049l") // the screen is that of before
		})
	}
}

// TestConsoleWithoutDaemon: it waits for one.
func TestConsoleWithoutDaemon(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	a.Stop()
	term := shown(t, a.Socket, "TERM=xterm", "LANG=C.UTF-8")
	term.Shows("does not answer since")
	a.Start()
	term.Shows("Nobody is logged in")
}

func TestNoTerminal(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ name, says string }{{"none", "needs a terminal"}, {"dumb", "TERM=dumb"}} {
		c := exec.Command(program, "tui")
		c.Env = []string{"TERM=dumb", "HOME=" + t.TempDir()}
		var out string
		var code int
		if x.name == "none" {
			b, _ := c.CombinedOutput()
			out, code = string(b), c.ProcessState.ExitCode()
		} else {
			term := terminal.Run(t, 80, 24, c)
			code = term.Ends()
			term.Wait(x.says)
			out = term.Output()
		}
		if code != 2 || !strings.Contains(out, x.says) {
			t.Errorf("%s: exit code %d, %q; want 2 and %q", x.name, code, out, x.says)
		}
	}
}

// TestThemeIsKept: in the user's own file, and it is there the next time.
func TestThemeIsKept(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	dir := t.TempDir()
	env := []string{"TERM=linux", "LANG=C.UTF-8", "XDG_CONFIG_HOME=" + dir}
	term := shown(t, a.Socket, env...)
	term.Shows("Nobody is logged in")
	term.Type("icccccc")
	term.Type("\r")
	term.Shows("kept for you")
	term.Type("contrast\r")
	term.Shows("The theme is contrast")
	text, err := os.ReadFile(filepath.Join(dir, "esos", "tui.yaml"))
	if err != nil || !strings.Contains(string(text), "theme: contrast") {
		t.Fatalf("%v: %s", err, text)
	}
	term.Type("i\r")
	term.Ends()
	again := shown(t, a.Socket, env...)
	again.Shows("Nobody is logged in")
	if out := again.Output(); strings.Contains(out, ";44m") || strings.Contains(out, "[44m") {
		t.Errorf("the theme is blue again: %q", out)
	}
}

// TestShell: the console gives the terminal to a shell, and takes it back.
func TestShell(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	term := shown(t, a.Socket, "TERM=vt100", "LC_ALL=C", "PS1=prompt> ")
	term.Wait("nterface")
	term.Type("i")
	term.Type("\x1b[B\r")
	term.Wait("exit leads back")
	term.Type("echo inside=$ESOS_CONSOLE\r")
	term.Wait("inside=1")
	term.Type("exit\r")
	time.Sleep(100 * time.Millisecond)
	term.Type("iiii")
	term.Type("\r")
	if code := term.Ends(); code != 0 {
		t.Errorf("exit code %d: %q", code, term.Output())
	}
}

// TestSupportBundle: secrets are not in it, wherever they occur.
func TestSupportBundle(t *testing.T) {
	t.Parallel()
	const secret, older = "Zk3vn8QpLw0Xs2", "Old7Yt5RrM9eKd1"
	document := func(s string) string {
		return `
version: 1
name: vault
devices: [{name: db01, handler: vdisk_nullio, size: 1GiB}]
targets:
- name: iqn.2026-11.org.esos-project:mail
  auth: {users: [{name: mail1, secret: ` + s + `}]}
  luns: [{lun: 0, device: db01}]
`
	}
	a := apitest.New(t, apitest.Options{Document: document(older)})
	file := filepath.Join(t.TempDir(), "new.yaml")
	if err := os.WriteFile(file, []byte(document(secret)), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if code := cli.Main(context.Background(), []string{"apply", "--socket", a.Socket, "--yes", "-f", file, "--why", "the secret is " + secret}, strings.NewReader(""), &said, &said); code != 0 {
		t.Fatalf("apply: %s", said.String())
	}
	bundle := filepath.Join(t.TempDir(), "bundle.tar.gz")
	said.Reset()
	if code := cli.Main(context.Background(), []string{"support-bundle", "--socket", a.Socket, bundle}, strings.NewReader(""), &said, &said); code != 0 {
		t.Fatalf("support-bundle: %s", said.String())
	}
	info, err := os.Stat(bundle)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: others can read it: %v", err, info.Mode())
	}
	f, err := os.Open(bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(text)
	}
	for name, text := range files {
		if strings.Contains(text, secret) || strings.Contains(text, older) {
			t.Errorf("a secret is in %s", name)
		}
	}
	if !strings.Contains(files["esos-support/esos/config-show.txt"], "iqn.2026-11.org.esos-project:mail") {
		t.Errorf("the document is not in it: %s", files["esos-support/esos/config-show.txt"])
	}
	if !strings.Contains(files["esos-support/esos/config-history.txt"], "the secret is (secret)") {
		t.Errorf("the history is not in it, or not as it should be: %s", files["esos-support/esos/config-history.txt"])
	}
	if files["esos-support/commands/uname_-a.txt"] == "" {
		t.Error("the kernel's version is not in it")
	}
	for name := range files {
		if strings.Contains(name, "shadow") || strings.Contains(name, "/ssh") {
			t.Errorf("%s is in it", name)
		}
	}
}
