// Package boot is what happens between the kernel and systemd: esos-init, the
// /init of the initramfs, runs it as process 1. It finds the medium, checks
// the slot's signature and digests while it copies the system into memory,
// brings the saved settings back and hands over. From then on the medium may
// be pulled.
//
// Run walks a list of stages; each is a method in a file of its own, and what
// one found out the next ones use. A stage that fails gives a person a shell
// and is tried again when they leave it: what it did before is done over or
// passed over. Damage that can be lived with is a warning, on the consoles and
// in the Report that the running system reads.
package boot

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/esos-project/esos/internal/boot/disks"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

// Boot boots a system. All but Root must be set.
type Boot struct {
	Linux Linux
	Log   *slog.Logger
	// Clock is the time since the kernel started.
	Clock func() time.Duration
	// Restore brings the settings that are saved in dir back into an overlay's
	// upper directory: persist.Restore.
	Restore func(ctx context.Context, dir, upper string, p persist.Prefer) (persist.Restored, error)
	// Rescue shows people what failed and gives them a shell. It returns when
	// the stage is to be tried again.
	Rescue func(ctx context.Context, stage string, reason error)
	// Attended waits for somebody at a console and says whether there is one: a
	// boot on trial that fails does not wait for ever.
	Attended func(ctx context.Context, wait time.Duration) bool
	// Root is put before the path of each file; "" but in tests.
	Root string

	times    times
	report   Report
	mounted  map[string]bool // by target
	words    []string        // of the kernel's command line
	modules  *modules
	scanner  *disks.Scanner
	manifest slot.Manifest // of the slot that is booted
	image    string        // its squashfs, checked
}

type stage struct {
	name string
	do   func(context.Context) error
	// back is how many stages before this one to begin again if it fails: a
	// medium that was pulled may be another device when it is back.
	back int
}

func (b *Boot) stages() []stage {
	return []stage{
		{"mount the kernel's file systems", b.mountKernel, 0},
		{"read the command line", b.readCommandLine, 0},
		{"save a crash", b.saveCrash, 0}, // of a crash kernel the last: it restarts the machine
		{"begin to load modules", b.startModules, 0},
		{"find the medium", b.findMedium, 0},
		{"check its file systems", b.checkFileSystems, 1},
		{"check and load the system", b.loadSlot, 2},
		{"mount the system", b.mountSystem, 0},
		{"restore the settings", b.restoreSettings, 0},
		{"put the root together", b.mountRoot, 0},
		{"leave the medium", b.leaveMedium, 0},
		{"finish loading modules", b.stopModules, 0},
		{"stop for a person", b.stopForRescue, 0},
		{"prepare the trial", b.prepareTrial, 0},
		{"write the report", b.writeReport, 0},
		{"hand over", b.handOver, 0},
	}
}

// Run boots. It returns when ctx ends; in the initramfs nobody ends it, and
// the last stage makes process 1 another program.
func (b *Boot) Run(ctx context.Context) error {
	b.mounted = map[string]bool{}
	if b.times == (times{}) {
		b.times = usualTimes()
	}
	stages := b.stages()
	for i := 0; i < len(stages); {
		s := stages[i]
		began := b.Clock()
		err := guarded(ctx, s.do)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", s.name, ctx.Err())
		}
		if err != nil && b.onTrial() {
			b.giveUp(ctx, s.name, err)
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", s.name, ctx.Err())
			}
		}
		if err != nil {
			b.Rescue(ctx, s.name, err)
			i -= s.back
			continue
		}
		took := b.Clock() - began
		b.report.Stages = append(b.report.Stages, Stage{Name: s.name, Began: seconds(began), Took: seconds(took)})
		b.Log.Info(s.name, "took", took.Round(time.Millisecond))
		i++
	}
	return nil
}

// guarded makes a mistake in a stage a failure of that stage. Process 1 must
// not end: the kernel would stop with a message that says nothing of the cause.
func guarded(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a mistake in esos-init, please report it: %v\n%s", r, debug.Stack())
		}
	}()
	return do(ctx)
}

// path is where a file of the initramfs is.
func (b *Boot) path(name string) string { return filepath.Join(b.Root, name) }

// warn tells people on the consoles, and those who look at the running system.
func (b *Boot) warn(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	b.report.Warnings = append(b.report.Warnings, text)
	b.Log.Warn(text)
}

// say tells people on the consoles.
func (b *Boot) say(format string, a ...any) {
	b.Log.Log(context.Background(), LevelSay, fmt.Sprintf(format, a...))
}
