// Package lvm is LVM as this machine sees it: one report of all that there is,
// and the commands that change it. Nothing here decides; layers do.
package lvm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// Machine runs programs (host.Linux).
type Machine interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// Tool is the program lvm.
type Tool struct {
	Machine Machine
	// Backups is a directory that survives a reboot, for the copies of the
	// groups' metadata that LVM keeps (vgcfgrestore(8)): the last one, and the
	// ten before. LVM's own place is lost with the memory that the appliance
	// runs in. None are kept without it.
	Backups string
	// Only are the devices that commands look at, all without it: where two
	// groups have one name LVM can tell them apart only so (lvmsystemid(7),
	// --devices in lvm(8)).
	Only []string
}

// looking is how long a report may take: a disk that no longer answers must
// not keep the machine from being looked at.
const looking = 30 * time.Second

// arguments are those of every command. No devices file: what is declared says
// what is ours, and a disk that comes back under another name must be found. No
// PVs within volumes: those belong to the hosts that have the volumes. No
// monitoring by dmeventd: nothing is to grow, or be repaired, but by a plan.
//
// A new thin pool answers errors at once when it is full: the engine makes
// "space allocation failed" of them, on which hosts pause. Queued writes (LVM's
// default) hang for a minute, for which hosts reset the LUN, and are errors
// then all the same (lvmthin(7)). It is a setting here since lvcreate takes
// --errorwhenfull with thin volumes only.
func (t Tool) arguments(command string, more ...string) []string {
	settings := []string{"devices/scan_lvs=0", "activation/monitoring=0", "activation/error_when_full=1"}
	if t.Backups == "" {
		settings = append(settings, "backup/backup=0", "backup/archive=0")
	} else {
		settings = append(settings,
			"backup/backup_dir="+strconv.Quote(path.Join(t.Backups, "backup")),
			"backup/archive_dir="+strconv.Quote(path.Join(t.Backups, "archive")),
			"backup/retain_min=10", "backup/retain_days=0") // no more than ten: the boot medium is small
	}
	args := []string{command, "--config", strings.Join(settings, " ")}
	if len(t.Only) == 0 {
		args = append(args, "--devicesfile", "")
	}
	for _, d := range t.Only {
		args = append(args, "--devices", d)
	}
	return append(args, more...)
}

// run carries a command out. It gets no answer to what it asks: LVM asks before
// it overwrites signatures, and takes silence for a no.
func (t Tool) run(ctx context.Context, command string, args ...string) error {
	_, err := t.Machine.Output(ctx, host.Call{Name: "lvm", Args: t.arguments(command, args...)})
	return concise(err)
}

// concise leaves the warnings out of what LVM complains about, if there is
// anything else: they are about how full pools could get.
func concise(err error) error {
	var e *host.ExitError
	if !errors.As(err, &e) {
		return err
	}
	var kept []string
	for line := range strings.Lines(e.Said) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "WARNING: Sum of all thin") &&
			!strings.HasPrefix(line, "WARNING: You have not turned on protection") &&
			!strings.HasPrefix(line, "WARNING: Set activation/thin_pool_autoextend") {
			kept = append(kept, line)
		}
	}
	return &host.ExitError{Name: e.Name, Code: e.Code, Said: strings.Join(kept, "\n")}
}

// IsTaken says whether a volume was not made because there is one of its name.
func IsTaken(err error) bool {
	var e *host.ExitError
	return errors.As(err, &e) && strings.Contains(e.Said, "already exists")
}

// Read reads all that there is.
func (t Tool) Read(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, looking)
	defer cancel()
	out, err := t.Machine.Output(ctx, host.Call{Name: "lvm", Args: t.arguments("fullreport", reportArguments()...)})
	if err != nil {
		return State{}, fmt.Errorf("look at the volume groups: %w", concise(err))
	}
	s, err := parse(out)
	if err != nil {
		return State{}, fmt.Errorf("look at the volume groups: %w", err)
	}
	return s, nil
}

// Group reads one volume group; ok is false if there is none of that name.
func (t Tool) Group(ctx context.Context, name string) (g Group, ok bool, err error) {
	// Not "fullreport NAME": that fails, with the same code as for a disk that
	// cannot be read, where there is none.
	s, err := t.Read(ctx)
	if err != nil {
		return Group{}, false, err
	}
	g, ok = s.Group(name)
	return g, ok, nil
}

func bytes(n int64) string { return strconv.FormatInt(n, 10) + "b" }

// Full is how a volume is called in commands.
func Full(group, volume string) string { return group + "/" + volume }

// Mapped is the device mapper's name of a volume: dashes within a name are
// doubled.
func Mapped(group, volume string) string {
	double := func(s string) string { return strings.ReplaceAll(s, "-", "--") }
	return double(group) + "-" + double(volume)
}

// Unmapped is the volume that has a name of the device mapper's.
func Unmapped(name string) (group, volume string, ok bool) {
	group, volume, ok = strings.Cut(strings.ReplaceAll(name, "--", "\x00"), "-")
	single := func(s string) string { return strings.ReplaceAll(s, "\x00", "-") }
	return single(group), single(volume), ok && group != "" && volume != ""
}
