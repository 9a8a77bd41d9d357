package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

// reading makes the work of a command that only looks at the document.
func (a *app) reading(look func(args []string, doc *config.Document) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		doc, err := a.fetch(c)
		if err != nil {
			return err
		}
		return look(args, doc)
	}
}

// fetch reads the document in force, its secrets hidden.
func (a *app) fetch(c *cobra.Command) (*config.Document, error) {
	cl, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	d, err := cl.Document(c.Context(), false)
	if err != nil {
		return nil, err
	}
	return config.Decode("the array's document", d.Text)
}

// completeNames completes arguments from the document; names returns what the
// argument after args may be.
func (a *app) completeNames(names func(doc *config.Document, args []string) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		doc, err := a.fetch(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var match []string
		for _, n := range names(doc, args) {
			if strings.HasPrefix(n, typed) {
				match = append(match, n)
			}
		}
		return match, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) completeDevices(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return deviceNames(doc)
	})(c, args, typed)
}

// completeTargets completes TARGET, then GROUP.
func (a *app) completeTargets(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		switch len(args) {
		case 0:
			return targetNames(doc)
		case 1:
			return groupNames(doc, args[0])
		}
		return nil
	})(c, args, typed)
}

func deviceNames(doc *config.Document) []string {
	var names []string
	for _, d := range doc.Devices {
		names = append(names, d.Name)
	}
	return names
}

func targetNames(doc *config.Document) []string {
	var names []string
	for _, t := range doc.Targets {
		names = append(names, t.Name)
	}
	return names
}

func groupNames(doc *config.Document, target string) []string {
	t, err := findTarget(doc, target)
	if err != nil {
		return nil
	}
	var names []string
	for _, g := range t.Groups {
		names = append(names, g.Name)
	}
	return names
}

// findTarget finds a target by its name, or by what stands behind its last
// colon if only one has that.
func findTarget(doc *config.Document, name string) (*config.Target, error) {
	var found *config.Target
	var several bool
	for i := range doc.Targets {
		t := &doc.Targets[i]
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
		if _, short, ok := cutLast(t.Name, ":"); ok && short == name {
			several = found != nil
			found = t
		}
	}
	switch {
	case several:
		return nil, usageError{fmt.Errorf("more than one target is called %s; give the whole name", name)}
	case found == nil:
		return nil, notFound(fmt.Errorf("there is no target %s; 'esos target list' shows all", name))
	}
	return found, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
