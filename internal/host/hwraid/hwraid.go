// Package hwraid speaks to hardware RAID controllers through the programs of
// their vendors: what disks and volumes a controller has, and how volumes and
// hot spares come and go. There is one adapter a program; all give and take the
// types of this file. What a program prints is text from outside: it is bounded,
// and nothing of it steers a terminal.
package hwraid

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Controller is a RAID controller with all that it has.
type Controller struct {
	// ID is what people call it: a word for its program, and its number there.
	ID       string   `json:"id"`
	Program  string   `json:"program"`
	Number   int      `json:"number"`
	Model    string   `json:"model"`
	Serial   string   `json:"serial,omitempty"`
	Firmware string   `json:"firmware,omitempty"`
	State    string   `json:"state,omitempty"` // the program's word: Optimal
	Why      string   `json:"why,omitempty"`   // why no volumes can be made on it: a sentence
	Drives   []Drive  `json:"drives"`
	Volumes  []Volume `json:"volumes"`
}

// Drive is a disk at a controller.
type Drive struct {
	Place     string `json:"place"`     // enclosure:slot, what it is chosen by
	Size      string `json:"size"`      // as the program prints it
	Medium    string `json:"medium"`    // HDD, SSD
	Interface string `json:"interface"` // SAS, SATA, NVMe
	State     string `json:"state"`     // the program's word: UGood, Onln, GHS
	Model     string `json:"model"`
	Serial    string `json:"serial,omitempty"`
	Spare     bool   `json:"spare"`         // it is a hot spare
	Why       string `json:"why,omitempty"` // why it cannot be chosen for something new: a sentence
}

// Volume is what a controller shows to this machine as a disk.
type Volume struct {
	Number     int      `json:"number"`
	Name       string   `json:"name,omitempty"`
	Level      string   `json:"level"` // the program's word: RAID5
	Size       string   `json:"size"`
	State      string   `json:"state"`                 // the program's word: Optl, Dgrd
	WriteCache string   `json:"write_cache,omitempty"` // wb, wt, or nothing if the program does not tell
	ReadAhead  bool     `json:"read_ahead"`
	Drives     []string `json:"drives"`
	Disk       string   `json:"disk,omitempty"`   // what the kernel has it as: /dev/sda
	NAA        string   `json:"naa,omitempty"`    // the identifier that the disk has, in hex
	Serial     string   `json:"serial,omitempty"` // the serial number that the disk has, if the program tells
}

// NewVolume is a volume to be made.
type NewVolume struct {
	Level      string // 0, 1, 5, 6, 10
	Drives     []string
	WriteCache string // WriteBack or WriteThrough
	ReadAhead  bool
}

// What the write cache does.
const (
	WriteThrough = "wt"
	WriteBack    = "wb"
)

// Runner runs programs (host.Linux).
type Runner interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// Levels are those that a volume can be made of.
func Levels() []string { return []string{"0", "1", "5", "6", "10"} }

// CheckLevel says what is wrong with a level of so many drives.
func CheckLevel(level string, drives int) error {
	rule := map[string]struct {
		least int
		exact bool
		even  bool
		text  string
	}{
		"0": {1, false, false, "1 drive or more"}, "1": {2, true, false, "2 drives"}, "5": {3, false, false, "3 drives or more"},
		"6": {4, false, false, "4 drives or more"}, "10": {4, false, true, "4 drives or more, an even number"},
	}
	r, ok := rule[level]
	switch {
	case !ok:
		return fmt.Errorf("level %q is none of %s", level, strings.Join(Levels(), ", "))
	case drives < r.least, r.exact && drives != r.least, r.even && drives%2 != 0:
		return fmt.Errorf("RAID %s takes %s, not %d", level, r.text, drives)
	}
	return nil
}

// Check says what is wrong with a volume that is to be made on a controller.
func (c Controller) Check(v NewVolume) error {
	if c.Why != "" {
		return fmt.Errorf("controller %s: %s", c.ID, c.Why)
	}
	if err := CheckLevel(v.Level, len(v.Drives)); err != nil {
		return err
	}
	if v.WriteCache != WriteThrough && v.WriteCache != WriteBack {
		return fmt.Errorf("write cache %q is neither %s (write-through) nor %s (write-back)", v.WriteCache, WriteThrough, WriteBack)
	}
	for i, place := range v.Drives {
		if slices.Contains(v.Drives[:i], place) {
			return fmt.Errorf("drive %s is named twice", place)
		}
		if err := c.CheckFree(place); err != nil {
			return err
		}
	}
	return nil
}

// CheckFree says why a drive cannot be chosen for something new.
func (c Controller) CheckFree(place string) error {
	d, err := c.Drive(place)
	if err != nil {
		return err
	}
	if d.Why != "" {
		return fmt.Errorf("drive %s of controller %s cannot be chosen: %s", place, c.ID, d.Why)
	}
	return nil
}

// CheckSpare says why a drive cannot be taken back from the hot spares.
func (c Controller) CheckSpare(place string) error {
	d, err := c.Drive(place)
	if err == nil && !d.Spare {
		err = fmt.Errorf("drive %s of controller %s is no hot spare: its state is %s", place, c.ID, d.State)
	}
	return err
}

// NotThereError says that a controller has no such drive or volume.
type NotThereError struct{ What, Name, Controller string }

func (e *NotThereError) Error() string {
	return fmt.Sprintf("controller %s has no %s %s; 'esos hwraid list' shows what it has", e.Controller, e.What, e.Name)
}

// Drive returns the drive at a place.
func (c Controller) Drive(place string) (Drive, error) {
	for _, d := range c.Drives {
		if d.Place == place {
			return d, nil
		}
	}
	return Drive{}, &NotThereError{"drive", place, c.ID}
}

// Volume returns the volume of a number.
func (c Controller) Volume(number int) (Volume, error) {
	for _, v := range c.Volumes {
		if v.Number == number {
			return v, nil
		}
	}
	return Volume{}, &NotThereError{"volume", fmt.Sprint(number), c.ID}
}

// ProgramError is what a program refused, in its own words.
type ProgramError struct {
	Program, Does, Said string
	Code                int // that it ended with; 0 if only its words say so
}

func (e *ProgramError) Error() string {
	said := e.Said
	if said == "" {
		said = "it gives no reason"
	}
	if e.Code != 0 {
		said += fmt.Sprintf(" (exit status %d)", e.Code)
	}
	return fmt.Sprintf("%s does not %s: %s", e.Program, e.Does, said)
}
