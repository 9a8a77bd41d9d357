package cli

import (
	"context"
	"errors"
	"log/syslog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/tui/tuitest/terminal"
)

// LogVariable names the socket of a log: the tests' program is esos then, with
// that one as the system's.
const LogVariable = "ESOS_CLI_TEST_LOG"

// MainWithLog is Main with a log that a test reads.
func MainWithLog(socket string, args []string) int {
	dial := func(p syslog.Priority, tag string) (*syslog.Writer, error) {
		return syslog.Dial("unixgram", socket, p, tag)
	}
	return (&app{in: os.Stdin, out: os.Stdout, err: os.Stderr, dialLog: dial}).main(context.Background(), args)
}

// TestConsoleLog: T0.14, the system's log has who came, what was confirmed, and
// that they left, as esos_tui of facility local4.
func TestConsoleLog(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := apitest.New(t, apitest.Options{})
	dir := t.TempDir()
	log, err := net.ListenPacket("unixgram", filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := exec.Command(self, "tui", "--socket", a.Socket)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=xterm", "LANG=C.UTF-8", "SUDO_USER=ann", LogVariable + "=" + log.LocalAddr().String()}
	term := terminal.Run(t, 80, 24, c)
	term.See("Nobody is logged in")
	term.Type("d")
	term.See("Add Device")
	term.Type("\x1b[B\x1b[B\r")
	term.See("─ Add Device ─")
	term.Type("db01\t null\r")
	term.See("vdisk_nullio")
	term.Gone("Image file")
	term.Type("64MiB" + strings.Repeat("\x1b[Z", 4) + "\r")
	term.See("Press c to carry this out")
	term.Type("c")
	term.See("Carry this out?")
	term.Type("\x1b[D\r")
	term.See("Done: revision")
	term.Type("i\r")
	if code := term.Ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	who := "ann"
	if os.Geteuid() != 0 {
		who = sitting()
	}
	for _, want := range []string{"came", "confirmed: esos device create db01", "left"} {
		got := line(t, log)
		// RFC 3164, 4.1.1: facility local4 is 20, severity informational 6.
		if !strings.HasPrefix(got, "<166>") || !strings.Contains(got, " esos_tui[") || !strings.Contains(got, "]: "+who+": "+want) {
			t.Errorf("the log has %q, want <166> ... esos_tui[...]: %s: %s", got, who, want)
		}
	}
}

func line(t *testing.T, log net.PacketConn) string {
	t.Helper()
	b := make([]byte, 4096)
	if err := log.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _, err := log.ReadFrom(b)
	if err != nil {
		t.Fatal(errors.Join(errors.New("nothing more is logged"), err))
	}
	return string(b[:n])
}
