package hwraid

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// answer is what storcli64 says of one controller, as JSON.
type answer struct {
	Status struct {
		Controller  word
		Status      word
		Description word
		Details     []map[string]word `json:"Detailed Status"`
	} `json:"Command Status"`
	Data map[string]json.RawMessage `json:"Response Data"`
}

// parseAnswers reads what the program printed. Some versions print a warning
// before the JSON.
func parseAnswers(out []byte) ([]answer, error) {
	if len(out) > mostOutput {
		return nil, fmt.Errorf("%d bytes are too many", len(out))
	}
	begin := bytes.IndexByte(out, '{')
	if begin < 0 {
		return nil, fmt.Errorf("it is no JSON: %s", clean(string(out[:min(len(out), 1000)])))
	}
	var all struct{ Controllers []answer }
	// What follows the JSON is left alone, too.
	if err := json.NewDecoder(bytes.NewReader(out[begin:])).Decode(&all); err != nil {
		return nil, errors.New("it is no JSON of the known shape: " + clean(err.Error())) // it may quote what was read
	}
	if len(all.Controllers) == 0 {
		return nil, errors.New("it tells of nothing")
	}
	return all.Controllers, nil
}

// good says whether what was asked for was done.
func (a answer) good() bool {
	for _, d := range a.Status.Details {
		if s := d["Status"]; strings.EqualFold(string(s), "failure") || strings.EqualFold(string(s), "failed") {
			return false
		}
	}
	return strings.EqualFold(string(a.Status.Status), "success")
}

// none says whether there is nothing of what was asked for: a failure to some
// versions.
func (a answer) none(of ...string) bool {
	said := strings.ToLower(string(a.Status.Description))
	return slices.ContainsFunc(of, func(s string) bool { return strings.HasPrefix(said, s) })
}

// said is why it was not done.
func (a answer) said() string {
	var all []string
	add := func(s word) {
		text := strings.TrimRight(string(s), ".")
		if text != "" && text != "-" && !strings.EqualFold(text, "none") && !slices.Contains(all, text) && len(all) < 10 {
			all = append(all, text)
		}
	}
	add(a.Status.Description)
	for _, d := range a.Status.Details {
		add(d["ErrMsg"])
	}
	return strings.Join(all, ": ")
}

// controller is what /cN show all says of the controller itself.
func (a answer) controller() (Controller, error) {
	c := Controller{Drives: []Drive{}, Volumes: []Volume{}}
	basics, version, status := a.facts("Basics"), a.facts("Version"), a.facts("Status")
	n := a.Status.Controller
	if n == "" {
		n = basics["Controller"]
	}
	var err error
	if c.Number, err = number(string(n)); err != nil {
		return c, fmt.Errorf("the number of a controller: %w", err)
	}
	c.Model, c.Serial, c.State = string(basics["Model"]), string(basics["Serial Number"]), string(status["Controller Status"])
	c.Firmware = string(version["Firmware Package Build"])
	if c.Firmware == "" {
		c.Firmware = string(version["Firmware Version"])
	}
	switch {
	case !a.good():
		c.State, c.Why = "unknown", "its program cannot ask it: "+a.said()
	case len(basics) == 0:
		c.Model, c.Serial, c.Firmware = a.fact("Product Name"), a.fact("Serial Number"), a.fact("FW Version")
		c.Why = "it makes no volumes: it is a host bus adapter, whose disks this machine has as they are"
	}
	return c, nil
}

// facts are the named values of a part of an answer.
func (a answer) facts(part string) map[string]word {
	var m map[string]word
	if json.Unmarshal(a.Data[part], &m) != nil {
		return nil // of another shape: it tells nothing
	}
	return m
}

func (a answer) fact(name string) string {
	var w word
	if json.Unmarshal(a.Data[name], &w) != nil {
		return ""
	}
	return string(w)
}

// rows are the lines of a table in an answer.
func (a answer) rows(part string) ([]map[string]word, error) {
	var rows []map[string]word
	if err := json.Unmarshal(a.Data[part], &rows); err != nil {
		return nil, fmt.Errorf("%s: %s", clean(part), clean(err.Error()))
	}
	return rows, nil
}

var (
	driveKey  = regexp.MustCompile(`^Drive /c[0-9]+(/e[0-9]+)?/s[0-9]+$`)
	volumeKey = regexp.MustCompile(`^/c[0-9]+/v([0-9]+)$`)
	kernelKey = regexp.MustCompile(`^/dev/[a-z0-9]+$`)
	naaKey    = regexp.MustCompile(`^[0-9a-f]{16}([0-9a-f]{16})?$`)
)

// drives are those of /cN/eall/sall show all, in the order of their places.
func (a answer) drives() ([]Drive, error) {
	type at struct {
		place
		Drive
	}
	var all []at
	for key := range a.Data {
		if !driveKey.MatchString(key) {
			continue
		}
		rows, err := a.rows(key)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			p, err := parsePlace(string(r["EID:Slt"]))
			if err != nil {
				return nil, err
			}
			d := Drive{Place: p.String(), Size: string(r["Size"]), Medium: string(r["Med"]), Interface: string(r["Intf"]), State: string(r["State"]), Model: string(r["Model"])}
			d.Serial = a.serial(key)
			d.Spare = d.State == "GHS" || d.State == "DHS"
			d.Why = whyNot(d.State, string(r["DG"]))
			all = append(all, at{p, d})
		}
		if len(all) > mostThings {
			return nil, fmt.Errorf("more than %d drives", mostThings)
		}
	}
	slices.SortFunc(all, func(x, y at) int {
		if x.enclosure != y.enclosure {
			return x.enclosure - y.enclosure
		}
		return x.slot - y.slot
	})
	var drives []Drive
	for i, x := range all {
		if i > 0 && all[i-1].place == x.place {
			return nil, fmt.Errorf("drive %s is there twice", x.Place)
		}
		drives = append(drives, x.Drive)
	}
	return drives, nil
}

// serial is the serial number of the drive of a key.
func (a answer) serial(key string) string {
	var details map[string]json.RawMessage
	var attributes map[string]word
	if json.Unmarshal(a.Data[key+" - Detailed Information"], &details) != nil || json.Unmarshal(details[key+" Device attributes"], &attributes) != nil {
		return ""
	}
	return string(attributes["SN"])
}

// whyNot says why a drive in a state cannot be chosen for something new.
func whyNot(state, group string) string {
	switch {
	case group == "F":
		return "it holds a volume of another controller (a foreign configuration), which the vendor's program takes up or clears"
	case state == "UGood":
		return ""
	case state == "GHS" || state == "DHS":
		return "it is a hot spare; take it back first"
	case state == "JBOD":
		return "this machine has it as a disk of its own (JBOD); the vendor's program ends that"
	case state == "Onln":
		return "a volume has it"
	case state == "Rbld":
		return "a volume has it, and is being rebuilt onto it"
	case state == "Cpybck":
		return "a volume has it, and copies onto it"
	case state == "Offln":
		return "a volume has it, and it is offline"
	case state == "UBad":
		return "the controller holds it for bad"
	case state == "UGUnsp", state == "Unsp":
		return "the controller does not support it"
	}
	return fmt.Sprintf("its state is %q", state)
}

// volumes are those of /cN/vall show all, in the order of their numbers.
func (a answer) volumes() ([]Volume, error) {
	var all []Volume
	for key := range a.Data {
		match := volumeKey.FindStringSubmatch(key)
		if match == nil {
			continue
		}
		n, err := number(match[1])
		if err != nil {
			return nil, err
		}
		rows, err := a.rows(key)
		if err != nil {
			return nil, err
		}
		if len(rows) != 1 {
			return nil, fmt.Errorf("volume %d is described %d times", n, len(rows))
		}
		r := rows[0]
		v := Volume{Number: n, Name: string(r["Name"]), Level: string(r["TYPE"]), Size: string(r["Size"]), State: string(r["State"]), Drives: []string{}}
		v.cache(string(r["Cache"]))
		if part := fmt.Sprintf("PDs for VD %d", n); a.Data[part] != nil {
			members, err := a.rows(part)
			if err != nil {
				return nil, err
			}
			for _, m := range members {
				if p, err := parsePlace(string(m["EID:Slt"])); err == nil { // one that is missing has no place
					v.Drives = append(v.Drives, p.String())
				}
			}
		}
		properties := a.facts(fmt.Sprintf("VD%d Properties", n))
		if name := string(properties["OS Drive Name"]); kernelKey.MatchString(name) {
			v.Disk = name
		}
		if naa := strings.TrimPrefix(strings.ToLower(string(properties["SCSI NAA Id"])), "0x"); naaKey.MatchString(naa) {
			v.NAA = naa
		}
		if all = append(all, v); len(all) > mostThings {
			return nil, fmt.Errorf("more than %d volumes", mostThings)
		}
	}
	slices.SortFunc(all, func(x, y Volume) int { return x.Number - y.Number })
	for i := 1; i < len(all); i++ {
		if all[i].Number == all[i-1].Number {
			return nil, fmt.Errorf("volume %d is there twice", all[i].Number)
		}
	}
	return all, nil
}

// cache reads letters such as NRWTD: no read-ahead, write-through, direct.
func (v *Volume) cache(s string) {
	v.ReadAhead = strings.HasPrefix(s, "R")
	switch {
	case strings.Contains(s, "WB"):
		v.WriteCache = WriteBack
	case strings.Contains(s, "WT"):
		v.WriteCache = WriteThrough
	}
}
