package mkesos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/image"
)

// buildFlags are the command line of mkesos build.
type buildFlags struct {
	spec, source, work, out, downloads string
	mirror, security                   string
	key                                string
	trusted                            []string
	debs, raidCLIs, sshKeys            []string
	document, debugKernel              string
	level                              int
	update                             bool
}

func buildCommand() *cobra.Command {
	var f buildFlags
	c := &cobra.Command{
		Use:   "build",
		Short: "Build the image",
		Long: `Build the appliance's image from Debian packages and this source tree.

Packages come from the mirrors of this machine's apt, or from --mirror. What was
downloaded is kept; a step whose inputs did not change is skipped. The same
inputs and the same SOURCE_DATE_EPOCH (the last commit's time if it is not set)
give the same bytes.

The image is signed. The first build makes the key; keep it: an appliance takes
upgrades only from keys that its image trusts.`,
		Example: `  sudo mkesos build
  sudo mkesos build --document esos.yaml --ssh-key ~/.ssh/id_ed25519.pub
  sudo mkesos build --raid-cli storcli64=storcli.zip --deb scst.deb`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	s := c.Flags()
	s.StringVar(&f.spec, "spec", "", "the image's specification (default: the one built in)")
	s.StringVar(&f.source, "source", ".", "`directory` of ESOS's source")
	s.StringVar(&f.work, "work", "", "`directory` of what is made on the way (default "+defaultWork+" below the source)")
	s.StringVar(&f.out, "out", "", "`directory` of the results (default: out below the work directory)")
	s.StringVar(&f.downloads, "downloads", "", "`directory` that keeps packages (default: esos/packages in the user's cache)")
	s.StringVar(&f.mirror, "mirror", "", "`URL` of a Debian mirror (default: this machine's)")
	s.StringVar(&f.security, "security-mirror", "", "`URL` of a mirror of security updates (default: this machine's)")
	s.StringVar(&f.key, "key", "", "private key that signs (default "+keyHint+"; made if missing)")
	s.StringSliceVar(&f.trusted, "trust", nil, "public key `FILE` that may sign upgrades too")
	s.StringSliceVar(&f.debs, "deb", nil, "`FILE` of a package to put in, such as SCST's")
	s.StringSliceVar(&f.raidCLIs, "raid-cli", nil, "`NAME=FILE`: a vendor's archive that holds storcli64, perccli64, arcconf, hpacucli, hpssacli, cli64, tw_cli or MegaCli64")
	s.StringVar(&f.document, "document", "", "esos.yaml that the array begins with")
	s.StringSliceVar(&f.sshKeys, "ssh-key", nil, "`FILE` of SSH public keys that may log in as root and admin")
	s.StringVar(&f.debugKernel, "debug-kernel", "", "`PACKAGE` of another kernel for the Debug entries")
	s.IntVar(&f.level, "level", 15, "how hard the root is compressed, 1 to 22")
	s.BoolVar(&f.update, "update", false, "look for newer packages although nothing else changed")
	return c
}

func (f *buildFlags) run(c *cobra.Command) error {
	ctx := c.Context()
	o, err := f.options(ctx)
	if err != nil {
		return err
	}
	o.Progress = image.NewProgress(c.ErrOrStderr(), onTerminal(c.ErrOrStderr()), image.Steps)
	if o.Seed, err = f.makeSeed(o.Work); err != nil {
		return err
	}
	start := time.Now()
	r, err := image.Build(ctx, o)
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "ESOS %s, built in %s\n", o.Version, time.Since(start).Round(time.Second))
	for _, part := range []string{"root.squashfs", "initrd.img", "vmlinuz"} {
		fmt.Fprintf(out, "  %-14s %7.1f MiB\n", part, float64(r.Sizes[part])/(1<<20))
	}
	fmt.Fprintf(out, "  medium         %s\n  upgrade        %s\n\nTry next:\n  mkesos run %s\n  mkesos write %s /dev/sdX\n", r.Medium, r.Upgrade, r.Medium, r.Medium)
	return nil
}

func (f *buildFlags) options(ctx context.Context) (image.Options, error) {
	var o image.Options
	var err error
	if o.Source, err = filepath.Abs(f.source); err != nil {
		return o, err
	}
	if _, err := os.Stat(filepath.Join(o.Source, "cmd/esos-init")); err != nil {
		return o, fmt.Errorf("%s is not the source of ESOS: name it with --source: %w", o.Source, err)
	}
	if o.Spec, err = f.loadSpec(); err != nil {
		return o, err
	}
	if f.level < 1 || f.level > 22 {
		return o, fmt.Errorf("--level %d: want 1 to 22", f.level)
	}
	dirs := []struct {
		to              *string
		given, default_ string
	}{
		{&o.Work, f.work, filepath.Join(o.Source, defaultWork)},
		{&o.Out, f.out, ""},
		{&o.Downloads, f.downloads, ""},
	}
	dirs[1].default_ = filepath.Join(either(f.work, dirs[0].default_), "out")
	dirs[2].default_ = filepath.Join(either(f.work, dirs[0].default_), "downloads")
	if cache, err := os.UserCacheDir(); err == nil {
		dirs[2].default_ = filepath.Join(cache, "esos", "packages")
	}
	for _, d := range dirs {
		if *d.to, err = filepath.Abs(either(d.given, d.default_)); err != nil {
			return o, err
		}
		if strings.ContainsAny(*d.to, "'\"\n") {
			return o, fmt.Errorf("directory %q: quotes and line ends in its name are not possible here", *d.to)
		}
	}
	if o.Mirrors, err = image.ChooseMirrors(os.DirFS("/etc/apt"), f.mirror, f.security); err != nil {
		return o, err
	}
	if o.Epoch, err = epoch(ctx, o.Source); err != nil {
		return o, err
	}
	if o.Version, err = sourceVersion(ctx, o.Source); err != nil {
		return o, err
	}
	if o.Key, o.Trusted, err = f.keys(); err != nil {
		return o, err
	}
	for _, file := range f.debs {
		full, err := filepath.Abs(file)
		if err != nil {
			return o, err
		}
		o.Debs = append(o.Debs, full)
	}
	o.RaidCLIs = map[string]string{}
	for _, one := range f.raidCLIs {
		name, file, ok := strings.Cut(one, "=")
		if !ok {
			return o, fmt.Errorf("--raid-cli %s: want NAME=FILE", one)
		}
		o.RaidCLIs[name] = file
	}
	o.DebugKernel, o.Level, o.Update = f.debugKernel, f.level, f.update
	return o, nil
}

func (f *buildFlags) loadSpec() (image.Spec, error) {
	if f.spec == "" {
		return image.DefaultSpec()
	}
	return image.LoadSpec(f.spec)
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// epoch is SOURCE_DATE_EPOCH, else the time of the source's last commit, so
// that the same commit gives the same bytes.
func epoch(ctx context.Context, source string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "-C", source, "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("find the time of the last commit in %s: %w; set SOURCE_DATE_EPOCH (seconds since 1970) where there is no git", source, err)
		}
		text = strings.TrimSpace(string(out))
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%q: want seconds since 1970", text)
	}
	return time.Unix(n, 0).UTC(), nil
}

// sourceVersion is what git calls the source: a tag, or the commit and how far
// it is from one.
func sourceVersion(ctx context.Context, source string) (string, error) {
	if v := os.Getenv("ESOS_VERSION"); v != "" {
		return v, nil
	}
	out, err := exec.CommandContext(ctx, "git", "-C", source, "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("ask git for the source's version: %s; set ESOS_VERSION where there is no git", strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("ask git for the source's version: %w; set ESOS_VERSION where there is no git", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// makeSeed puts together what a new medium's first boot finds in its settings;
// "" if there is nothing.
func (f *buildFlags) makeSeed(work string) (string, error) {
	dir := filepath.Join(work, "seed")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if f.document == "" && len(f.sshKeys) == 0 {
		return "", nil
	}
	var keys []byte
	for _, file := range f.sshKeys {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read SSH keys: %w", err)
		}
		keys = append(append(keys, text...), '\n')
	}
	var document []byte
	if f.document != "" {
		var err error
		if document, err = image.ReadDocument(f.document); err != nil {
			return "", err
		}
	}
	if err := image.WriteSeed(dir, document, keys); err != nil {
		return "", fmt.Errorf("prepare the first boot's settings: %w", err)
	}
	return dir, nil
}
