package hwraid

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// Arcconf is arcconf of Microchip's (Microsemi's, Adaptec's) controllers. It
// prints text for people; a drive's place is CHANNEL:DEVICE there.
type Arcconf struct {
	Path string // where it is
	Word string // that its controllers' IDs begin with
	Run  Runner
}

const arcconf = "arcconf"

// Controllers asks for all controllers and what they have.
func (a Arcconf) Controllers(ctx context.Context) ([]Controller, error) {
	all := []Controller{}
	for n, count := 1, 1; n <= count; n++ { // arcconf counts from 1
		does := fmt.Sprintf("show controller %d", n)
		out, code, err := a.call(ctx, readTime, does, "GETCONFIG", fmt.Sprint(n))
		if err != nil {
			return nil, err
		}
		config, err := parseArcconf(out)
		if err != nil {
			return nil, fmt.Errorf("read what arcconf says of controller %d: %w", n, err)
		}
		switch count = config.found; {
		case count == 0:
			return all, nil
		case code != 0 || !config.done:
			return nil, &ProgramError{arcconf, does, lastWords(out), code}
		case count > mostControllers:
			return nil, fmt.Errorf("arcconf tells of %d controllers, more than any machine has", count)
		}
		c := config.Controller
		c.ID, c.Program, c.Number = fmt.Sprint(a.Word, n), arcconf, n
		all = append(all, c)
	}
	return all, nil
}

// AddVolume makes a volume. Controller.Check has to have been content with it.
func (a Arcconf) AddVolume(ctx context.Context, controller int, v NewVolume) error {
	read := "ROFF"
	if v.ReadAhead {
		read = "RON"
	}
	args := []string{"CREATE", fmt.Sprint(controller), "LOGICALDRIVE", "Rcache", read, "Wcache", strings.ToUpper(v.WriteCache), "MAX", v.Level}
	for _, s := range v.Drives {
		p, err := parsePlace(s)
		if err != nil {
			return err
		}
		args = append(args, fmt.Sprint(max(0, p.enclosure)), fmt.Sprint(p.slot))
	}
	return a.change(ctx, "make the volume", args...)
}

// RemoveVolume deletes a volume with what it holds.
func (a Arcconf) RemoveVolume(ctx context.Context, controller, volume int) error {
	return a.change(ctx, "delete the volume", "DELETE", fmt.Sprint(controller), "LOGICALDRIVE", fmt.Sprint(volume))
}

// AddSpare has a drive stand by for all volumes of its controller.
func (a Arcconf) AddSpare(ctx context.Context, controller int, place string) error {
	return a.state(ctx, "make the drive a hot spare", controller, place, "HSP")
}

// RemoveSpare makes a hot spare a free drive again.
func (a Arcconf) RemoveSpare(ctx context.Context, controller int, place string) error {
	return a.state(ctx, "take the hot spare back", controller, place, "RDY")
}

func (a Arcconf) state(ctx context.Context, does string, controller int, place, state string) error {
	p, err := parsePlace(place)
	if err != nil {
		return err
	}
	return a.change(ctx, does, "SETSTATE", fmt.Sprint(controller), "DEVICE", fmt.Sprint(max(0, p.enclosure)), fmt.Sprint(p.slot), state)
}

// change has the program do something without asking back.
func (a Arcconf) change(ctx context.Context, does string, args ...string) error {
	out, code, err := a.call(ctx, changeTime, does, append(args, "noprompt")...)
	if err != nil {
		return err
	}
	if code != 0 || !completed(out) {
		return &ProgramError{arcconf, does, lastWords(out), code}
	}
	return nil
}

func (a Arcconf) call(ctx context.Context, patience time.Duration, does string, args ...string) ([]byte, int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v: the controller may be busy or dead; look at its disks, and try again", patience))
	defer cancel()
	out, err := a.Run.Output(ctx, host.Call{Name: a.Path, Args: args})
	code, said, err := ended(err)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", does, err)
	}
	if len(out) > mostOutput {
		return nil, 0, fmt.Errorf("%s: %d bytes of %s are too many", does, len(out), arcconf)
	}
	if len(out) == 0 {
		out = []byte(said)
	}
	return out, code, nil
}

// completed says whether the program says that it did what it was to do.
func completed(out []byte) bool {
	return bytes.Contains(bytes.ToLower(out), []byte("command completed successfully"))
}

// lastWords are the last lines that say something.
func lastWords(out []byte) string {
	var words []string
	lines := strings.Split(string(out[max(0, len(out)-4096):]), "\n")
	for _, l := range slices.Backward(lines) {
		if l = clean(l); l != "" && !strings.HasPrefix(l, "---") && !strings.HasPrefix(l, "Controllers found") {
			words = append(words, l)
		}
		if len(words) == 3 {
			break
		}
	}
	slices.Reverse(words)
	return strings.Join(words, " ")
}

// arcconfig is what GETCONFIG says of one controller.
type arcconfig struct {
	Controller
	found int // how many controllers there are
	done  bool
}

// The lines of GETCONFIG.
var (
	arcFound   = regexp.MustCompile(`^Controllers found *: *([0-9]+)$`)
	arcVolume  = regexp.MustCompile(`^Logical Device number ([0-9]+)$`)
	arcDevice  = regexp.MustCompile(`^Device #([0-9]+)$`)
	arcPlace   = regexp.MustCompile(`^([0-9]+),([0-9]+)\(`)
	arcSegment = regexp.MustCompile(`Channel:([0-9]+), *Device:([0-9]+)`)
)

// arcFacts is a part of GETCONFIG: of a volume, or of a device.
type arcFacts struct {
	is    string
	facts map[string]string
	drive bool
	parts []string // the places of a volume's drives
}

func (f *arcFacts) fact(name string) string { return f.facts[name] }

// parseArcconf reads GETCONFIG.
func parseArcconf(out []byte) (arcconfig, error) {
	c := arcconfig{found: -1, done: completed(out)}
	head := &arcFacts{facts: map[string]string{}}
	at := head
	var volumes, devices []*arcFacts
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if m := arcFound.FindStringSubmatch(line); m != nil {
			n, err := number(m[1])
			if err != nil {
				return c, err
			}
			c.found = n
			continue
		}
		if m := arcVolume.FindStringSubmatch(line); m != nil {
			at = &arcFacts{is: m[1], facts: map[string]string{}}
			volumes = append(volumes, at)
		} else if m := arcDevice.FindStringSubmatch(line); m != nil {
			at = &arcFacts{is: m[1], facts: map[string]string{}}
			devices = append(devices, at)
		}
		if len(volumes)+len(devices) > mostThings {
			return c, fmt.Errorf("more than %d drives and volumes", mostThings)
		}
		at.line(line)
	}
	if err := lines.Err(); err != nil {
		return c, err
	}
	if c.found < 0 {
		return c, errors.New("it does not say how many controllers there are: " + lastWords(out))
	}
	c.Controller = Controller{Model: head.fact("Controller Model"), Serial: head.fact("Controller Serial Number"), Firmware: head.fact("Firmware"), State: head.fact("Controller Status"), Drives: []Drive{}, Volumes: []Volume{}}
	for _, d := range devices {
		if err := d.addDrive(&c.Controller); err != nil {
			return c, err
		}
	}
	for _, v := range volumes {
		if err := v.addVolume(&c.Controller); err != nil {
			return c, err
		}
	}
	return c, nil
}

// line takes one line up.
func (f *arcFacts) line(line string) {
	name, value, ok := strings.Cut(line+" ", " : ") // names and values have colons of their own
	if !ok {
		f.drive = f.drive || strings.HasPrefix(line, "Device is a Hard drive") || strings.HasPrefix(line, "Device is a Solid")
		return
	}
	name, value = clean(name), clean(value)
	if m := arcSegment.FindStringSubmatch(value); m != nil && (strings.HasPrefix(name, "Segment ") || strings.HasPrefix(name, "Group ")) {
		f.parts = append(f.parts, m[1]+":"+m[2])
	}
	if _, twice := f.facts[name]; !twice { // the first one is the object's, later ones are of its parts
		f.facts[name] = value
	}
}

// addDrive adds the drive that a device is, if it is one.
func (f *arcFacts) addDrive(c *Controller) error {
	if !f.drive {
		return nil
	}
	m := arcPlace.FindStringSubmatch(f.fact("Reported Channel,Device(T:L)"))
	if m == nil {
		return fmt.Errorf("it does not say where device %s is", f.is)
	}
	p, err := parsePlace(m[1] + ":" + m[2])
	if err != nil {
		return err
	}
	d := Drive{Place: p.String(), Size: f.fact("Total Size"), State: f.fact("State"), Model: clean(f.fact("Vendor") + " " + f.fact("Model")), Serial: f.fact("Serial number"), Medium: "HDD"}
	if strings.EqualFold(f.fact("SSD"), "yes") {
		d.Medium = "SSD"
	}
	d.Interface, _, _ = strings.Cut(f.fact("Transfer Speed"), " ")
	state := strings.ToLower(d.State)
	d.Spare = strings.Contains(state, "hot spare") || strings.Contains(state, "hot-spare")
	switch {
	case state == "ready":
	case d.Spare:
		d.Why = "it is a hot spare; take it back first"
	case strings.HasPrefix(state, "online"):
		d.Why = "a volume has it"
	case strings.HasPrefix(state, "raw"):
		d.Why = "the controller has not initialized it (raw): this machine may have it as a disk of its own; arcconf TASK START ... INITIALIZE makes it ready, and deletes what is on it"
	default:
		d.Why = fmt.Sprintf("its state is %q", d.State)
	}
	if slices.ContainsFunc(c.Drives, func(x Drive) bool { return x.Place == d.Place }) {
		return fmt.Errorf("drive %s is there twice", d.Place)
	}
	c.Drives = append(c.Drives, d)
	return nil
}

// addVolume adds a volume.
func (f *arcFacts) addVolume(c *Controller) error {
	n, err := number(f.is)
	if err != nil {
		return err
	}
	v := Volume{Number: n, Name: f.fact("Logical Device name"), Level: f.fact("RAID level"), Size: f.fact("Size"), State: f.fact("Status of Logical Device"), Drives: []string{}}
	if _, err := number(v.Level); err == nil { // else a word, such as Simple_volume
		v.Level = "RAID" + v.Level
	}
	for _, place := range f.parts {
		if p, err := parsePlace(place); err == nil {
			v.Drives = append(v.Drives, p.String())
		}
	}
	v.ReadAhead = strings.HasPrefix(strings.ToLower(f.fact("Read-cache setting")), "enabled") || strings.EqualFold(f.fact("Read-cache mode"), "enabled")
	switch cache := strings.ToLower(f.fact("Write-cache setting") + f.fact("Write-cache mode")); {
	case strings.Contains(cache, "write-through"), strings.HasPrefix(cache, "disabled"):
		v.WriteCache = WriteThrough
	case strings.Contains(cache, "write-back"), strings.HasPrefix(cache, "enabled"), strings.HasPrefix(cache, "on"):
		v.WriteCache = WriteBack
	}
	if name, _, _ := strings.Cut(f.fact("Disk Name"), " "); kernelKey.MatchString(name) {
		v.Disk = name
	}
	if naa := strings.ToLower(f.fact("Volume Unique Identifier")); naaKey.MatchString(naa) {
		v.NAA = naa
	}
	v.Serial = f.fact("Unique Identifier")
	if slices.ContainsFunc(c.Volumes, func(x Volume) bool { return x.Number == v.Number }) {
		return fmt.Errorf("volume %d is there twice", v.Number)
	}
	c.Volumes = append(c.Volumes, v)
	return nil
}
