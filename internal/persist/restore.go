package persist

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Restore brings the settings back into upper, the overlay's upper directory,
// best before the overlay is mounted: from the newest generation in dir (a
// mounted esos_conf) that verifies, unless another is preferred; or, if there
// is none or a factory reset is what it says, from the tree dir/seed that a
// medium may have been made with. A generation's digest is checked before
// anything of it is brought back.
//
// Damage is no error: what was passed over, and why, is in the answer (of what
// is older than what came back nothing is said), and a first boot finds nothing
// at all. An error means that upper cannot be made,
// that the seed could not be brought back either, or that ctx ended. Doing it
// twice does no harm.
func Restore(ctx context.Context, dir, upper string, p Prefer) (Restored, error) {
	if err := os.MkdirAll(upper, 0o755); err != nil {
		return Restored{}, fmt.Errorf("restore the settings: %w", err)
	}
	var r Restored
	s, err := openShelf(dir)
	if err != nil {
		r.Skipped = append(r.Skipped, Skipped{Name: generationsDir, Why: err.Error()})
	}
	r.Skipped = append(r.Skipped, s.broken...)
	if why := s.preferred(p); why != nil {
		r.Skipped = append(r.Skipped, *why)
	}
	for _, g := range s.ordered {
		files, lost, err := s.restore(ctx, g, upper)
		switch {
		case err == nil:
			r.From, r.Generation, r.Files = FromGeneration, &g, files
			r.Skipped = slices.DeleteFunc(r.Skipped, func(s Skipped) bool { return s.generation > 0 && s.generation < g.Number })
			r.Skipped = append(r.Skipped, lost...)
			if !g.Factory {
				return r, nil
			}
			return restoreSeed(ctx, dir, upper, r)
		case ctx.Err() != nil:
			return r, fmt.Errorf("restore %s: %w", nameOf(g.Number), ctx.Err())
		}
		r.Skipped = append(r.Skipped, Skipped{Name: nameOf(g.Number), Why: err.Error()})
	}
	return restoreSeed(ctx, dir, upper, r)
}

// restoreSeed brings back what the medium was made with.
func restoreSeed(ctx context.Context, dir, upper string, r Restored) (Restored, error) {
	seed := filepath.Join(dir, "seed")
	if st, err := os.Lstat(seed); err != nil || !st.IsDir() {
		return r, nil
	}
	files, lost, err := plant(ctx, seed, upper)
	r.Skipped = append(r.Skipped, lost...)
	if err != nil {
		return r, fmt.Errorf("restore the settings from %s: %w", seed, err)
	}
	r.From, r.Files = FromSeed, files
	return r, nil
}

// restore brings one generation back, or nothing of it.
func (s shelf) restore(ctx context.Context, g Generation, upper string) (files int, lost []Skipped, err error) {
	f, err := s.openArchive(g)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	return unpack(ctx, f, g, upper)
}
