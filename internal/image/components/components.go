// Package components is the table of what became of each component of ESOS's
// list: the packages of the image come from it, docs/components.md is made of
// it, and its checks run in the booted appliance.
package components

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Component is one row of the table; components.yaml says what each field is
// for.
type Component struct {
	Name     string      `yaml:"name"`
	Is       Disposition `yaml:"is"`
	Packages []string    `yaml:"packages"`
	As       string      `yaml:"as"`
	By       string      `yaml:"by"`
	Why      string      `yaml:"why"`
	Check    string      `yaml:"check"`
	Expect   string      `yaml:"expect"`
	Off      []string    `yaml:"off"`
	On       []string    `yaml:"on"`
}

// Disposition says where a component is to be found.
type Disposition string

// What can become of a component.
const (
	Image      Disposition = "image"      // in the root
	Initramfs  Disposition = "initramfs"  // in the initramfs, and in the root
	Medium     Disposition = "medium"     // on the boot medium beside the root
	Superseded Disposition = "superseded" // something else does its work
	BuildOnly  Disposition = "build-only" // nothing on a running array needs it
	Operator   Disposition = "operator"   // proprietary: put in with --raid-cli
)

//go:embed components.yaml
var table []byte

// All returns the table in the order of ESOS's list.
func All() ([]Component, error) { return parse(table) }

// Packages returns the Debian packages that the components need in the root,
// sorted, each once.
func Packages() ([]string, error) {
	all, err := All()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range all {
		names = append(names, c.Packages...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Units returns the systemd units that run without having been declared, and
// those that must not; both sorted.
func Units() (on, off []string, err error) {
	all, err := All()
	if err != nil {
		return nil, nil, err
	}
	for _, c := range all {
		on = append(on, c.On...)
		off = append(off, c.Off...)
	}
	slices.Sort(on)
	slices.Sort(off)
	return on, off, nil
}

// parse reads a table strictly and refuses one with a row that does not
// explain itself.
func parse(text []byte) ([]Component, error) {
	var all []Component
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("read the table of components: %w", err)
	}
	var problems []error
	names := map[string]bool{}
	owner := map[string]string{}
	for i, c := range all {
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("component %d (%s): %s", i+1, c.Name, fmt.Sprintf(format, args...)))
		}
		if c.Name == "" || names[c.Name] {
			bad("its name is missing or taken")
		}
		names[c.Name] = true
		for _, problem := range c.problems() {
			bad("%s", problem)
		}
		for _, what := range slices.Concat(c.Packages, c.On, c.Off) {
			if other, taken := owner[what]; taken {
				bad("%s is %s's already", what, other)
			}
			owner[what] = c.Name
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("the table of components: %w", err)
	}
	return all, nil
}

// problems says what the row leaves unexplained.
func (c Component) problems() []string {
	var found []string
	need := func(ok bool, problem string) {
		if !ok {
			found = append(found, problem)
		}
	}
	switch c.Is {
	case Image, Initramfs:
		need(len(c.Packages) > 0, "no package says where it comes from")
		need(c.By == "" && c.Why == "", "by and why are for what is not there")
	case Medium, Operator:
		need(c.As != "", "as must say what it is")
	case Superseded:
		need(c.By != "" && c.Why != "", "by and why must say what does its work, and the reason")
	case BuildOnly:
		need(c.Why != "", "why must give the reason")
		need(len(c.Packages) == 0, "what is not in the image has no packages")
	default:
		need(false, fmt.Sprintf("is %q: want image, initramfs, medium, superseded, build-only or operator", c.Is))
	}
	need(strings.TrimSpace(c.Check) != "", "no check shows that the row is true")
	need(c.Expect != "", "expect must say what its check prints")
	if e, err := regexp.Compile(c.Expect); err != nil {
		need(false, fmt.Sprintf("expect: %v", err))
	} else {
		need(!e.MatchString(""), "expect matches an empty output")
	}
	return found
}
