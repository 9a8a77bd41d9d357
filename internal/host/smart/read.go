package smart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// Machine runs smartctl (host.Linux).
type Machine interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// patience is how long a disk may take to answer: a dead one takes for ever.
const patience = 30 * time.Second

// asleep is what smartctl is told to exit with when it leaves a disk asleep. No
// failure has this code: its bits are a wrong command line and a device that
// could not be opened (smartctl(8), EXIT STATUS).
const asleep = 3

// Read asks a disk how it is. One that sleeps is not woken.
func Read(ctx context.Context, m Machine, path string) (Health, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := m.Output(ctx, host.Call{Name: "smartctl", Args: []string{"--json=c", fmt.Sprintf("--nocheck=standby,%d", asleep), "--all", path}})
	var exit *host.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Health{}, fmt.Errorf("ask %s how it is: %w", path, err)
	}
	// Other codes tell of the disk's troubles, and the answer does in full.
	h, err := parse(out)
	if err != nil {
		return Health{}, fmt.Errorf("ask %s how it is: %w", path, err)
	}
	return h, nil
}

// answer is smartctl's JSON, as far as it is looked at.
type answer struct {
	Smartctl struct {
		Exit     int `json:"exit_status"`
		Messages []struct {
			String string `json:"string"`
		} `json:"messages"`
	} `json:"smartctl"`
	Firmware string `json:"firmware_version"`
	Revision string `json:"scsi_revision"`
	RPM      *int64 `json:"rotation_rate"`
	Status   struct {
		Passed *bool `json:"passed"`
	} `json:"smart_status"`
	Temperature struct {
		Current *int64 `json:"current"`
	} `json:"temperature"`
	On struct {
		Hours *int64 `json:"hours"`
	} `json:"power_on_time"`
	Attributes struct {
		Table []attribute `json:"table"`
	} `json:"ata_smart_attributes"`
	ATATests struct {
		Standard struct {
			Table []ataTest `json:"table"`
		} `json:"standard"`
		Extended struct {
			Table []ataTest `json:"table"`
		} `json:"extended"`
	} `json:"ata_smart_self_test_log"`
	Grown    *int64              `json:"scsi_grown_defect_list"`
	Counters map[string]counters `json:"scsi_error_counter_log"`
	Wear     *int64              `json:"scsi_percentage_used_endurance_indicator"`
	SCSITest *scsiTest           `json:"scsi_self_test_0"`
	NVMe     *struct {
		Warning   int    `json:"critical_warning"`
		Spare     *int64 `json:"available_spare"`
		Used      *int64 `json:"percentage_used"`
		Media     *int64 `json:"media_errors"`
		Hours     *int64 `json:"power_on_hours"`
		Threshold int64  `json:"available_spare_threshold"`
	} `json:"nvme_smart_health_information_log"`
	NVMeTests struct {
		Table []nvmeTest `json:"table"`
	} `json:"nvme_self_test_log"`
}

type attribute struct {
	ID     int    `json:"id"`
	Name   string `json:"name"`
	Failed string `json:"when_failed"` // "now", "past"
	Value  int64  `json:"value"`
	Raw    struct {
		Value int64 `json:"value"`
	} `json:"raw"`
}

type counters struct {
	Uncorrected int64 `json:"total_uncorrected_errors"`
}

type word struct {
	String string `json:"string"`
	Value  int    `json:"value"`
	Passed *bool  `json:"passed"`
}

type ataTest struct {
	Type   word   `json:"type"`
	Status word   `json:"status"`
	Hours  *int64 `json:"lifetime_hours"`
}

type scsiTest struct {
	Code   word `json:"code"`
	Result word `json:"result"`
	On     struct {
		Hours *int64 `json:"hours"`
	} `json:"power_on_time"`
}

type nvmeTest struct {
	Code   word   `json:"self_test_code"`
	Result word   `json:"self_test_result"`
	Hours  *int64 `json:"power_on_hours"`
}

// ErrSilent says that a disk tells nothing of itself: virtual ones, and many on
// USB.
var ErrSilent = errors.New("it tells nothing of itself")

func parse(text []byte) (Health, error) {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return Health{}, fmt.Errorf("smartctl's answer: %w", err)
	}
	switch {
	case a.Smartctl.Exit == asleep:
		return Health{Asleep: true}, nil
	case a.Smartctl.Exit&3 != 0: // nothing could be asked
		said := []string{}
		for _, m := range a.Smartctl.Messages {
			said = append(said, printable(m.String))
		}
		if text := strings.Join(said, "; "); strings.Contains(text, "Unable to detect device type") || strings.Contains(text, "Unknown USB bridge") {
			return Health{}, fmt.Errorf("%w: %s", ErrSilent, text)
		}
		return Health{}, fmt.Errorf("smartctl: exit status %d: %s", a.Smartctl.Exit, strings.Join(said, "; "))
	}
	h := Health{Passed: a.Status.Passed, Firmware: printable(a.Firmware), RPM: a.RPM, Celsius: a.Temperature.Current, Hours: a.On.Hours,
		Relocated: a.Grown, Used: a.Wear}
	if h.Firmware == "" {
		h.Firmware = printable(a.Revision)
	}
	h.ata(a)
	h.scsi(a)
	h.nvme(a)
	return h, nil
}

// ata reads the attributes whose numbers mean the same with all makers.
func (h *Health) ata(a answer) {
	for _, at := range a.Attributes.Table {
		raw := at.Raw.Value
		switch at.ID {
		case 5: // Reallocated_Sector_Ct
			h.Relocated = new(raw & 0xffffffff) // some keep another count in the upper half
		case 197: // Current_Pending_Sector
			h.Pending = new(raw & 0xffffffff)
		case 187, 198: // Reported_Uncorrect, Offline_Uncorrectable
			if n := raw & 0xffffffff; h.Media == nil || *h.Media < n {
				h.Media = new(n)
			}
		case 231, 233, 177, 202: // what is left of the endurance of flash, normalized from 100 down
			if wears(at.Name) && h.Used == nil {
				h.Used = new(max(0, 100-at.Value))
			}
		}
		if at.Failed != "" && at.Failed != "-" {
			h.Warnings = append(h.Warnings, fmt.Sprintf("%s: failed %s", printable(at.Name), printable(at.Failed)))
		}
	}
	tests := slices.Concat(a.ATATests.Extended.Table, a.ATATests.Standard.Table)
	if len(tests) > 0 {
		h.SelfTest = &SelfTest{Kind: printable(tests[0].Type.String), Result: printable(tests[0].Status.String), Passed: tests[0].Status.Passed, Hours: tests[0].Hours}
	}
}

// wears says whether an attribute is what its number is with drives of flash:
// smartctl's database names it.
func wears(name string) bool {
	return slices.Contains([]string{"SSD_Life_Left", "Media_Wearout_Indicator", "Wear_Leveling_Count", "Percent_Lifetime_Remain"}, name)
}

func (h *Health) scsi(a answer) {
	if len(a.Counters) > 0 {
		var n int64
		for _, c := range a.Counters {
			n += c.Uncorrected
		}
		h.Media = &n
	}
	if t := a.SCSITest; t != nil {
		h.SelfTest = &SelfTest{Kind: printable(t.Code.String), Result: printable(t.Result.String), Passed: new(t.Result.Value == 0), Hours: t.On.Hours}
		if t.Result.Value == 15 { // it is running (SPC-5, 7.3.20)
			h.SelfTest.Passed = nil
		}
	}
}

// nvme reads the health log (NVMe 2.0, 5.16.1.3).
func (h *Health) nvme(a answer) {
	if n := a.NVMe; n != nil {
		h.Spare, h.Used, h.Media = n.Spare, n.Used, n.Media
		if h.Hours == nil {
			h.Hours = n.Hours
		}
		for bit, text := range []string{"its spare space is nearly used up", "it is too hot or too cold", "it is not reliable any more", "it takes no writes any more",
			"its volatile memory is not backed up any more", "its persistent memory region is read-only"} {
			if n.Warning&(1<<bit) != 0 {
				h.Warnings = append(h.Warnings, text)
			}
		}
	}
	if t := a.NVMeTests.Table; len(t) > 0 {
		h.SelfTest = &SelfTest{Kind: printable(t[0].Code.String), Result: printable(t[0].Result.String), Passed: new(t[0].Result.Value == 0), Hours: t[0].Hours}
	}
}

// printable keeps what a drive says of itself from steering the terminal.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s))
}
