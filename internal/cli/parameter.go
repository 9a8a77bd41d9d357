package cli

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// setParameters sets parameters from name=value, by the names that documents
// have for them.
func setParameters(p *config.Parameters, assignments []string) error {
	for _, s := range assignments {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			var names []string
			for _, known := range config.ParameterList() {
				names = append(names, known.Name)
			}
			return usageError{fmt.Errorf("parameter %q: write name=value; the names are %s", s, strings.Join(names, ", "))}
		}
		if err := p.Set(name, value); err != nil {
			return usageError{err}
		}
	}
	return nil
}
