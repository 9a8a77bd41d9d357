package hwraid

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// Storcli is storcli64 of Broadcom's MegaRAID, and what Dell made of it,
// perccli64. Both understand the same and print the same JSON.
type Storcli struct {
	Name string // of the program
	Path string // where it is
	Word string // that its controllers' IDs begin with
	Run  Runner
}

// How long the program may take: it waits for the controller, and that for its
// disks.
const (
	readTime   = 90 * time.Second
	changeTime = 5 * time.Minute
)

// Controllers asks for all controllers and what they have. Those that cannot be
// asked are in it with the reason.
func (s Storcli) Controllers(ctx context.Context) ([]Controller, error) {
	list, err := s.ask(ctx, "list the controllers", "/call", "show", "all")
	if err != nil {
		return nil, err
	}
	if len(list) > mostControllers {
		return nil, fmt.Errorf("%s tells of %d controllers, more than any machine has", s.Name, len(list))
	}
	all := []Controller{}
	for _, one := range list {
		if one.none("no controller") {
			continue
		}
		c, err := one.controller()
		if err != nil {
			return nil, fmt.Errorf("read what %s says of a controller: %w", s.Name, err)
		}
		c.ID, c.Program = fmt.Sprint(s.Word, c.Number), s.Name
		if c.Why == "" {
			if err := s.fill(ctx, &c); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// fill asks for the drives and volumes of a controller.
func (s Storcli) fill(ctx context.Context, c *Controller) error {
	at := fmt.Sprintf("/c%d", c.Number)
	for _, where := range []string{"/eall/sall", "/sall"} { // the latter are drives without an enclosure
		list, err := s.ask(ctx, "list the drives of controller "+c.ID, at+where, "show", "all")
		if err != nil {
			return err
		}
		for _, one := range list {
			drives, err := one.drives()
			if err != nil {
				return fmt.Errorf("read what %s says of the drives of controller %s: %w", s.Name, c.ID, err)
			}
			c.Drives = append(c.Drives, drives...)
		}
		if len(c.Drives) > 0 {
			break
		}
	}
	list, err := s.ask(ctx, "list the volumes of controller "+c.ID, at+"/vall", "show", "all")
	if err != nil {
		return err
	}
	for _, one := range list {
		volumes, err := one.volumes()
		if err != nil {
			return fmt.Errorf("read what %s says of the volumes of controller %s: %w", s.Name, c.ID, err)
		}
		c.Volumes = append(c.Volumes, volumes...)
	}
	return nil
}

// AddVolume makes a volume. Controller.Check has to have been content with it.
func (s Storcli) AddVolume(ctx context.Context, controller int, v NewVolume) error {
	args := []string{fmt.Sprintf("/c%d", controller), "add", "vd", "type=raid" + v.Level, "drives=" + strings.Join(v.Drives, ",")}
	if v.Level == "10" {
		args = append(args, "pdperarray=2") // mirrors of two each
	}
	ahead := "nora"
	if v.ReadAhead {
		ahead = "ra"
	}
	return s.change(ctx, "make the volume", append(args, v.WriteCache, ahead)...)
}

// RemoveVolume deletes a volume with what it holds.
func (s Storcli) RemoveVolume(ctx context.Context, controller, volume int) error {
	return s.change(ctx, "delete the volume", fmt.Sprintf("/c%d/v%d", controller, volume), "del")
}

// AddSpare has a drive stand by for all volumes of its controller.
func (s Storcli) AddSpare(ctx context.Context, controller int, place string) error {
	at, err := s.at(controller, place)
	if err != nil {
		return err
	}
	return s.change(ctx, "make the drive a hot spare", at, "add", "hotsparedrive")
}

// RemoveSpare makes a hot spare a free drive again.
func (s Storcli) RemoveSpare(ctx context.Context, controller int, place string) error {
	at, err := s.at(controller, place)
	if err != nil {
		return err
	}
	return s.change(ctx, "take the hot spare back", at, "delete", "hotsparedrive")
}

// at is how the program addresses a drive.
func (Storcli) at(controller int, place string) (string, error) {
	p, err := parsePlace(place)
	if err != nil {
		return "", err
	}
	if p.enclosure < 0 {
		return fmt.Sprintf("/c%d/s%d", controller, p.slot), nil
	}
	return fmt.Sprintf("/c%d/e%d/s%d", controller, p.enclosure, p.slot), nil
}

// place is where a drive is; the enclosure is -1 if there is none.
type place struct{ enclosure, slot int }

// parsePlace reads enclosure:slot.
func parsePlace(s string) (place, error) {
	e, slot, ok := strings.Cut(s, ":")
	p := place{enclosure: -1}
	var err error
	if e = strings.TrimSpace(e); ok && e != "" {
		p.enclosure, err = number(e)
	}
	if err == nil {
		p.slot, err = number(strings.TrimSpace(slot))
	}
	if !ok || err != nil {
		return place{}, fmt.Errorf("drive %q: write ENCLOSURE:SLOT, such as 252:1", clean(s))
	}
	return p, nil
}

func (p place) String() string {
	if p.enclosure < 0 {
		return fmt.Sprintf(":%d", p.slot)
	}
	return fmt.Sprintf("%d:%d", p.enclosure, p.slot)
}

// number reads a number of the program's, which has neither sign nor blank.
func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", clean(s))
	}
	return int(n), nil
}

// ask has the program show something. An answer of which it says that there is
// none of it is no error.
func (s Storcli) ask(ctx context.Context, does string, args ...string) ([]answer, error) {
	list, code, err := s.call(ctx, readTime, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", does, err)
	}
	for _, one := range list {
		nothing := one.none("no controller", "no drive", "no pd", "no vd", "no virtual drive", "no enclosure")
		if !one.good() && !nothing && len(list) == 1 { // else it is one controller of several
			return nil, &ProgramError{s.Name, does, one.said(), code}
		}
		if nothing || len(list) > 1 {
			code = 0
		}
	}
	if code != 0 {
		return nil, &ProgramError{s.Name, does, "it says that all went well, but ends as if not", code}
	}
	return list, nil
}

// change has the program do something.
func (s Storcli) change(ctx context.Context, does string, args ...string) error {
	list, code, err := s.call(ctx, changeTime, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", does, err)
	}
	for _, one := range list {
		if !one.good() {
			return &ProgramError{s.Name, does, one.said(), code}
		}
	}
	if code != 0 || len(list) == 0 {
		return &ProgramError{s.Name, does, "it does not say whether that was done", code}
	}
	return nil
}

// call runs the program and reads its answers, and the code that it ended with.
func (s Storcli) call(ctx context.Context, patience time.Duration, args ...string) ([]answer, int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v: the controller may be busy or dead; look at its disks, and try again", patience))
	defer cancel()
	// nolog: else it writes a log to wherever it is run.
	out, err := s.Run.Output(ctx, host.Call{Name: s.Path, Args: append(args, "J", "nolog")})
	code, said, err := ended(err)
	if err != nil {
		return nil, 0, err
	}
	list, err := parseAnswers(out)
	if err != nil {
		if code != 0 {
			return nil, code, &ProgramError{s.Name, "answer", said, code}
		}
		return nil, code, fmt.Errorf("read what %s %s says: %w", s.Name, strings.Join(args, " "), err)
	}
	return list, code, nil
}
