package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	_ "embed"

	"go.yaml.in/yaml/v4"

	"github.com/esos-project/esos/internal/image/components"
)

// Spec says what an image is made of; image.yaml explains each field.
type Spec struct {
	Suite      string        `yaml:"suite"`
	Sections   []string      `yaml:"sections"`
	Packages   []string      `yaml:"packages"`
	Kernel     string        `yaml:"kernel"`
	Tools      []string      `yaml:"tools"`
	Exclude    []string      `yaml:"exclude"`
	Keep       []string      `yaml:"keep"`
	Identities []string      `yaml:"identities"`
	Initramfs  InitramfsSpec `yaml:"initramfs"`
	Sizes      Sizes         `yaml:"sizes"`
	Arguments  Arguments     `yaml:"arguments"`
}

// InitramfsSpec says what the initramfs holds beside esos-init.
type InitramfsSpec struct {
	Modules  []string `yaml:"modules"`
	Load     []string `yaml:"load"`
	Programs []string `yaml:"programs"`
	Files    []string `yaml:"files"`
}

// Sizes are those of the medium's partitions, in MiB.
type Sizes struct {
	Boot int64 `yaml:"boot"`
	Root int64 `yaml:"root"`
	Conf int64 `yaml:"conf"`
	Logs int64 `yaml:"logs"`
}

// Arguments are the kernel's, by kind of entry.
type Arguments struct {
	Common     string `yaml:"common"`
	Production string `yaml:"production"`
	Debug      string `yaml:"debug"`
}

//go:embed image.yaml
var defaultSpec []byte

// DefaultSpec is image.yaml.
func DefaultSpec() (Spec, error) { return ParseSpec("image.yaml", defaultSpec) }

// LoadSpec reads a specification from a file.
func LoadSpec(name string) (Spec, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return Spec{}, fmt.Errorf("read the image's specification: %w", err)
	}
	return ParseSpec(name, text)
}

// ParseSpec reads a specification strictly: an unknown key is a mistake, not a
// wish for later.
func ParseSpec(name string, text []byte) (Spec, error) {
	var s Spec
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("read the image's specification %s: %w", name, err)
	}
	if err := s.check(); err != nil {
		return s, fmt.Errorf("the image's specification %s: %w", name, err)
	}
	return s, nil
}

func (s Spec) check() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Suite == "" || len(s.Sections) == 0 || s.Kernel == "" {
		bad("suite, sections and kernel must be given")
	}
	for _, list := range [][]string{s.Packages, s.Tools} {
		for i, p := range list {
			if !isPackageName(p) {
				bad("%q is not a package's name", p)
			}
			if slices.Contains(list[:i], p) {
				bad("package %s is listed twice", p)
			}
		}
	}
	for _, p := range slices.Concat(s.Exclude, s.Keep, s.Identities, s.Initramfs.Programs, s.Initramfs.Files) {
		if strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.HasPrefix(p, "..") {
			bad("path %q: want one from the root's top, such as usr/share/doc/*", p)
		}
		if _, err := path.Match(p, ""); err != nil {
			bad("pattern %q: %w", p, err)
		}
	}
	for name, size := range map[string]int64{"boot": s.Sizes.Boot, "root": s.Sizes.Root, "conf": s.Sizes.Conf, "logs": s.Sizes.Logs} {
		if size < 64 || size > 1<<20 {
			bad("sizes.%s is %d MiB: want 64 to %d", name, size, 1<<20)
		}
	}
	return errors.Join(problems...)
}

// isPackageName follows Debian policy 5.6.7.
func isPackageName(s string) bool {
	if len(s) < 2 {
		return false
	}
	for i, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && strings.ContainsRune("+-.", c):
		default:
			return false
		}
	}
	return true
}

// rootPackages is all that the root is asked to have, once each.
func (s Spec) rootPackages() ([]string, error) {
	parts, err := components.Packages()
	if err != nil {
		return nil, err
	}
	all := append(slices.Concat(s.Packages, parts), s.Kernel)
	slices.Sort(all)
	return slices.Compact(all), nil
}
