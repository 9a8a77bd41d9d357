package crash

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/shelf"
)

// Saver saves what a kernel left that crashed. It runs in the crash kernel.
type Saver struct {
	Shelf shelf.Shelf
	Core  string // the memory of the kernel that crashed: /proc/vmcore
	// About is filled in as far as it is known: Kernel, Slot, Version.
	About Dump
	// Run runs a program and returns what it said and its exit status.
	Run func(ctx context.Context, name string, args ...string) (string, int, error)
	Now func() time.Time
	// Say tells people at the console how far it is.
	Say func(format string, a ...any)

	watch time.Duration // between looks at the room that is left: 200 ms if 0
}

// Core and its form. Zero pages, the page cache, pages of programs and free
// ones are left out (makedumpfile(8), -d): what is left is the kernel's own.
// The image in memory is page cache and goes with it.
const (
	Core      = "/proc/vmcore"
	dumpLevel = "31"
	// errorsOnly and its final report, not a line for each percent
	// (makedumpfile(8), --message-level).
	messageLevel = "20"

	// keepFree is how much room there is to be at all times while a dump is
	// written; a sixteenth of a small partition.
	keepFree = 64 << 20
	// keepDumps is how many dumps are kept, those without a memory image, too.
	keepDumps = 32
	// needsLeast is the room that the messages need.
	needsLeast = 8 << 20
)

// Save saves the kernel's messages first, which are small and tell most, and
// then its memory. Older dumps, then older archives of logs, make room. The
// dump is described on the medium whatever goes wrong.
func (s Saver) Save(ctx context.Context) (Dump, error) {
	began := s.Now()
	d := s.About
	d.When = began.UTC().Truncate(time.Second)
	d.Name = nameOf(began, d.Kernel)
	dir := filepath.Join(s.Shelf.Dumps(), d.Name)
	if err := s.prepare(ctx, d.Name, dir); err != nil {
		return d, fmt.Errorf("save the crash: %w", err)
	}
	err := s.saveMessages(ctx, &d, dir)
	// Whoever cuts the power now leaves the messages and their description.
	d.Error = "saving it was cut short"
	err = errors.Join(err, d.write(dir))
	err = errors.Join(err, s.saveCore(ctx, &d, dir))
	d.Error = ""
	if err != nil {
		d.Error = err.Error()
	}
	d.Seconds = s.Now().Sub(began).Seconds()
	if e := d.write(dir); e != nil {
		err = errors.Join(err, e)
	}
	if err != nil {
		return d, fmt.Errorf("save the crash: %w", err)
	}
	return d, nil
}

// prepare makes the dump's directory, and room for the messages.
func (s Saver) prepare(ctx context.Context, name, dir string) error {
	for ctx.Err() == nil {
		space, err := s.Shelf.Space(s.Shelf.Dir)
		if err != nil {
			return err
		}
		if space.Free >= needsLeast {
			break
		}
		if dropped := s.drop(name); !dropped {
			break // it may fit all the same
		}
	}
	if names, err := s.Shelf.DumpNames(); err == nil {
		for len(names) >= keepDumps {
			if err := os.RemoveAll(filepath.Join(s.Shelf.Dumps(), names[0])); err != nil {
				return err
			}
			names = names[1:]
		}
	}
	return host.MakeDir(dir, 0o700)
}

// drop makes room, and says whether there was anything to make room of.
func (s Saver) drop(except string) bool {
	dropped, err := s.Shelf.DropDump(except)
	if dropped == "" && err == nil {
		dropped, err = s.Shelf.DropArchive()
	}
	if err != nil {
		s.Say("%v", err)
		return false
	}
	if dropped != "" {
		s.Say("the log partition is full: dropped %s", dropped)
	}
	return dropped != ""
}

func (s Saver) saveMessages(ctx context.Context, d *Dump, dir string) error {
	part := filepath.Join(dir, MessagesFile+shelf.Partial)
	if err := s.makedumpfile(ctx, "--dump-dmesg", "--message-level", messageLevel, s.Core, part); err != nil {
		return fmt.Errorf("the kernel's messages: %w", err)
	}
	size, err := finish(part)
	if err != nil {
		return fmt.Errorf("the kernel's messages: %w", err)
	}
	d.Messages = size
	d.Reason = reason(filepath.Join(dir, MessagesFile))
	s.Say("saved the messages of the kernel that crashed: %s", d.Reason)
	return nil
}

// saveCore saves the memory. It begins anew as long as something can make
// room for it.
func (s Saver) saveCore(ctx context.Context, d *Dump, dir string) error {
	part := filepath.Join(dir, shelf.CoreFile+shelf.Partial)
	for {
		stop := s.keepRoom(ctx, d.Name, part)
		err := s.makedumpfile(ctx, "-z", "-d", dumpLevel, "--message-level", messageLevel, s.Core, part)
		stop()
		if err == nil {
			break
		}
		err = errors.Join(fmt.Errorf("the memory: %w", err), remove(part))
		space, e := s.Shelf.Space(s.Shelf.Dir)
		full := e == nil && strings.Contains(err.Error(), "No space left")
		if !full || ctx.Err() != nil {
			return err
		}
		if !s.drop(d.Name) {
			return fmt.Errorf("the memory does not fit on the log partition, which has %d MiB (a larger stick, or esos medium grow, helps): %w", space.Total>>20, err)
		}
	}
	size, err := finish(part)
	if err != nil {
		return fmt.Errorf("the memory: %w", err)
	}
	d.Complete, d.Size = true, size
	s.Say("saved the memory of the kernel that crashed: %d MiB", size>>20)
	// Read back: what was written is what is there.
	if d.SHA256, err = digest(ctx, filepath.Join(dir, shelf.CoreFile)); err != nil {
		return fmt.Errorf("read the saved memory back: %w", err)
	}
	return nil
}

// keepRoom drops the oldest while a dump grows, and tells how far it is, until
// the returned function is called.
func (s Saver) keepRoom(ctx context.Context, name, part string) (stop func()) {
	const tell = 3 * time.Second
	every := s.watch
	if every == 0 {
		every = 200 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		told := time.Now()
		more := true
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
			}
			space, err := s.Shelf.Space(s.Shelf.Dir)
			for more && err == nil && space.Free < min(keepFree, space.Total/16) && ctx.Err() == nil {
				more = s.drop(name)
				space, err = s.Shelf.Space(s.Shelf.Dir)
			}
			if st, err := os.Stat(part); err == nil && time.Since(told) >= tell {
				told = time.Now()
				s.Say("saving the memory of the kernel that crashed: %d MiB so far", st.Size()>>20)
			}
		}
	}()
	return func() { cancel(); <-done }
}

// makedumpfile runs it. "-f" writes over what an earlier try left.
func (s Saver) makedumpfile(ctx context.Context, args ...string) error {
	out, status, err := s.Run(ctx, "makedumpfile", append([]string{"-f"}, args...)...)
	out = strings.Join(strings.Fields(out), " ")
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("makedumpfile did not end in time: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("makedumpfile: %w", err)
	case status != 0:
		return fmt.Errorf("makedumpfile ended with status %d: %s", status, out)
	}
	return nil
}

// finish makes what was written durable under its name, and returns its size.
func finish(part string) (int64, error) {
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	st, err := f.Stat()
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return 0, err
	}
	if err := os.Rename(part, strings.TrimSuffix(part, shelf.Partial)); err != nil {
		return 0, err
	}
	return st.Size(), host.SyncDir(filepath.Dir(part))
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// reason finds in the kernel's messages what it died of.
func reason(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	const panicked = "Kernel panic - not syncing: "
	found := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text := lines.Text()
		// "[   12.345678] text", with the number of a processor or task in it.
		if i := strings.Index(text, "] "); strings.HasPrefix(text, "[") && i > 0 {
			text = strings.TrimSpace(text[i+2:])
		}
		if i := strings.Index(text, panicked); i >= 0 {
			if text = text[i+len(panicked):]; found != "" {
				text = found + " (" + text + ")"
			}
			return text
		}
		if found == "" && (strings.HasPrefix(text, "BUG: ") || strings.HasPrefix(text, "Oops: ") || strings.HasPrefix(text, "kernel BUG ")) {
			found = text
		}
	}
	return found
}

// digest reads a file through and returns its SHA-256.
func digest(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}
