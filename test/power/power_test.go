package power

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/power/writelog"
	"github.com/esos-project/esos/test/stand"
)

var shared stand.Shared

// TestMain lets the test binary be the process that boots a medium, too.
func TestMain(m *testing.M) {
	if Initramfs() {
		return
	}
	shared.Main(m)
}

// session is an appliance whose power is cut.
type session struct{ *stand.Stand }

// newSession is one that is off. The writes to the stick are logged if that is
// asked for.
func newSession(ctx context.Context, t *testing.T, logged bool) session {
	t.Helper()
	var o appliance.Options
	if logged {
		o.Boot.WriteLog = filepath.Join(t.TempDir(), "writes")
	}
	return session{shared.New(ctx, t, o)}
}

// position is how much the log of writes has.
func (s session) position() int64 {
	s.T.Helper()
	st, err := os.Stat(s.Options.Boot.WriteLog)
	if err != nil {
		s.T.Fatal(err)
	}
	return st.Size()
}

// settle waits until nothing was written for a while: what the boot has to
// save is saved then.
func (s session) settle(ctx context.Context) {
	s.T.Helper()
	const quiet = 5 * time.Second
	for before := int64(-1); before != s.position(); {
		before = s.position()
		select {
		case <-time.After(quiet):
		case <-ctx.Done():
			s.T.Fatal(ctx.Err())
		}
	}
}

// attempt makes a change that leads to a state.
func (s session) attempt(state int, change func() error) Attempt {
	s.T.Helper()
	a := Attempt{State: state, Began: s.position(), Done: never}
	if err := change(); err != nil {
		s.T.Fatal(err)
	}
	a.Done = s.position()
	return a
}

// writes reads the log of a session whose machine was stopped.
func (s session) writes() *writelog.Log {
	s.T.Helper()
	f, err := os.Open(s.Options.Boot.WriteLog)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = f.Close() })
	st, err := f.Stat()
	if err != nil {
		s.T.Fatal(err)
	}
	l, err := writelog.Read(f, st.Size())
	if err != nil {
		s.T.Fatal(err)
	}
	return l
}

// replayer boots the medium after cuts in a log.
type replayer struct {
	t       *testing.T
	stick   *Stick
	log     *writelog.Log
	dir     string
	keys    string
	kernel  string
	uuid    string // of esos_root
	boots   int
	skipped int // boots that passed a damaged generation over
}

// newReplayer begins with the shared medium.
func newReplayer(t *testing.T, log *writelog.Log, first int) *replayer {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("to boot a medium after a power cut its file systems are mounted: this needs root")
	}
	r := &replayer{t: t, log: log, keys: filepath.Join(shared.Lab(t).Out, "keys"), dir: workDir(t), kernel: shared.Manifest(t).Kernel}
	var err error
	if r.stick, err = NewStick(r.dir, shared.Medium(t), stand.StickSize, layout, log, first); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.stick.Close() })
	if r.uuid, err = extUUID(r.stick.Image, r.stick.Parts); err != nil {
		t.Fatal(err)
	}
	return r
}

func layout(f *os.File) ([]medium.Partition, error) { return medium.ReadLayout(f) }

// workDir is a directory in memory, if the machine has as much: media are
// copied there a hundred times.
func workDir(t *testing.T) string {
	t.Helper()
	const need = 6 << 30
	var st syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &st); err == nil && st.Bavail*uint64(st.Bsize) > need {
		if dir, err := os.MkdirTemp("/dev/shm", "esos-power-"); err == nil {
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			return dir
		}
	}
	return t.TempDir()
}

// boot boots the medium as a cut left it.
func (r *replayer) boot(ctx context.Context, c Cut, slots bool, files ...string) (Menu, Answer, error) {
	r.t.Helper()
	if err := r.stick.Cut(c); err != nil {
		r.t.Fatal(err)
	}
	menu, err := ReadMenu(r.stick.Image, r.stick.Parts)
	if err != nil {
		return menu, Answer{}, err
	}
	entry, words := menu.Next()
	dir, err := os.MkdirTemp(r.dir, "boot-")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			r.t.Errorf("after a boot: %v", err)
		}
	}()
	a, err := bootIn(ctx, Request{
		Image: r.stick.Image, Parts: r.stick.Parts, Kernel: r.kernel, Keys: r.keys, Dir: dir, Files: files, Slots: slots,
		Cmdline: strings.Join(append([]string{"slot=" + string(entry), "esos_medium=" + r.uuid}, words...), " "),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.boots++
	switch {
	case a.Stopped != "":
		return menu, a, fmt.Errorf("it does not boot: %s\n%s", a.Stopped, a.Log)
	case len(a.Report.DamagedSlots) > 0:
		return menu, a, fmt.Errorf("slot %s of GRUB's choice is damaged: %+v", entry, a.Report.DamagedSlots)
	case menu.EnvErr != nil:
		return menu, a, fmt.Errorf("GRUB lost its environment: %w", menu.EnvErr)
	}
	for label, p := range a.Report.Medium.Partitions {
		if p.Problem != "" {
			return menu, a, fmt.Errorf("%s cannot be put in order: %s", label, p.Problem)
		}
	}
	if skipped := a.Report.Restored.Skipped; len(skipped) > 0 {
		r.skipped++
		r.t.Logf("%v: passed over: %v", c, skipped)
	}
	return menu, a, nil
}

// bootIn boots in a process with a mount namespace of its own, whose end takes
// mounts and loop devices away.
func bootIn(ctx context.Context, q Request) (a Answer, err error) {
	text, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), initVariable+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	runtime.LockOSThread() // Pdeathsig is of the thread
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return a, fmt.Errorf("boot a medium on this machine: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("read how a boot went: %w", err)
	}
	return a, nil
}

// cuts chooses moments from one entry of the log to another: around flushes,
// and anywhere between; the same for the same seed.
func cuts(log *writelog.Log, first, last, count int, seed uint64) []Cut {
	r := rand.New(rand.NewPCG(seed, 0))
	var flushes []int
	for n := first; n <= last; n++ {
		if log.Entries[n-1].Flags&writelog.Flush != 0 {
			flushes = append(flushes, n)
		}
	}
	var list []Cut
	// A third where a flush has just been done, and where it just has not.
	for i := range count / 6 {
		if len(flushes) == 0 {
			break
		}
		n := flushes[i*len(flushes)/(count/6)]
		list = append(list, Cut{N: n}, Cut{N: max(first, n-1), Seed: 1 + r.Uint64N(1<<32)})
	}
	for len(list) < count {
		c := Cut{N: first + r.IntN(last-first+1)}
		if len(list)%3 > 0 {
			c.Seed = 1 + r.Uint64N(1<<32)
		}
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(a, b Cut) int { return a.N - b.N })
	return list
}

// extUUID reads the UUID of esos_root from its superblock.
func extUUID(image string, parts []medium.Partition) (string, error) {
	p, ok := medium.Labelled(parts, medium.LabelRoot)
	if !ok {
		return "", errors.New("the medium has no esos_root")
	}
	f, err := os.Open(image)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var u [16]byte
	if _, err := f.ReadAt(u[:], p.Start+1024+0x68); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]), nil
}
