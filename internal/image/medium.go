package image

import (
	"context"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/grub"
)

// GRUBDir and Out's other names are what mkesos write and mkesos iso look for.
const GRUBDir = "grub"

// makeMedium makes GRUB's images and the disk image.
func (b *builder) makeMedium(ctx context.Context) error {
	images := filepath.Join(b.Out, GRUBDir)
	b.Progress.Say("GRUB")
	err := grub.MakeImages(ctx, b.tools, b.tools.Path("usr/lib/grub"), images, medium.LabelBoot, medium.LabelISO)
	if err != nil {
		return err
	}
	identity, err := b.identity()
	if err != nil {
		return err
	}
	const mib = 1 << 20
	recipe := b.arguments()
	recipe.Identity, recipe.Time = identity, b.Epoch.Unix()
	recipe.Sizes = medium.Sizes{Boot: b.Spec.Sizes.Boot * mib, Root: b.Spec.Sizes.Root * mib,
		Conf: b.Spec.Sizes.Conf * mib, Logs: b.Spec.Sizes.Logs * mib}
	if err := recipe.Save(filepath.Join(b.Out, medium.RecipeFile)); err != nil {
		return err
	}
	seed := ""
	if b.Seed != "" {
		if seed, err = digestTree(os.DirFS(b.Seed)); err != nil {
			return err
		}
	}
	// The identity stands for all that is in the slot.
	inputs := []any{"medium 1", recipe, seed}
	return b.step(ctx, "medium", inputs, []string{b.medium()}, func(ctx context.Context) error {
		return b.writeMedium(ctx, recipe, images)
	})
}

// arguments is what of the recipe GRUB's menu is made of.
func (b *builder) arguments() medium.Recipe {
	a := b.Spec.Arguments
	return medium.Recipe{Arguments: a.Common, ProductionArguments: a.Production, DebugArguments: a.Debug}
}

func (b *builder) writeMedium(ctx context.Context, recipe medium.Recipe, images string) error {
	return medium.Build(ctx, medium.Plan{
		Recipe: recipe, Tools: b.tools, Slot: b.slot(), GRUB: images, Seed: b.Seed,
		Progress: func(step string, done, total int64) {
			if total > 0 {
				b.Progress.Say("%s: %d %%", step, done*100/total)
				return
			}
			b.Progress.Say("%s", step)
		},
	}, b.medium())
}

// identity is derived from what is on the medium: the same build makes the
// same medium, another build another one.
func (b *builder) identity() (medium.Identity, error) {
	digest, err := digestFile(b.slotFile("manifest.json"))
	return medium.Identity(digest), err
}
