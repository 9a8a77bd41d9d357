package hwraidtest

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// object is a JSON object.
type object = map[string]any

// say prints an answer.
func say(status, description string, details []object, data object) int {
	head := object{"CLI Version": "imitation", "Operating system": "Linux", "Controller": 0, "Status": status, "Description": description}
	if details != nil {
		head["Detailed Status"] = details
	}
	one := object{"Command Status": head}
	if data != nil {
		one["Response Data"] = data
	}
	text, err := json.MarshalIndent(object{"Controllers": []object{one}}, "", "\t")
	if err != nil {
		return 99
	}
	fmt.Println(string(text))
	if status == "Success" {
		return 0
	}
	return 255
}

func fail(description, reason string) int {
	return say("Failure", description, []object{{"Status": "Failed", "ErrCd": 255, "ErrMsg": reason}}, nil)
}

func done(description string) int { return say("Success", description, nil, nil) }

var (
	aVolume = regexp.MustCompile(`^/c0/v([0-9]+)$`)
	aDrive  = regexp.MustCompile(`^/c0/e([0-9]+)/s([0-9]+)$`)
)

// storcli does what storcli64 does with these arguments.
func (s *State) storcli(args []string) int {
	if s.Print != "" {
		fmt.Fprint(os.Stdout, s.Print)
		return s.Code
	}
	if n := len(args); n < 3 || args[n-2] != "J" || args[n-1] != "nolog" {
		fmt.Println("syntax error, unexpected $end")
		return 255
	}
	args = args[:len(args)-2]
	verb := strings.Join(args[1:], " ")
	if strings.HasPrefix(verb, "show") {
		return s.show(args[0], verb)
	}
	volume, drive := aVolume.FindStringSubmatch(args[0]), aDrive.FindStringSubmatch(args[0])
	switch {
	case s.Refuse != "":
		return fail("Operation Failed", s.Refuse)
	case args[0] == "/c0" && strings.HasPrefix(verb, "add vd "):
		return s.add(args[3:])
	case volume != nil && verb == "del":
		return s.remove(volume[1])
	case drive != nil && verb == "add hotsparedrive":
		return s.turn(drive[1]+":"+drive[2], "UGood", "GHS")
	case drive != nil && verb == "delete hotsparedrive":
		return s.turn(drive[1]+":"+drive[2], "GHS", "UGood")
	}
	return fail("Invalid command", "syntax error")
}

func (s *State) show(what, verb string) int {
	switch {
	case verb != "show all":
	case what == "/call" && s.Model == "":
		return say("Failure", "No Controller found", nil, nil)
	case what == "/call":
		return say("Success", "None", nil, object{
			"Basics":  object{"Controller": 0, "Model": s.Model, "Serial Number": s.Serial},
			"Version": object{"Firmware Package Build": "24.0.0-1", "Firmware Version": "4.0"},
			"Status":  object{"Controller Status": "Optimal", "Memory Correctable Errors": 0}})
	case what == "/c0/eall/sall" && len(s.Drives) == 0, what == "/c0/sall":
		return say("Failure", "No drive found!", nil, nil)
	case what == "/c0/eall/sall":
		data := object{}
		for _, d := range s.Drives {
			e, slot, _ := strings.Cut(d.Place, ":")
			key := fmt.Sprintf("Drive /c0/e%s/s%s", e, slot)
			data[key] = []object{s.row(d)}
			data[key+" - Detailed Information"] = object{key + " Device attributes": object{"SN": "  " + d.Serial + " "}, key + " State": object{"Media Error Count": 0}}
		}
		return say("Success", "Show Drive Information Succeeded.", nil, data)
	case what == "/c0/vall" && len(s.Volumes) == 0:
		return say("Success", "No VDs have been configured", nil, nil)
	case what == "/c0/vall":
		data := object{}
		for _, v := range s.Volumes {
			data[fmt.Sprintf("/c0/v%d", v.Number)] = []object{{"DG/VD": fmt.Sprintf("%d/%d", v.Number, v.Number), "TYPE": v.Level, "State": "Optl", "Access": "RW",
				"Cache": v.Cache, "Size": "3.637 TB", "Name": ""}}
			var members []object
			for _, d := range s.Drives {
				if slices.Contains(v.Drives, d.Place) {
					members = append(members, s.row(d))
				}
			}
			data[fmt.Sprintf("PDs for VD %d", v.Number)] = members
			data[fmt.Sprintf("VD%d Properties", v.Number)] = object{"Strip Size": "256 KB", "OS Drive Name": v.Disk, "SCSI NAA Id": fmt.Sprintf("%032x", 0x60+v.Number)}
		}
		return say("Success", "None", nil, data)
	}
	return fail("Invalid command", "syntax error")
}

func (s *State) row(d *Drive) object {
	return object{"EID:Slt": d.Place, "DID": 9, "State": d.State, "DG": d.Group, "Size": "3.637 TB", "Intf": "SAS", "Med": d.Medium, "SeSz": "512B", "Model": d.Model, "Sp": "U"}
}

func (s *State) drive(place string) *Drive {
	for _, d := range s.Drives {
		if d.Place == place {
			return d
		}
	}
	return nil
}

// add makes a volume.
func (s *State) add(args []string) int {
	v, cache := &Volume{}, map[string]string{}
	for len(s.Volumes) > 0 && slices.ContainsFunc(s.Volumes, func(x *Volume) bool { return x.Number == v.Number }) {
		v.Number++
	}
	for _, a := range args {
		switch name, value, _ := strings.Cut(a, "="); name {
		case "type":
			v.Level = strings.ToUpper(value)
		case "drives":
			v.Drives = strings.Split(value, ",")
		case "wt", "wb", "ra", "nora", "pdperarray":
			cache[name] = value
		default:
			return fail("Invalid command", "syntax error at "+a)
		}
	}
	for _, place := range v.Drives {
		d := s.drive(place)
		if d == nil || d.State != "UGood" {
			return fail("Add VD Failed", "drive "+place+" is not usable")
		}
	}
	for _, place := range v.Drives {
		d := s.drive(place)
		d.State, d.Group = "Onln", fmt.Sprint(v.Number)
	}
	v.Cache = "NR"
	if _, ok := cache["ra"]; ok {
		v.Cache = "R"
	}
	if _, ok := cache["wb"]; ok {
		v.Cache += "WBD"
	} else {
		v.Cache += "WTD"
	}
	if len(s.Disks) > 0 {
		v.Disk, s.Disks = s.Disks[0], s.Disks[1:]
	}
	s.Volumes = append(s.Volumes, v)
	return done("Add VD Succeeded.")
}

func (s *State) remove(number string) int {
	for i, v := range s.Volumes {
		if fmt.Sprint(v.Number) == number {
			for _, place := range v.Drives {
				d := s.drive(place)
				d.State, d.Group = "UGood", "-"
			}
			s.Volumes = slices.Delete(s.Volumes, i, i+1)
			return done("Delete VD succeeded")
		}
	}
	return fail("Delete VD failed", "no such volume")
}

// turn gives a drive another state.
func (s *State) turn(place, from, to string) int {
	d := s.drive(place)
	if d == nil || d.State != from {
		return fail("Hot spare operation failed", "drive "+place+" is in another state")
	}
	d.State = to
	return done("Hot spare operation succeeded.")
}
