// Package grub makes what GRUB needs to boot a medium or an ISO, from BIOS and
// UEFI: its images, its configuration and its environment.
package grub

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"

	_ "embed"
)

// Slots are the names of a medium's slots in the menu's order, which is also
// that of their directories. They are those of internal/slot.
func Slots() []string { return []string{"PRIMARY", "SECONDARY"} }

// EntryID is the menu entry of a slot, as EnvDefault names it.
func EntryID(slot string, debug bool) string {
	if debug {
		return slot + "-DEBUG"
	}
	return slot
}

// Files of a slot that GRUB loads. A debug entry takes the plain ones if a
// medium has no debug kernel of its own.
const (
	Kernel      = "vmlinuz"
	Initrd      = "initrd.img"
	DebugKernel = "vmlinuz-debug"
	DebugInitrd = "initrd-debug.img"
)

// MenuFile is GRUB's configuration, in its directory on ESOS_BOOT and, as the
// version there would have it, among a slot's files.
const MenuFile = "grub.cfg"

// consoles are the kernel's: the screen, and the serial line, which is the one
// that init speaks on. A console that a machine does not have is left out by
// the kernel.
const consoles = "console=tty0 console=ttyS0,115200"

// DebugArguments are what a debug entry adds: all that Debian's kernel has
// built in to tell what went wrong. They cost memory and speed.
func DebugArguments() []string {
	return []string{
		// Everything on the consoles, from the first line on.
		"ignore_loglevel", "earlyprintk=serial,ttyS0,115200", "log_buf_len=4M",
		"printk.devkmsg=on",
		// Memory: guards and poison around every object; samples of use after
		// free and out of bounds; poisoned free pages.
		"slub_debug=FZPU", "kfence.sample_interval=100", "page_poison=1",
		// The target's modules and those below them say what they do.
		"target_core_mod.dyndbg=+p", "iscsi_target_mod.dyndbg=+p", "scst.dyndbg=+p", "iscsi_scst.dyndbg=+p",
		"scsi_mod.dyndbg=+p", "dm_mod.dyndbg=+p", "md_mod.dyndbg=+p", "drbd.dyndbg=+p",
		// What led to an oops, and what hangs.
		"ftrace_dump_on_oops", "nmi_watchdog=1", "softlockup_all_cpu_backtrace=1", "hardlockup_all_cpu_backtrace=1",
		"sysctl.kernel.hung_task_timeout_secs=120", "sysctl.kernel.hung_task_all_cpu_backtrace=1",
		"sysrq_always_enabled",
	}
}

// Menu is a medium's configuration.
type Menu struct {
	Arguments      string // of every entry
	Production     string // of production entries
	DebugArguments string // of debug entries
}

//go:embed medium.cfg.tmpl
var mediumTemplate string

//go:embed iso.cfg.tmpl
var isoTemplate string

// Config is the file grub.cfg of a medium.
func (m Menu) Config() ([]byte, error) {
	for _, a := range []string{m.Arguments, m.Production, m.DebugArguments} {
		if err := CheckArguments(a); err != nil {
			return nil, err
		}
	}
	return fill("medium", mediumTemplate, map[string]any{
		"Slots": Slots(), "Consoles": consoles,
		"Production": join(m.Arguments, m.Production), "Debug": join(m.Arguments, m.DebugArguments),
	})
}

// ISOMenu is an ISO's configuration.
type ISOMenu struct {
	Arguments string   // of both entries
	Install   []string // what the entry that installs says beside esos_iso=install
	Unattend  bool     // whether that entry is the default
}

// Config is the file grub.cfg of an ISO.
func (m ISOMenu) Config() ([]byte, error) {
	if err := CheckArguments(m.Arguments); err != nil {
		return nil, err
	}
	var install []string
	for _, a := range m.Install {
		q, err := quote(a)
		if err != nil {
			return nil, err
		}
		install = append(install, q)
	}
	first := "live"
	if m.Unattend {
		first = "install"
	}
	return fill("iso", isoTemplate, map[string]any{
		"Default": first, "Consoles": consoles, "Arguments": join(m.Arguments), "Install": strings.Join(install, " "),
	})
}

// CheckArguments refuses kernel arguments that GRUB's script would take for
// something of its own. Line ends become blanks.
func CheckArguments(s string) error {
	if i := strings.IndexAny(s, "'\"\\$;{}<>&|#\x00"); i >= 0 {
		return fmt.Errorf("kernel arguments %q: %q cannot be in GRUB's configuration", s, s[i])
	}
	return nil
}

// quote makes one argument of s, whatever it holds for blanks and operators:
// a pattern. GRUB puts a backslash before quotes and backslashes, which the
// kernel does not take away again, so that these cannot be in it.
func quote(s string) (string, error) {
	if i := strings.IndexAny(s, "'\"\\\n\r\x00"); i >= 0 {
		return "", fmt.Errorf("kernel argument %q: %q cannot be in it", s, s[i])
	}
	return "'" + s + "'", nil
}

// join brings arguments onto one line with single blanks between them.
func join(parts ...string) string {
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

func fill(name, text string, data any) ([]byte, error) {
	t, err := template.New(name).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("make GRUB's configuration: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("make GRUB's configuration: %w", err)
	}
	return b.Bytes(), nil
}
