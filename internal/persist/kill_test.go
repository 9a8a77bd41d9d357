package persist

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the process that is killed, too.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ESOS_TEST_SAVE"); dir != "" {
		if err := saveForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// saveForever saves counted settings, and says after each that it is saved.
func saveForever(dir string) error {
	hosts := filepath.Join(dir, "upper/etc/hosts")
	text, err := os.ReadFile(hosts)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	for {
		n++
		if err := os.WriteFile(hosts, []byte(strconv.Itoa(n)), 0o600); err != nil {
			return err
		}
		if _, err := Save(context.Background(), filepath.Join(dir, "conf"), filepath.Join(dir, "upper"), Options{Keep: 2, Slot: "PRIMARY"}); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// TestKilled kills a process that saves all the time, with SIGKILL, at moments
// of no order: what it said to be saved is saved.
func TestKilled(t *testing.T) {
	const rounds = 20
	dir := inMemory(t)
	fill(t, dir, map[string]string{"upper/etc/hosts": "0", "conf/": ""})
	last, saved := 0, 0
	for round := range rounds {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), "ESOS_TEST_SAVE="+dir)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(60+round*9)*time.Millisecond, func() { _ = c.Process.Kill() })
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			n, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
			if err != nil {
				break // cut
			}
			last = n
			saved++
		}
		_, _ = io.Copy(io.Discard, out)
		_ = c.Wait() // it was killed
		kill.Stop()
		text, r := hosts(t, filepath.Join(dir, "conf"), filepath.Join(dir, "back"))
		now, err := strconv.Atoi(text)
		if last > 0 && (err != nil || now != last && now != last+1) {
			t.Fatalf("round %d: %q came back, and %d was said to be saved: %+v", round, text, last, r)
		}
		// The next process counts on from what came back.
		if last > 0 {
			last = now
			write1(t, filepath.Join(dir, "upper/etc/hosts"), text)
		}
	}
	t.Logf("%d saves, killed %d times", saved, rounds)
	if saved < 5 { // on a busy machine a process hardly comes to its first
		t.Errorf("only %d saves were made", saved)
	}
}
