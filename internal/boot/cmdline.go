package boot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/slot"
)

// Options are what the kernel's command line says to the boot and to the
// installer.
type Options struct {
	Slot    slot.Name     `json:"slot"`              // slot=
	Medium  string        `json:"medium,omitempty"`  // esos_medium=: a UUID of esos_root, or a device
	Wait    time.Duration `json:"-"`                 // esos_wait=: seconds to wait for the medium
	Persist bool          `json:"persist,omitempty"` // esos_persist: run from the medium
	ISO     ISOMode       `json:"iso,omitempty"`     // esos_iso=
	Rescue  bool          `json:"rescue,omitempty"`  // esos_rescue: a shell before handing over
	Single  bool          `json:"single,omitempty"`  // single_user
	Crash   bool          `json:"crash,omitempty"`   // esos_crash: this is the crash kernel
	// Of an upgrade's trial; GRUB says these.
	Trial        bool      `json:"trial,omitempty"`         // esos_trial: the slot has to prove itself
	TrialMinutes int       `json:"trial_minutes,omitempty"` // esos_trial_minutes=: to become healthy in
	FellBack     slot.Name `json:"fell_back,omitempty"`     // esos_fell_back=: the slot that did not
	OwnSettings  bool      `json:"own_settings,omitempty"`  // esos_settings=slot: those that the slot last ran with

	Install InstallOptions `json:"install"`
}

// ISOMode says what is done with a system that was booted from an ISO.
type ISOMode string

// What an ISO is for.
const (
	NoISO      ISOMode = ""
	LiveISO    ISOMode = "live"
	InstallISO ISOMode = "install"
)

// InstallOptions say where an ISO installs itself, and whether it asks.
type InstallOptions struct {
	Device    string `json:"device,omitempty"`    // install_dev=
	Transport string `json:"transport,omitempty"` // install_tran=
	Model     string `json:"model,omitempty"`     // install_model=: a pattern
	Wipe      bool   `json:"wipe,omitempty"`      // wipe_devs=1
	NoPrompt  bool   `json:"no_prompt,omitempty"` // no_prompt=1
}

// DefaultWait is how long the medium is waited for: USB hubs, and disks that
// spin up, take their time.
const DefaultWait = 60 * time.Second

const maxWait = time.Hour

// maxTrialMinutes bounds how long a system on trial may take to be healthy.
const maxTrialMinutes = 24 * 60

// ParseOptions reads a kernel command line. What it cannot make sense of it
// tells in warnings, and goes on with the default: a typing error in GRUB's
// editor must not keep a machine from booting.
func ParseOptions(cmdline string) (o Options, warnings []string) {
	o = Options{Slot: slot.Primary, Wait: DefaultWait}
	warn := func(format string, a ...any) { warnings = append(warnings, fmt.Sprintf(format, a...)) }
	for _, word := range Words(cmdline) {
		key, value, valued := strings.Cut(word, "=")
		flag := func() bool {
			switch value {
			case "1", "yes", "true", "on":
				return true
			case "0", "no", "false", "off":
				return false
			}
			if valued {
				warn("%s: want 1 or 0, taken as 1", word)
			}
			return true
		}
		switch key {
		case "slot":
			name, err := slot.ParseName(strings.ToUpper(value))
			if err != nil {
				warn("%s on the kernel's command line: %v; booting %s", word, err, o.Slot)
				continue
			}
			o.Slot = name
		case "esos_medium":
			o.Medium = value
		case "esos_wait":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > int(maxWait/time.Second) {
				warn("%s: want seconds from 0 to %d, waiting %.0f", word, int(maxWait/time.Second), o.Wait.Seconds())
				continue
			}
			o.Wait = time.Duration(n) * time.Second
		case "esos_persist":
			o.Persist = flag()
		case "esos_iso":
			switch m := ISOMode(value); m {
			case LiveISO, InstallISO:
				o.ISO = m
			default:
				warn("%s: want live or install, taken as live", word)
				o.ISO = LiveISO
			}
		case "esos_rescue":
			o.Rescue = flag()
		case "single_user":
			o.Single = flag()
		case "esos_crash":
			o.Crash = flag()
		case "esos_trial":
			o.Trial = flag()
		case "esos_trial_minutes":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxTrialMinutes {
				warn("%s: want minutes from 1 to %d", word, maxTrialMinutes)
				continue
			}
			o.TrialMinutes = n
		case "esos_fell_back":
			name, err := slot.ParseName(strings.ToUpper(value))
			if err != nil {
				warn("%s: %v", word, err)
				continue
			}
			o.FellBack = name
		case "esos_settings":
			if o.OwnSettings = value == "slot"; !o.OwnSettings && value != "newest" {
				warn("%s: want slot or newest, taken as newest", word)
			}
		case "install_dev":
			o.Install.Device = value
		case "install_tran":
			o.Install.Transport = value
		case "install_model":
			o.Install.Model = value
		case "wipe_devs":
			o.Install.Wipe = flag()
		case "no_prompt":
			o.Install.NoPrompt = flag()
		}
	}
	if o.ISO != NoISO && o.Persist {
		warn("esos_persist has no meaning for an ISO: it runs from memory")
		o.Persist = false
	}
	return o, warnings
}

// Words splits a kernel command line as the kernel does: at spaces that are not
// within double quotes, up to " -- ", after which words are for init. Quotes
// around a value, or around the whole word, are taken off.
func Words(cmdline string) []string {
	var words []string
	quoted := false
	for _, word := range strings.FieldsFunc(cmdline, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || r == '\t' || r == '\n')
	}) {
		if word == "--" {
			break
		}
		word = unquote(word)
		if key, value, ok := strings.Cut(word, "="); ok {
			word = key + "=" + unquote(value)
		}
		words = append(words, word)
	}
	return words
}

func unquote(s string) string {
	if strings.HasPrefix(s, `"`) {
		return strings.TrimSuffix(s[1:], `"`)
	}
	return s
}
