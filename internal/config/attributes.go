package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// mostAttribute is the longest name and the longest value of an attribute.
const mostAttribute = 255

// checkAttributes checks the form of an engine's own attributes. Which there
// are, and what they take, only the kernel knows that has them.
func (c *checker) checkAttributes(at string, attributes map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		at := fmt.Sprintf("%s.attributes[%s]", at, clip(name))
		if why := attributeNameProblem(name); why != "" {
			c.error(at, "%q %s", clip(name), why)
			continue
		}
		switch value := attributes[name]; {
		case value == "":
			c.error(at, "missing; write a value, or remove the attribute to leave it to the kernel")
		case len(value) > mostAttribute:
			c.error(at, "is longer than %d bytes", mostAttribute)
		case strings.IndexFunc(value, func(r rune) bool { return r < 0x20 || r > 0x7e }) >= 0:
			c.error(at, "%q may have printable ASCII characters only, on one line", clip(value))
		case value != strings.TrimSpace(value):
			c.error(at, "%q has blanks around it, which the kernel takes off; remove them", clip(value))
		}
	}
}

// attributeNameProblem says what is wrong with an attribute's name: it becomes
// a part of a path, and must not lead anywhere else.
func attributeNameProblem(name string) string {
	switch {
	case name == "":
		return "is no name of an attribute"
	case len(name) > mostAttribute:
		return fmt.Sprintf("is longer than %d bytes", mostAttribute)
	case hasOther(strings.ReplaceAll(name, "/", "_")):
		return `may have letters, digits, ".", "_", "-" and "/" only`
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' {
			return "is no name of an attribute: it would lead to another place"
		}
	}
	return ""
}
