package upkeep_test

import (
	"archive/tar"
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/crash"
	"github.com/esos-project/esos/internal/logs"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/upgrade"
)

// fails makes a command end as one that was refused.
func fails(said string) func(io.Reader, io.Writer) int {
	return func(_ io.Reader, out io.Writer) int {
		_, _ = io.WriteString(out, "esos: "+said+"\n")
		return 1
	}
}

func TestSavedSettings(t *testing.T) {
	s := play(t, apitest.Options{})
	listed := func(n int, reason string, archive int64) persist.Listed {
		return persist.Listed{Generation: persist.Generation{Number: n, When: moment().Add(time.Duration(n) * time.Hour), Reason: reason,
			Slot: "PRIMARY", Version: "1.0", Host: "vault", Archive: archive}}
	}
	now, old, bad := listed(12, "esos sync", 68344), listed(11, "shutdown", 68000), listed(3, "document", 900)
	now.Current, old.Slots, bad.Damage = true, []string{"SECONDARY"}, "its digest is wrong"
	s.m.shows(t, "config generations", []persist.Listed{now, old, bad})
	s.m.says("config restore", "generation 13 is in force from the next boot on; nothing is saved until then. Reboot when it suits.\n")
	s.m.says("config backup", "/tmp/a.esos-settings has the settings of generation 12: 214 entries, with all their secrets\n")
	s.m.says("config factory-reset", "the next boot (generation 13) is one as from the factory\n")
	s.m.says("sync", "saved as generation 13: 214 entries, 68344 bytes on the medium, in 412ms\n")
	var times []string
	for _, g := range []persist.Listed{now, old, bad} {
		times = append(times, local(g.When), day)
	}
	s.open(t, "Saved Settings")
	s.Wait("in force")
	s.Golden("generations", times...)
	s.Press(tcell.KeyEnd)
	s.Type("r")
	s.Wait("Generation 3 is damaged: its digest is wrong")
	s.Golden("it-cannot-be-brought-back")
	s.Enter()
	s.Press(tcell.KeyUp)
	s.Enter()
	s.Wait("last of SECONDARY")
	s.Golden("generation", times...)
	s.Escape()
	s.Type("r")
	s.Wait("Bring generation 11 back at the next boot?")
	s.Golden("bring-generation", times...)
	s.Escape()
	s.nothing(t)
	s.Type("r")
	s.yes(t, "Bring generation 11 back at the next boot?")
	s.did(t, "config restore 11 --yes")
	s.Golden("bring-settings-back")
	s.Escape()
	s.Type("s")
	s.Golden("save-the-settings-now")
	s.yes(t, "Save the settings now?")
	s.did(t, "sync")
	s.Golden("save-the-settings")
	s.Escape()
	s.Type("u")
	s.Golden("call-off-what-waits-for-the-next-boot")
	s.yes(t, "Call off what waits")
	s.did(t, "config restore --undo")
	s.Golden("call-it-off")
	s.Escape()
	s.Type("b")
	s.Wait("All settings go into one file")
	s.Golden("backup", times...)
	s.Field("/tmp/a.esos-settings")
	s.Enter()
	s.Golden("write-all-settings-with-their-secrets")
	s.yes(t, "Write all settings, with their secrets?")
	s.did(t, "config backup /tmp/a.esos-settings")
	s.Golden("back-up-the-settings")
	s.Escape()
	s.Gone("All settings go into one file") // the form went with it
	s.Escape()

	s.open(t, "Restore Settings From a File")
	s.Golden("restore")
	s.Field("/tmp/it's mine")
	s.Enter()
	s.Golden("bring-these-settings-back-at-the-next-boot")
	s.yes(t, "Bring these settings back at the next boot?")
	s.did(t, "config restore /tmp/it's mine --yes")
	s.Escape()
	s.open(t, "Factory Reset")
	s.Golden("factory-reset")
	s.Field("vault")
	s.Enter()
	s.Shows("not factory-reset: nothing was changed")
	s.Field("factory-reset")
	s.Enter()
	s.did(t, "config factory-reset --yes")
	s.Golden("factory-reset-dialog")
}

// asks imitates the command that shows what it would do and reads an answer.
func asks(in io.Reader, out io.Writer) int {
	_, _ = io.WriteString(out, "ESOS 1.1, built 2026-12-01, kernel 6.12.57: signed by a key that this system trusts, and complete.\n"+
		"It goes into slot SECONDARY; ESOS 1.0 runs from slot PRIMARY and stays.\nWrite it? [y/N] ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		_, _ = io.WriteString(out, "esos: no answer: EOF\n")
		return 130
	}
	if answer != "y\n" {
		_, _ = io.WriteString(out, "esos: nothing was changed\n")
		return 130
	}
	_, _ = io.WriteString(out, "ESOS 1.1 is in slot SECONDARY, and was read back. The next boot tries it.\n")
	return 0
}

func TestUpgrade(t *testing.T) {
	s := play(t, apitest.Options{})
	s.m.shows(t, "upgrade status", map[string]any{"running": "PRIMARY", "version": "1.0", "default": "PRIMARY", "on_trial": false, "passed": false})
	said := make(chan string, 4)
	s.m.does("upgrade", func(in io.Reader, out io.Writer) int {
		code := asks(in, out)
		said <- map[int]string{0: "written", 130: "nothing"}[code]
		return code
	})
	s.open(t, "Upgrade")
	s.Wait("ESOS 1.0 runs from slot PRIMARY")
	s.Golden("upgrade")
	for text, wrong := range map[string]string{"ftp://x/y": "an address such as https://", "esos.upgrade": "a whole path", "http://": "an address such as https://"} {
		s.Press(tcell.KeyCtrlU)
		s.Type(text)
		s.Shows(wrong)
	}
	// Esc before the answer changes nothing. The command runs until then: the
	// console is not at rest, so keys are sent without waiting.
	s.Field("https://files.example.com/esos-1.1.upgrade")
	s.Press(tcell.KeyTab)
	s.hurry(tcell.KeyEnter)
	s.Wait("Write it? [y/N]")
	s.hurry(tcell.KeyEscape)
	if got := <-said; got != "nothing" {
		t.Errorf("after Esc %s was done", got)
	}
	s.Wait("Reboot into it at once") // the form is still there
	s.hurry(tcell.KeyBacktab)
	s.hurry(' ')
	s.hurry(tcell.KeyTab)
	s.hurry(tcell.KeyEnter)
	s.Wait("Write it? [y/N]")
	s.hurry('y')
	s.Wait("What it would do stands above")
	s.Busy("write-this-version")
	s.hurry(tcell.KeyLeft)
	s.hurry(tcell.KeyEnter)
	if got := <-said; got != "written" {
		t.Errorf("after yes %s was done", got)
	}
	s.did(t, "upgrade https://files.example.com/esos-1.1.upgrade --reboot")
	s.Type("y")
	s.Wait("It did not ask yet, or has its answer.")
	s.Escape()
	s.Gone("Reboot into it at once")
}

func TestTrial(t *testing.T) {
	s := play(t, apitest.Options{})
	left := 1
	failed := &upgrade.Record{Slot: "PRIMARY", Version: "0.9", From: "1.1", Rollback: true, When: moment(),
		Failed: &upgrade.Failure{When: moment(), Why: "the engine did not start"}}
	s.m.shows(t, "upgrade status", map[string]any{"running": "SECONDARY", "version": "1.1", "default": "PRIMARY", "trial": "SECONDARY",
		"boots_left": left, "on_trial": true, "waits": []string{"array r6 is not there"}, "last": failed})
	s.m.says("upgrade confirm", "slot SECONDARY (ESOS 1.1) is the default\n")
	s.m.says("upgrade dismiss", "dismissed\n")
	s.m.says("rollback", "ESOS 1.0 in slot PRIMARY is whole. The next boot tries it.\n")
	s.m.says("slot list --verify", "SLOT  VERSION\n")
	s.m.shows(t, "slot list", []upgrade.SlotInfo{
		{Slot: "PRIMARY", Version: "1.0", Built: moment(), Kernel: "6.12.57+deb13-amd64", Default: true, Generation: 12, Verified: true},
		{Slot: "SECONDARY", Version: "1.1", Built: moment(), Kernel: "6.12.60+deb13-amd64", Running: true, Left: &left, Damage: "rootfs: chunk 7 differs"}})
	s.open2(t, "Upgrade")
	s.Wait("A version is on trial")
	s.Golden("trial-asks")
	s.Press(tcell.KeyRight, tcell.KeyEnter)
	s.Golden("keep-version-asks")
	s.yes(t, "Keep the version that runs?")
	s.did(t, "upgrade confirm")
	s.Golden("keep-version")
	s.Escape()

	s.open(t, "Slots")
	s.Wait("DAMAGED")
	s.Press(tcell.KeyDown)
	s.Golden("slots", moment().Local().Format(time.DateOnly), "2026-11-28")
	s.Type("v")
	s.did(t, "slot list --verify")
	s.Golden("verify-the-slots")
	s.Escape()
	s.Type("t")
	s.Wait("Boots left to the one that is tried: 1.")
	s.Shows("array r6 is not there")
	s.Golden("trial")
	s.Type("d")
	s.Golden("take-the-alert-away")
	s.yes(t, "Take the alert away?")
	s.did(t, "upgrade dismiss")
	s.Golden("dismiss-the-alert")
	s.Escape()
	s.Escape()

	s.open(t, "Roll Back")
	s.Golden("rollback")
	s.Type(" ")
	s.Wait("those that it last ran with")
	s.Golden("choose-settings")
	s.Press(tcell.KeyDown, tcell.KeyEnter)
	s.Type(" ")
	s.Press(tcell.KeyTab, tcell.KeyEnter)
	s.Wait("The machine reboots at")
	s.Golden("rollback-asks")
	s.yes(t, "Roll back?")
	s.did(t, "rollback --settings then --reboot")
	s.Golden("rollback-run")
}

func TestBootMedium(t *testing.T) {
	s := play(t, apitest.Options{})
	s.m.says("medium status", "Disk:       /dev/sda\nModel:      Ultra Fit\nSize:       14.9 GiB\nMirrored:   no\nesos_conf:  /dev/sda4, 256 MiB\n")
	s.m.says("medium grow", "esos_logs has 12 GiB now\n")
	s.m.does("medium adopt", fails("adopt a medium: there is none plugged in"))
	s.open(t, "Boot Medium")
	s.Wait("Ultra Fit")
	s.Golden("medium")
	s.Type("g")
	s.Golden("give-the-medium-all-of-its-drive")
	s.yes(t, "Give the medium all of its drive?")
	s.did(t, "medium grow")
	s.Golden("grow-the-medium")
	s.Escape()
	s.m.does("medium status", fails("look at the boot medium: it is gone"))
	s.Type("l")
	s.Wait("The medium cannot be looked at: look at the boot medium: it is gone")
	s.Type("a")
	s.Golden("take-another-medium-for-the-one-that-was-lost")
	s.yes(t, "Take another medium for the one that was lost?")
	s.Wait("there is none plugged in")
	s.Golden("adopt-a-medium")
	s.Shows("That failed.")
}

func TestInstall(t *testing.T) {
	s := play(t, apitest.Options{Disks: 2})
	s.m.says("install", "ESOS is installed on vda, and was read back.\n")
	s.open(t, "Install on Another Disk")
	s.Wait("Everything on it is lost")
	s.Golden("install")
	s.Press(tcell.KeyTab, tcell.KeyEnter)
	s.Shows("this is needed")
	s.Type(" ")
	s.Wait("what it is")
	s.Golden("install-pick")
	s.Enter()
	s.Enter()
	s.Wait("Type virtio-d1 to go on.")
	s.Golden("install-name")
	s.Field("no")
	s.Enter()
	s.Shows("nothing was changed")
	s.nothing(t)
	s.Field("virtio-d1")
	s.Enter()
	s.did(t, "install --device /dev/disk/by-id/virtio-d1 --wipe --no-prompt --no-reboot")
	s.Golden("install-dialog")
}

// packed is an archive of logs as 'esos logs export' prints it.
func packed(t *testing.T, files ...string) string {
	t.Helper()
	var b strings.Builder
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLogs(t *testing.T) {
	s := play(t, apitest.Options{})
	s.m.shows(t, "logs list", []logs.Archive{})
	s.m.says("logs archive", "archived as logs-2.tar.zst, 1 MiB\n")
	s.open(t, "Logs")
	s.Wait("Nothing was archived yet")
	s.Golden("logs-none")
	s.Type("a")
	s.Wait("Archive the logs now?")
	s.Golden("archive-the-logs-now")
	s.m.shows(t, "logs list", []logs.Archive{{Name: "logs-1.tar.zst", When: moment(), Size: 5 << 20}})
	s.yes(t, "Archive the logs now?")
	s.did(t, "logs archive")
	s.Golden("archive-the-logs")
	s.Escape()
	s.Wait("logs-1.tar.zst")
	s.Golden("logs")
	long := strings.Repeat("Nov 28 09:30:00 vault kernel: nothing of note\n", 20_000)
	s.m.says("logs export logs-1.tar.zst -", packed(t, "var/log/syslog", "Nov 27 09:30:00 vault kernel: sdb: I/O error\n"+long+"Nov 28 09:31:00 vault kernel: sda: I/O error\nNov 28 09:31:01 vault esos[1]: \x1b[2Jserves\n",
		"journal.txt", "short\n", "var/log/wtmp", "\x00\x01"))
	s.Enter()
	s.Wait("var/log/syslog")
	s.Golden("logs-files")
	s.Enter()
	s.Wait("sda: I/O error")
	s.Shows("?[2Jserves") // nothing of a log steers the terminal
	s.Type("f")
	s.Field("i/o ERROR")
	s.Enter()
	s.Wait("with i/o ERROR")
	s.Shows("sdb: I/O error") // of what is too old to be shown
	s.Gone("nothing of note")
	s.Escape()
	s.Press(tcell.KeyEnd)
	s.Enter()
	s.Wait("This is no text")
	s.Escape()
	s.Escape()
	s.Type("e")
	s.Wait("compressed with zstd")
	s.Golden("logs-export")
	s.m.says("logs export", "")
	s.Field("/mnt/vdisks/fs1/logs.tar.zst")
	s.Enter()
	s.yes(t, "Write this file?")
	s.did(t, "logs export logs-1.tar.zst /mnt/vdisks/fs1/logs.tar.zst")
}

func TestBrokenArchive(t *testing.T) {
	s := play(t, apitest.Options{})
	s.m.shows(t, "logs list", []logs.Archive{{Name: "logs-1.tar.zst", When: moment(), Size: 5 << 20}})
	s.m.says("logs export", "esos: this is no archive")
	s.open(t, "Logs")
	s.Wait("logs-1.tar.zst")
	s.Enter()
	s.Wait("Read the archive: that failed")
}

func TestCrashDumps(t *testing.T) {
	s := play(t, apitest.Options{})
	s.m.shows(t, "crash list", []crash.Dump{
		{Name: "20261127-093000", When: moment().Add(-24 * time.Hour), Version: "1.0", Slot: "PRIMARY", Reason: "Kernel panic: out of luck", Dropped: true},
		{Name: "20261128-093000", When: moment(), Version: "1.0", Slot: "PRIMARY", Reason: "sysrq", Complete: true, Size: 80 << 20, Error: ""},
		{Name: "20261128-093100", When: moment(), Version: "1.0", Slot: "PRIMARY", Error: "the memory did not fit"}})
	s.m.says("crash show", "[    1.000000] Kernel panic: out of luck\n[    1.000001] Rebooting\n")
	s.m.says("crash ack", "")
	s.m.says("crash delete", "")
	s.m.says("crash export", "")
	s.open(t, "Crash Dumps")
	s.Wait("80 MiB")
	s.Press(tcell.KeyEnd)
	s.Golden("crash")
	s.Press(tcell.KeyHome)
	s.Enter()
	s.Wait("Kernel panic: out of luck")
	s.Golden("crash-messages")
	s.Type("f")
	s.Field("PANIC")
	s.Enter()
	s.Gone("Rebooting")
	s.Golden("crash-messages-found")
	s.Escape()
	s.Type("a")
	s.Golden("was-this-crash-seen-to")
	s.yes(t, "Was this crash seen to?")
	s.did(t, "crash ack 20261127-093000")
	s.Golden("crash-seen-to")
	s.Escape()
	s.Type("d")
	s.Wait("Delete a crash dump")
	s.Golden("delete-a-crash-dump")
	s.Field("20261127")
	s.Enter()
	s.Shows("nothing was changed")
	s.Field("20261127-093000")
	s.Enter()
	s.did(t, "crash delete 20261127-093000")
	s.Escape()
	s.Type("e")
	s.Golden("export-a-crash-dump")
	s.Field("/mnt/vdisks/fs1/dump.tar")
	s.Enter()
	s.Golden("write-this-file")
	s.yes(t, "Write this file?")
	s.did(t, "crash export 20261127-093000 /mnt/vdisks/fs1/dump.tar")
}
