package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// TrialNote is what a system that failed its trial leaves for the one that is
// booted after it: the file TrialNoteFile in its slot on esos_root.
type TrialNote struct {
	When time.Time `json:"when"`
	Why  string    `json:"why"`
}

// TrialNoteFile is the name of a slot's TrialNote.
const TrialNoteFile = "trial.json"

// maxNote bounds what is believed of a TrialNote.
const maxNote = 64 << 10

// ReadTrialNote reads a slot's note.
func ReadTrialNote(path string) (TrialNote, error) {
	text, err := readLimited(path, maxNote)
	var n TrialNote
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil {
		return n, fmt.Errorf("read how the trial went: %w", err)
	}
	return n, nil
}

// onTrial says whether the slot that boots has to prove itself.
func (b *Boot) onTrial() bool { return b.report.Options.Trial && b.report.Options.ISO == NoISO }

// attendedTime is how long a boot on trial that failed waits for a person.
// Nobody may be there, and the other slot is: it is not to wait for ever.
const attendedTime = 60 * time.Second

// giveUp ends a boot on trial that failed: unless somebody is there, the machine
// restarts, and GRUB counts. It returns if there is somebody.
func (b *Boot) giveUp(ctx context.Context, stage string, reason error) {
	b.Log.Error("the boot on trial failed: "+stage, "reason", reason.Error())
	WriteConsoles(b.Root, fmt.Sprintf(`

ESOS could not be started. What failed: %s.
%v

This slot is on trial, and the other one is there. The machine restarts in %.0f
seconds. Press Enter for a shell.
`, stage, reason, attendedTime.Seconds()))
	if b.Attended(ctx, attendedTime) || ctx.Err() != nil {
		return
	}
	if err := b.leaveNote(fmt.Sprintf("%s: %v", stage, reason)); err != nil {
		b.Log.Warn("no word is left for the other slot", "error", err)
	}
	b.say("restarting")
	b.Linux.Restart()
}

// leaveNote writes down why this slot is not booted.
func (b *Boot) leaveNote(why string) error {
	p, ok := b.report.Medium.Partitions[labelRoot]
	if !ok {
		return errors.New("the medium is not known")
	}
	if err := b.modules.need("ext4"); err != nil {
		return err
	}
	// What can only be read is in the way.
	if err := b.unmount(filepath.Join(MediumDir, "root")); err != nil {
		return err
	}
	const dir = "/run/esos/note"
	if err := b.mount(p.Device, dir, "ext4", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	text, err := json.Marshal(TrialNote{When: time.Now().UTC(), Why: why})
	if err == nil {
		err = writeDurably(b.path(filepath.Join(dir, string(b.report.Options.Slot), TrialNoteFile)), append(text, '\n'))
	}
	return errors.Join(err, b.unmount(dir))
}

func writeDurably(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// TrialFile is there if the slot that runs is on trial. The command line does
// not tell: it stays as it was when the slot on trial is damaged and the other
// one runs, whose time must not run out.
const TrialFile = "/run/esos/on-trial"

// prepareTrial tells the system's init what differs in a boot on trial: how
// long it may take, if the command line says so, and that a machine that hangs
// is to be reset, where there is hardware for it.
func (b *Boot) prepareTrial(context.Context) error {
	if !b.onTrial() || b.report.Slot != b.report.Options.Slot {
		return nil
	}
	files := map[string]string{
		TrialFile: "",
		// Only on trial: a watchdog that nobody serves would reset a crash
		// kernel in the middle of its dump.
		"/run/systemd/system.conf.d/50-esos-trial.conf": "[Manager]\nRuntimeWatchdogSec=2min\n",
	}
	// A shutdown that hangs is no way out of a trial.
	files["/run/systemd/system/reboot.target.d/50-esos-trial.conf"] = "[Unit]\nJobTimeoutSec=5min\nJobTimeoutAction=reboot-force\n"
	if m := b.report.Options.TrialMinutes; m > 0 {
		files["/run/systemd/system/esos-trial.timer.d/50-minutes.conf"] = fmt.Sprintf("[Timer]\nOnBootSec=\nOnBootSec=%dmin\n", m)
	}
	for name, text := range files {
		if err := mkdir(b.path(filepath.Dir(name))); err != nil {
			return err
		}
		if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("prepare the trial: %w", err)
		}
	}
	return nil
}
