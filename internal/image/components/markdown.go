package components

import (
	"fmt"
	"strings"
)

// Markdown returns docs/components.md.
func Markdown() (string, error) {
	all, err := All()
	if err != nil {
		return "", err
	}
	count := map[Disposition]int{}
	units := 0
	for _, c := range all {
		count[c.Is]++
		units += len(c.Off)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# The components of ESOS, and what became of them

Made from internal/image/components/components.yaml by `+"`go test ./internal/image/components -update`"+`; a test
compares it. The image's packages come from the same table, and a test runs each row's check in the booted appliance:
it must end with 0 and print what the expression beside it matches.

Of the %d components of ESOS's list and %d vendors' RAID programs (%d rows):

| what became of it | rows | |
| --- | --- | --- |
| in the image | %d | the packages are in the root that runs from memory |
| in the initramfs | %d | and in the root |
| on the medium | %d | beside the root |
| superseded | %d | something else does its work; it is in the image unless the row says otherwise |
| not needed | %d | only building needs it |
| the operator's | %d | proprietary; put in with `+"`mkesos build --raid-cli`"+`, or on a running appliance with `+"`esos raid-cli add`"+` |

All daemons are there; those of the %d units marked "off" run only when the document declares what needs them.
`, len(all)-count[Operator], count[Operator], len(all), count[Image], count[Initramfs], count[Medium], count[Superseded],
		count[BuildOnly], count[Operator], units)
	b.WriteString("\n| component | here | packages | check |\n| --- | --- | --- | --- |\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(c.Name), cell(c.here()), cell(strings.Join(c.Packages, ", ")), c.checkCell())
	}
	return b.String(), nil
}

// here is a sentence or two about where the component is.
func (c Component) here() string {
	var s string
	switch c.Is {
	case Image:
		s = "in the image"
	case Initramfs:
		s = "in the initramfs"
	case Medium:
		s = "on the medium"
	case Superseded:
		s = "superseded by " + c.By
	case BuildOnly:
		s = "not needed"
	case Operator:
		s = "the operator's"
	}
	if c.As != "" {
		s += ": " + c.As
	}
	if c.Why != "" {
		s += ". " + strings.TrimSuffix(c.Why, ".")
	}
	s += "."
	if len(c.Off) > 0 {
		s += " Off: " + strings.Join(c.Off, ", ") + "."
	}
	if len(c.On) > 0 {
		s += " On: " + strings.Join(c.On, ", ") + "."
	}
	return s
}

func (c Component) checkCell() string {
	return code(c.Check) + " prints " + code(c.Expect)
}

// cell escapes what would end a table's cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// code sets s as code in a cell: with a fence longer than any in it.
func code(s string) string {
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	pad := ""
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		pad = " "
	}
	return fence + pad + cell(strings.ReplaceAll(s, "\n", " ")) + pad + fence
}
