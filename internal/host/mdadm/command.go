package mdadm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Machine is what arrays are set up with (host.Linux).
type Machine interface {
	Reader
	Tell(path, text string) error
}

// New is an array that is to be made.
type New struct {
	Name, UUID, Level string
	Disks, Spares     []string // paths
	Journal           string
	Chunk             int64 // bytes; 0: mdadm's default
	Layout            string
	Bitmap            bool
}

// args is mdadm's command line. The version of the superblock and the bitmap
// are named, since mdadm asks on its standard input otherwise.
func (n New) args() []string {
	args := []string{"--create", Link(n.Name), "--metadata=1.2", "--homehost=any", "--name=" + n.Name, "--uuid=" + ToMD(n.UUID),
		"--level=" + n.Level, "--raid-devices=" + strconv.Itoa(len(n.Disks))}
	if n.Chunk > 0 {
		args = append(args, "--chunk="+strconv.FormatInt(n.Chunk>>10, 10))
	}
	if n.Layout != "" {
		args = append(args, "--layout="+n.Layout)
	}
	switch {
	case n.Bitmap:
		args = append(args, "--bitmap=internal")
	case n.Journal == "" && n.Level != "0":
		args = append(args, "--bitmap=none")
	}
	if len(n.Spares) > 0 {
		args = append(args, "--spare-devices="+strconv.Itoa(len(n.Spares)))
	}
	if n.Journal != "" {
		args = append(args, "--write-journal="+n.Journal)
	}
	return slices.Concat(args, n.Disks, n.Spares)
}

// Create makes an array. mdadm asks where it finds data, which is answered by
// no; that disks differ in size by more than 1 % is asked in the same way, and
// answered by yes if it is all that it says.
func Create(ctx context.Context, m Machine, n New) error {
	args := n.args()
	err := run(ctx, m, args...)
	var exit *host.ExitError
	if errors.As(err, &exit) && strings.Contains(exit.Said, "exceeds size") && !strings.Contains(exit.Said, "appears to") &&
		!strings.Contains(exit.Said, "partition table") {
		err = run(ctx, m, slices.Insert(args, 2, "--run")...)
	}
	return settled(ctx, m, n.UUID, err)
}

// Assemble starts an array with what there is of its devices, degraded if need
// be.
func Assemble(ctx context.Context, m Machine, name, uuid string, devices []string) error {
	args := append([]string{"--assemble", Link(name), "--uuid=" + ToMD(uuid), "--run"}, devices...)
	return settled(ctx, m, uuid, run(ctx, m, args...))
}

// settled says whether an array works after mdadm was to start it. mdadm can
// fail for want of its device node, though the kernel has started the array:
// what the kernel says counts.
func settled(ctx context.Context, m Machine, uuid string, said error) error {
	a, there, err := Find(ctx, m, uuid)
	switch {
	case err != nil:
		return errors.Join(said, err)
	case there && a.Running():
		if !exited(said) { // it did not fail, or for another reason than its own
			return said
		}
		return nil
	case said != nil:
		return said
	default:
		return fmt.Errorf("mdadm said nothing, and the array does not run (%s)", a.State)
	}
}

// Stop stops an array that nothing uses.
func Stop(ctx context.Context, m Machine, kernel string) error {
	return run(ctx, m, "--stop", "/dev/"+kernel)
}

// Add adds a device, as a spare, which an array that lacks one begins to use.
func Add(ctx context.Context, m Machine, kernel, device string) error {
	return run(ctx, m, "--manage", "/dev/"+kernel, "--add", device)
}

// AddBack adds a device that was a member before: what changed meanwhile is
// copied to it if the array has a bitmap, else all.
func AddBack(ctx context.Context, m Machine, kernel, device string) error {
	err := run(ctx, m, "--manage", "/dev/"+kernel, "--re-add", device)
	if !exited(err) {
		return err
	}
	return Add(ctx, m, kernel, device)
}

// Fail takes a member for failed.
func Fail(ctx context.Context, m Machine, kernel, member string) error {
	return run(ctx, m, "--manage", "/dev/"+kernel, "--fail", "/dev/"+member)
}

// Remove takes a spare or a failed member out of an array; one whose device is
// gone ("detached", mdadm(8)) too.
func Remove(ctx context.Context, m Machine, kernel, member string, gone bool) error {
	if gone {
		// By the kernel's own file: it has no device node to be named by.
		file := path.Join("/sys/block", kernel, "md", "dev-"+member, "state")
		if text, err := m.ReadFile(file); err == nil && !strings.Contains(string(text), "faulty") {
			if err := m.Tell(file, "faulty"); err != nil {
				return fmt.Errorf("take %s for failed: %w", member, err)
			}
		}
		if err := m.Tell(file, "remove"); err != nil && !isNotExist(err) {
			return fmt.Errorf("remove %s, which is gone: %w", member, err)
		}
		return nil
	}
	return run(ctx, m, "--manage", "/dev/"+kernel, "--remove", "/dev/"+member)
}

// Replace has a spare take a member's place; the member stays in use until all
// is copied.
func Replace(ctx context.Context, m Machine, kernel, old, spare string) error {
	return run(ctx, m, "--manage", "/dev/"+kernel, "--replace", "/dev/"+old, "--with", "/dev/"+spare)
}

// Grow reshapes an array: to disks disks, and to another level unless that is "".
func Grow(ctx context.Context, m Machine, kernel, level string, disks int) error {
	args := []string{"--grow", "/dev/" + kernel}
	if level != "" {
		args = append(args, "--level="+level)
	}
	return run(ctx, m, append(args, "--raid-devices="+strconv.Itoa(disks))...)
}

// SetBitmap gives an array a write-intent bitmap, or takes it away.
func SetBitmap(ctx context.Context, m Machine, kernel string, on bool) error {
	word := "none"
	if on {
		word = "internal"
	}
	return run(ctx, m, "--grow", "/dev/"+kernel, "--bitmap="+word)
}

// Zero takes away what makes a device a member of an array. One that is none
// is no error.
func Zero(ctx context.Context, m Reader, device string) error {
	if _, err := Examine(ctx, m, device); errors.Is(err, ErrNoSuperblock) {
		return nil
	}
	return run(ctx, m, "--zero-superblock", device)
}

// SetWriteMostly says whether a member is read from only if others fail. The
// kernel keeps that in the superblock.
func SetWriteMostly(m Machine, kernel, member string, on bool) error {
	word := "writemostly"
	if !on {
		word = "-writemostly"
	}
	return tell(m, kernel, path.Join("dev-"+member, "state"), word)
}

// KeepInUse takes back that a member is to be replaced, before that began.
func KeepInUse(m Machine, kernel, member string) error {
	return tell(m, kernel, path.Join("dev-"+member, "state"), "-want_replacement")
}

// SetSpeed sets how much of the disks a resync gets at least and at most, in
// bytes a second; 0 is what the system has.
func SetSpeed(m Machine, kernel string, least, most int64) error {
	word := func(n int64) string {
		if n == 0 {
			return "system"
		}
		return strconv.FormatInt(max(1, n>>10), 10)
	}
	return errors.Join(tell(m, kernel, "sync_speed_max", word(most)), tell(m, kernel, "sync_speed_min", word(least)))
}

// ErrBusy says that an array is rebuilt, reshaped or checked already.
var ErrBusy = errors.New("is busy already")

// SetAction begins a check or a repair of an array that does nothing else, or
// ends one ("idle").
func SetAction(ctx context.Context, m Machine, uuid, action string) error {
	a, there, err := Find(ctx, m, uuid)
	switch {
	case err != nil:
		return err
	case !there || !a.Running():
		return errors.New("the array does not run")
	case action == "idle" && a.Sync.Action != "check" && a.Sync.Action != "repair":
		if !a.Sync.Busy() {
			return nil
		}
		return fmt.Errorf("it %w (%s): only a check can be ended", ErrBusy, a.Sync.Action)
	case action != "idle" && a.Sync.Busy():
		return fmt.Errorf("it %w (%s)", ErrBusy, a.Sync.Action)
	}
	return tell(m, a.Kernel, "sync_action", action)
}

func tell(m Machine, kernel, file, word string) error {
	p := path.Join("/sys/block", kernel, "md", file)
	if err := m.Tell(p, word); err != nil {
		return fmt.Errorf("write %s to %s: %w", word, p, err)
	}
	return nil
}

func run(ctx context.Context, m Reader, args ...string) error {
	_, err := m.Output(ctx, host.Call{Name: "mdadm", Args: args})
	return err
}
