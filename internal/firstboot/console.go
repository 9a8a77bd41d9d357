package firstboot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// issue is what the consoles show above their prompts (agetty(8)), besides
// /etc/issue. Only root can read it.
const issue = "etc/issue.d/50-esos-first-boot.issue"

// announce has the consoles show the password.
func (m Machine) announce(f First) error {
	if err := m.write(issue, []byte(f.issue()), 0o600); err != nil {
		return fmt.Errorf("show the password on the consoles: %w", err)
	}
	return nil
}

// issue is the text for the consoles. agetty puts the machine's address in the
// place of \4.
func (f First) issue() string {
	var where []string
	if f.console {
		where = append(where, "on this console", "over SSH")
	}
	switch {
	case f.api && f.reach != "":
		where = append(where, "in the API")
	case f.api:
		where = append(where, "in the API (once api.listen says where)")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nThis array is new. %s logs in %s with the password\n\n", Administrator, sentence(where))
	fmt.Fprintf(&b, "    %s\n\n", f.password)
	b.WriteString("It is shown until it is changed: ")
	switch {
	case f.console && f.api:
		fmt.Fprintf(&b, "passwd, and sudo esos user set %s --password\n", Administrator)
	case f.console:
		b.WriteString("passwd\n")
	default:
		fmt.Fprintf(&b, "sudo esos user set %s --password\n", Administrator)
	}
	if f.reach != "" {
		fmt.Fprintf(&b, "\nAPI: %s\n     certificate %s\n", f.reach, f.print)
	}
	b.WriteString("\n")
	return b.String()
}

// sentence joins places as people do.
func sentence(list []string) string {
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
	return strings.Join(list, "")
}

// Settle takes the password off the consoles if it is not the one any more. It
// says whether it did.
func (m Machine) Settle() (bool, error) {
	was, err := os.ReadFile(m.path(done))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // the first boot is not over
	}
	if err != nil {
		return false, fmt.Errorf("look whether the first password was changed: %w", err)
	}
	hash, err := m.hash(Administrator)
	if err != nil && !errors.Is(err, errNoUser) { // a user who was removed has no password
		return false, err
	}
	if digest(hash) == strings.TrimSpace(string(was)) {
		return false, nil
	}
	err = os.Remove(m.path(issue))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take the first password off the consoles: %w", err)
	}
	m.Log.Info("the first password was changed; the consoles show none any more")
	return true, host.SyncDir(filepath.Dir(m.path(issue)))
}

// Finish notes that all is done.
func (m Machine) Finish() error {
	hash, err := m.hash(Administrator)
	if err != nil {
		return err
	}
	if err := m.write(done, []byte(digest(hash)+"\n"), 0o600); err != nil {
		return fmt.Errorf("note that the first boot is over: %w", err)
	}
	return nil
}
