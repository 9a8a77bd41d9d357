package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Reference writes docs/cli.md: every command with its flags, and the exit
// codes.
func Reference(w io.Writer) error {
	root := (&app{in: strings.NewReader(""), out: io.Discard, err: io.Discard}).root()
	var b strings.Builder
	b.WriteString("# The esos command\n\nMade from the code by `go test ./internal/cli -update`; a test compares it.\n\n")
	fmt.Fprintf(&b, "%s\n\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n", root.Long)
	for _, c := range exitCodes() {
		fmt.Fprintf(&b, "| %d | %s |\n", c.Code, c.Meaning)
	}
	b.WriteString("\nWhat is wrong goes to standard error, with what to do next; results go to standard\noutput. With `-o json` or `-o yaml` standard output holds nothing else.\n")
	b.WriteString("\n## Flags of all commands\n\n")
	flags(&b, root.PersistentFlags())
	for _, c := range root.Commands() {
		describe(&b, c)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// describe writes a command and those below it.
func describe(b *strings.Builder, c *cobra.Command) {
	if !c.IsAvailableCommand() || c.Name() == "help" {
		return
	}
	level := strings.Repeat("#", min(1+strings.Count(c.CommandPath(), " "), 4))
	fmt.Fprintf(b, "\n%s %s\n\n", level, c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	if c.Name() == "completion" || c.HasParent() && c.Parent().Name() == "completion" {
		text = c.Short + "." // cobra's own text is about other programs too
	}
	fmt.Fprintf(b, "%s\n", strings.TrimRight(text, "\n"))
	if c.HasSubCommands() {
		for _, sub := range c.Commands() {
			describe(b, sub)
		}
		return
	}
	fmt.Fprintf(b, "\n    %s\n", c.UseLine())
	if c.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n%s\n", indent(c.Example))
	}
	own := c.NonInheritedFlags()
	if own.HasAvailableFlags() {
		b.WriteString("\n")
		flags(b, own)
	}
}

// flags writes a table of flags.
func flags(b *strings.Builder, set *pflag.FlagSet) {
	b.WriteString("| flag | |\n| --- | --- |\n")
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		if d := f.DefValue; d != "" && d != "false" && d != "[]" && d != "0" && d != "-1" && !strings.Contains(usage, "default") {
			usage += fmt.Sprintf(" (default %s)", d)
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, strings.ReplaceAll(usage, "|", "\\|"))
	})
}

func indent(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = "    " + strings.TrimPrefix(l, "  ")
	}
	return strings.Join(lines, "\n")
}
