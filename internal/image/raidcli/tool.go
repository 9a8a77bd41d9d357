// Package raidcli puts the command-line programs of RAID controllers' vendors
// into a root: the image's when it is built, or that of a running appliance.
// None of them may be given on by others, so whoever has one brings the file
// that the vendor offers, in whatever wrapping: a zip of zips with packages in
// them, an rpm, a deb, a tar, or the bare program.
package raidcli

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Tool is a vendor's program.
type Tool struct {
	Name   string // of the command, as the vendor has it
	Vendor string // whose controllers it speaks to
	Dir    string // where the vendor's own package puts it, from the root
	// files are the names that the program has in the vendors' archives.
	files []string
}

// Known returns the programs that Install knows, in the order of ESOS's list.
func Known() []Tool {
	return []Tool{
		{"storcli64", "Broadcom, Avago, LSI: MegaRAID", "opt/MegaRAID/storcli", []string{"storcli64"}},
		{"perccli64", "Dell: PERC", "opt/MegaRAID/perccli", []string{"perccli64"}},
		{"arcconf", "Microchip, Microsemi, Adaptec: SmartRAID, Series 2 to 8", "opt/Arcconf", []string{"arcconf"}},
		// HP's packages have a shell script of the command's name, and the
		// program under the same name with a dot or beside its libraries.
		{"hpacucli", "HP: Smart Array up to Gen7", "opt/compaq/hpacucli/bld", []string{"hpacucli", ".hpacucli"}},
		{"hpssacli", "HP: Smart Array, Gen8 and Gen9", "opt/hp/hpssacli/bld", []string{"hpssacli", ".hpssacli"}},
		{"ssacli", "HPE: Smart Array, Gen9 and later", "opt/smartstorageadmin/ssacli/bin", []string{"ssacli", ".ssacli"}},
		{"cli64", "Areca", "opt/areca", []string{"cli64"}},
		{"tw_cli", "3ware", "opt/3ware", []string{"tw_cli", "tw_cli.x86_64"}},
		{"MegaCli64", "LSI: MegaRAID, old", "opt/MegaRAID/MegaCli", []string{"MegaCli64"}},
	}
}

// Find returns the program of a name; capitals do not matter, and tw_cli may be
// written as its vendor's file is.
func Find(name string) (Tool, error) {
	var names []string
	for _, t := range Known() {
		if strings.EqualFold(name, t.Name) || slices.Contains(t.files, name) {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return Tool{}, fmt.Errorf("%q is no RAID program that ESOS knows: the names are %s", name, strings.Join(names, ", "))
}

// ParseArgument takes NAME=FILE apart, as --raid-cli and `esos raid-cli add`
// have it.
func ParseArgument(s string) (Tool, string, error) {
	name, file, ok := strings.Cut(s, "=")
	if !ok || file == "" {
		return Tool{}, "", fmt.Errorf("%q: write NAME=FILE, such as storcli64=storcli.zip", s)
	}
	t, err := Find(name)
	return t, file, err
}

// program is where the program itself is, from the root.
func (t Tool) program() string { return path.Join(t.Dir, t.Name) }

// The command is found in two places. binDir is saved with the settings of an
// appliance, as all of /opt is; linkDir is on everybody's path, but what is
// written there while the appliance runs is gone after the next boot. So the
// image has a link there for each program that may come (Prepare).
const (
	binDir  = "opt/sbin"
	linkDir = "usr/local/sbin"
)
