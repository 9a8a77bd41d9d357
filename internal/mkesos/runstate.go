package mkesos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// dataSerial is the serial number of the data disk.
const dataSerial = "data01"

// state is what mkesos run keeps beside an image between two runs.
type state struct {
	stick     string // qcow2 over the image: what was saved on the stick
	data      string // the data disk
	variables string // of UEFI
	renewed   bool   // there was a stick of another build

	lock *os.File
}

type stateSizes struct{ stick, data int64 }

// build identifies the image that a stick was made of. An overlay over other
// bytes would be garbage.
type build struct {
	Size     int64 `json:"size"`
	Modified int64 `json:"modified"`
}

// openState makes what is missing in IMAGE.run and locks it.
func openState(ctx context.Context, image string, sizes stateSizes, fresh bool) (*state, error) {
	image, err := filepath.Abs(image)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(image)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no such image: make it with mkesos build, or name one: %w", err)
	}
	if err != nil {
		return nil, err
	}
	dir := image + ".run"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("another machine runs with %s: end it first: %w", dir, err)
	}
	s := &state{
		stick:     filepath.Join(dir, "stick.qcow2"),
		data:      filepath.Join(dir, dataSerial+".img"),
		variables: filepath.Join(dir, "efivars"),
		lock:      lock,
	}
	err = s.prepare(ctx, image, build{info.Size(), info.ModTime().UnixNano()}, sizes, fresh)
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *state) close() { _ = s.lock.Close() }

func (s *state) prepare(ctx context.Context, image string, now build, sizes stateSizes, fresh bool) error {
	record := filepath.Join(filepath.Dir(s.stick), "build.json")
	if fresh {
		for _, name := range []string{s.stick, s.data, s.variables, record} {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("begin anew: %w", err)
			}
		}
	}
	if err := s.prepareStick(ctx, image, record, now, sizes.stick); err != nil {
		return err
	}
	if _, err := os.Stat(s.data); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(s.data, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(sizes.data), f.Close())
}

// prepareStick makes a new stick unless there is one of this very image.
func (s *state) prepareStick(ctx context.Context, image, record string, now build, size int64) error {
	if text, err := os.ReadFile(record); err == nil {
		var was build
		if json.Unmarshal(text, &was) == nil && was == now {
			if _, err := os.Stat(s.stick); err == nil {
				return nil
			}
		}
		s.renewed = true
	}
	if size < now.Size {
		size = now.Size
	}
	out, err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
		"-b", image, s.stick, fmt.Sprint(size)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a stick of the image: qemu-img: %w: %s (package qemu-utils has it)", err, bytes.TrimSpace(out))
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return renameio.WriteFile(record, append(text, '\n'), 0o644)
}
