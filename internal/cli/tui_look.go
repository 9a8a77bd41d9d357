package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/google/renameio/v2"
	"go.yaml.in/yaml/v4"
)

// look is what somebody chose for the console.
type look struct {
	Theme string `yaml:"theme"`
}

var plainUser = regexp.MustCompile(`^[a-z_][a-z0-9_.-]*$`)

// lookFile is where it is kept. Root's directory has that of those who came by
// sudo, too: root does not write into theirs.
func lookFile(who string) (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	name := "tui.yaml"
	if os.Geteuid() == 0 && who != "root" && plainUser.MatchString(who) {
		name = "tui-" + who + ".yaml"
	}
	return filepath.Join(dir, "esos", name), nil
}

// loadLook reads it; what cannot be read is as if nothing was chosen.
func loadLook(who string) look {
	var l look
	if name, err := lookFile(who); err == nil {
		if text, err := os.ReadFile(name); err == nil {
			_ = yaml.Unmarshal(text, &l)
		}
	}
	return l
}

func saveLook(who string, l look) error {
	name, err := lookFile(who)
	if err != nil {
		return fmt.Errorf("keep how the console looks: %w", err)
	}
	text, err := yaml.Marshal(l)
	if err != nil {
		return fmt.Errorf("keep how the console looks: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("keep how the console looks: %w", err)
	}
	if err := renameio.WriteFile(name, text, 0o600); err != nil {
		return fmt.Errorf("keep how the console looks: %w", err)
	}
	return nil
}
