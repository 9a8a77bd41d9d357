package rootfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/tui/tuitest/terminal"
	"github.com/esos-project/esos/test/level"
)

// TestLogin: the console starts for administrators who log in on a terminal, and
// for nobody else; its end is that of the session, unless it failed.
func TestLogin(t *testing.T) {
	snippet := filepath.Join(level.Root(t), "internal/image/rootfs/etc/profile.d/zz-esos-console.sh")
	for _, x := range []struct {
		name           string
		groups         string // of the user; "" is root
		code           string // of the console
		files          []string
		env            []string
		shell          []string
		plain          bool   // no terminal
		says, not      string // what is shown, and what is not
		socket, leaves bool
	}{
		{name: "root", code: "0", says: "CONSOLE tui", not: "SHELL", leaves: true},
		{name: "admin with a role", groups: "ann sudo esos", code: "0", socket: true, says: "CONSOLE tui", not: "SUDO", leaves: true},
		{name: "admin without a role", groups: "admin sudo", code: "0", says: "SUDO esos tui", leaves: true},
		{name: "it failed", code: "1", says: "The console ended with code 1"},
		{name: "another user", groups: "bob users", code: "0", says: "SHELL", not: "CONSOLE"},
		{name: "kept off for all", code: "0", files: []string{"etc/no-login-tui"}, says: "SHELL", not: "CONSOLE"},
		{name: "kept off for one", code: "0", files: []string{"home/.no-login-tui"}, says: "SHELL", not: "CONSOLE"},
		{name: "in a shell of the console", code: "0", env: []string{"ESOS_CONSOLE=1"}, says: "SHELL", not: "CONSOLE"},
		{name: "a terminal that cannot", code: "0", env: []string{"TERM=dumb"}, says: "SHELL", not: "CONSOLE"},
		{name: "a command over SSH", code: "0", plain: true, says: "SHELL", not: "CONSOLE"},
		{name: "a script with a terminal", code: "0", shell: []string{"-c"}, says: "SHELL", not: "CONSOLE"},
	} {
		for _, sh := range []string{"sh", "bash"} {
			t.Run(x.name+" "+sh, func(t *testing.T) {
				dir := t.TempDir()
				bin := filepath.Join(dir, "bin")
				write := func(name, text string) {
					file := filepath.Join(dir, name)
					if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				id := "case $1 in -u) echo 0 ;; *) echo root ;; esac"
				if x.groups != "" {
					id = "case $1 in -u) echo 1000 ;; *) echo " + x.groups + " ;; esac"
				}
				write("bin/esos", "#!/bin/sh\necho CONSOLE $*\nexit "+x.code+"\n")
				write("bin/id", "#!/bin/sh\n"+id+"\n")
				write("bin/sudo", "#!/bin/sh\necho SUDO $*\nexit "+x.code+"\n")
				write("home/x", "")
				if x.socket {
					write("api.sock", "")
				}
				for _, f := range x.files {
					write(f, "")
				}
				args := []string{"-i", "-c"}
				if x.shell != nil {
					args = x.shell
				}
				c := exec.Command(sh, append(args, ". "+snippet+"\necho SHELL")...)
				if x.plain {
					c.Args = []string{sh, "-c", ". " + snippet + "\necho SHELL"}
				}
				c.Env = append([]string{"PATH=" + bin + ":/usr/bin:/bin", "TERM=vt100", "HOME=" + filepath.Join(dir, "home"), "ESOS_ETC=" + filepath.Join(dir, "etc"),
					"ESOS_SOCKET=" + filepath.Join(dir, "api.sock")}, x.env...)
				var out string
				if x.plain {
					b, err := c.CombinedOutput()
					if err != nil {
						t.Fatalf("%v: %s", err, b)
					}
					out = string(b)
				} else {
					term := terminal.Run(t, 80, 24, c)
					if code := term.Ends(); code != 0 {
						t.Errorf("exit code %d: %q", code, term.Output())
					}
					term.Wait(x.says)
					out = term.Output()
				}
				if !strings.Contains(out, x.says) || x.not != "" && strings.Contains(out, x.not) {
					t.Errorf("%q; want %q and not %q", out, x.says, x.not)
				}
				if x.leaves == strings.Contains(out, "SHELL") {
					t.Errorf("%q; want a session that ends: %v", out, x.leaves)
				}
			})
		}
	}
}
