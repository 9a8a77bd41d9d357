package hwraid

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host"
)

// imitated is what arcconf says of an imitated controller.
const imitated = `Controllers found: 1
----------------------------------------------------------------------
Controller information
----------------------------------------------------------------------
   Controller Status                        : Optimal
   Controller Model                         : Imitation 8805
   Controller Serial Number                 : 0A00000001
   --------------------------------------------------------
   Controller Version Information
   --------------------------------------------------------
   Firmware                                 : 7.0-0 (1)
----------------------------------------------------------------------
Logical device information
----------------------------------------------------------------------
Logical Device number 0
   Logical Device name                      : data
   RAID level                               : 1
   Unique Identifier                        : 0BADCAFE
   Status of Logical Device                 : Optimal
   Size                                     : 1906678 MB
   Read-cache setting                       : Enabled
   Write-cache setting                      : Disabled
   --------------------------------------------------------
   Logical Device segment information
   --------------------------------------------------------
   Segment 0                                : Present (1907729MB, SATA, HDD, Channel:0, Device:1)      S1
   Segment 1                                : Present (1907729MB, SATA, HDD, Channel:0, Device:2)      S2
----------------------------------------------------------------------
Physical Device information
----------------------------------------------------------------------
      Device #0
         Device is a Hard drive
         State                              : Online
         Transfer Speed                     : SATA 6.0 Gb/s
         Reported Channel,Device(T:L)       : 0,1(1:0)
         Vendor                             : ATA
         Model                              : IMITATION-2T
         Serial number                      : S1
         Total Size                         : 1907729 MB
         SSD                                : No
      Device #1
         Device is a Hard drive
         State                              : Ready
         Transfer Speed                     : SAS 12.0 Gb/s
         Reported Channel,Device(T:L)       : 0,3(3:0)
         Model                              : FLASH-2T
         Serial number                      : S3
         Total Size                         : 1907729 MB
         SSD                                : Yes
      Device #2
         Device is a Hard drive
         State                              : Global Hot-Spare
         Reported Channel,Device(T:L)       : 0,4(4:0)
         SSD                                : No
      Device #3
         Device is an Enclosure services device
         Reported Channel,Device(T:L)       : 2,0(0:0)


Command completed successfully.
`

// told is a program that notes how it is called.
type told struct {
	says  string
	code  int
	calls *[]string
}

func (p told) Output(_ context.Context, c host.Call) ([]byte, error) {
	*p.calls = append(*p.calls, strings.Join(c.Args, " "))
	if p.code != 0 {
		return []byte(p.says), &host.ExitError{Name: c.Name, Code: p.code}
	}
	return []byte(p.says), nil
}

func TestArcconf(t *testing.T) {
	t.Parallel()
	var calls []string
	all, err := Arcconf{Path: "/arcconf", Word: "arc", Run: told{says: imitated, calls: &calls}}.Controllers(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v %v", all, err)
	}
	want := []string{
		"arc1 Imitation 8805 0A00000001 7.0-0 (1) Optimal",
		"{Place:0:1 Size:1907729 MB Medium:HDD Interface:SATA State:Online Model:ATA IMITATION-2T Serial:S1 Spare:false Why:a volume has it}",
		"{Place:0:3 Size:1907729 MB Medium:SSD Interface:SAS State:Ready Model:FLASH-2T Serial:S3 Spare:false Why:}",
		"{Place:0:4 Size: Medium:HDD Interface: State:Global Hot-Spare Model: Serial: Spare:true Why:it is a hot spare; take it back first}",
		"{Number:0 Name:data Level:RAID1 Size:1906678 MB State:Optimal WriteCache:wt ReadAhead:true Drives:[0:1 0:2] Disk: NAA: Serial:0BADCAFE}",
	}
	c := all[0]
	got := []string{strings.Join([]string{c.ID, c.Model, c.Serial, c.Firmware, c.State}, " ")}
	for _, d := range c.Drives {
		got = append(got, fmt.Sprintf("%+v", d))
	}
	for _, v := range c.Volumes {
		got = append(got, fmt.Sprintf("%+v", v))
	}
	if !slices.Equal(got, want) {
		t.Errorf("it has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestArcconfChanges(t *testing.T) {
	t.Parallel()
	var calls []string
	a := Arcconf{Path: "/arcconf", Word: "arc", Run: told{says: "Controllers found: 1\nCommand completed successfully.\n", calls: &calls}}
	for _, err := range []error{
		a.AddVolume(t.Context(), 1, NewVolume{Level: "5", Drives: []string{"0:1", "0:2", "0:3"}, WriteCache: WriteThrough}),
		a.RemoveVolume(t.Context(), 1, 0),
		a.AddSpare(t.Context(), 1, "0:4"),
		a.RemoveSpare(t.Context(), 1, "0:4"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := []string{"CREATE 1 LOGICALDRIVE Rcache ROFF Wcache WT MAX 5 0 1 0 2 0 3 noprompt", "DELETE 1 LOGICALDRIVE 0 noprompt", "SETSTATE 1 DEVICE 0 4 HSP noprompt", "SETSTATE 1 DEVICE 0 4 RDY noprompt"}
	if !slices.Equal(calls, want) {
		t.Errorf("called with\n%s\nwant\n%s", strings.Join(calls, "\n"), strings.Join(want, "\n"))
	}
	for _, x := range []struct {
		says string
		code int
		want string
	}{
		{"Controllers found: 1\nThe device is busy.\n\nCommand aborted.\n", 0, "arcconf does not delete the volume: The device is busy. Command aborted."},
		{"Command completed successfully.\n", 5, "(exit status 5)"},
		{"", 0, "it gives no reason"},
	} {
		a.Run = told{says: x.says, code: x.code, calls: &calls}
		if err := a.RemoveVolume(t.Context(), 1, 0); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v, want %q", err, x.want)
		}
	}
	a.Run = told{says: "Controllers found: 0\n\nCommand completed successfully.\n", calls: &calls}
	if all, err := a.Controllers(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("no controller: %v %v", all, err)
	}
}

// FuzzArcconf: whatever the program prints, what is made of it is bounded and fit
// to be shown.
func FuzzArcconf(f *testing.F) {
	f.Add([]byte(imitated))
	f.Add([]byte("Controllers found: 2\n\x1b[2J : \x07\nLogical Device number 9\nDisk Name : /dev/sda (x)\nCommand aborted."))
	f.Fuzz(func(t *testing.T, out []byte) {
		a := Arcconf{Path: "/arcconf", Word: "arc", Run: says(out)}
		all, err := a.Controllers(t.Context())
		if err != nil {
			shown(t, err.Error())
		}
		for _, c := range all {
			fit(t, c)
			for _, d := range c.Drives {
				if err := a.AddSpare(t.Context(), c.Number, d.Place); err != nil {
					shown(t, err.Error())
				}
			}
		}
	})
}
