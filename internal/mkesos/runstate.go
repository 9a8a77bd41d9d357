package mkesos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/image"
	"github.com/esos-project/esos/internal/medium"
)

// dataSerial is the serial number of the data disk.
const dataSerial = "data01"

// state is what mkesos run keeps beside an image between two runs.
type state struct {
	stick     string // qcow2 over the image: what was saved on the stick
	data      string // the data disk
	variables string // of UEFI
	renewed   bool   // there was a stick of another build

	dir  string
	lock *os.File
}

type stateOptions struct {
	image       string
	dir         string // of what is kept; beside the image when empty
	stick, data int64  // sizes
	fresh       bool   // begin anew
	first       settings
	work        string // of the build, if there are first settings
}

// settings are what a new stick begins with.
type settings struct{ Document, SSHKeys []byte }

func (s settings) none() bool { return len(s.Document) == 0 && len(s.SSHKeys) == 0 }

// origin identifies what a stick was made of. An overlay over other bytes
// would be garbage.
type origin struct {
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`
	Settings string `json:"settings,omitempty"` // their digest
}

func (s settings) digest() string {
	if s.none() {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", s.Document, s.SSHKeys))
	return hex.EncodeToString(sum[:])
}

// openState makes what is missing in the state's directory and locks it.
func openState(ctx context.Context, o stateOptions) (*state, error) {
	var err error
	if o.image, err = filepath.Abs(o.image); err != nil {
		return nil, err
	}
	info, err := os.Stat(o.image)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no such image: make it with mkesos build, or name one: %w", err)
	}
	if err != nil {
		return nil, err
	}
	dir := o.image + ".run"
	if o.dir != "" {
		if dir, err = filepath.Abs(o.dir); err != nil {
			return nil, err
		}
	}
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
		dir:       dir,
		lock:      lock,
	}
	if err := s.prepare(ctx, o, origin{info.Size(), info.ModTime().UnixNano(), o.first.digest()}); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *state) close() { _ = s.lock.Close() }

func (s *state) record() string { return filepath.Join(s.dir, "origin.json") }

func (s *state) prepare(ctx context.Context, o stateOptions, now origin) error {
	if o.fresh {
		for _, name := range []string{s.stick, s.data, s.variables, s.record()} {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("begin anew: %w", err)
			}
		}
	}
	if !s.madeOf(now) {
		if err := s.makeStick(ctx, o, now); err != nil {
			return fmt.Errorf("make the stick: %w", err)
		}
	}
	if _, err := os.Stat(s.data); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(s.data, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(o.data), f.Close())
}

// madeOf tells whether there is a stick of this very image and settings.
func (s *state) madeOf(now origin) bool {
	text, err := os.ReadFile(s.record())
	if err != nil {
		return false
	}
	var was origin
	if json.Unmarshal(text, &was) == nil && was == now {
		if _, err := os.Stat(s.stick); err == nil {
			return true
		}
	}
	s.renewed = true
	return false
}

func (s *state) makeStick(ctx context.Context, o stateOptions, now origin) error {
	base := o.image
	if !o.first.none() {
		base = filepath.Join(s.dir, "first.img")
		if err := s.makeFirst(ctx, o, base); err != nil {
			return err
		}
	}
	out, err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
		"-b", base, s.stick, fmt.Sprint(max(o.stick, now.Size))).CombinedOutput()
	if err != nil {
		return fmt.Errorf("qemu-img: %w: %s (package qemu-utils has it)", err, bytes.TrimSpace(out))
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return renameio.WriteFile(s.record(), append(text, '\n'), 0o644)
}

// makeFirst makes a medium of the build that the image is of, with first
// settings of its own; the image stays fit for being written to sticks.
func (s *state) makeFirst(ctx context.Context, o stateOptions, target string) error {
	build := filepath.Dir(o.image)
	recipe, err := medium.LoadRecipe(filepath.Join(build, medium.RecipeFile))
	if err != nil {
		return fmt.Errorf("%w; first settings need the build's output directory around the image", err)
	}
	tools, err := image.OpenTools(o.work, time.Unix(recipe.Time, 0))
	if err != nil {
		return err
	}
	seed := filepath.Join(s.dir, "seed")
	if err := os.RemoveAll(seed); err != nil {
		return err
	}
	if err := image.WriteSeed(seed, o.first.Document, o.first.SSHKeys); err != nil {
		return err
	}
	return medium.Build(ctx, medium.Plan{
		Recipe: recipe, Tools: tools, Seed: seed,
		Slot: filepath.Join(build, "slot"), GRUB: filepath.Join(build, image.GRUBDir),
	}, target)
}
