package hwraid

import (
	"context"
	"strings"
	"testing"
	"unicode"

	"github.com/esos-project/esos/internal/host"
)

// says is a program that always prints the same.
type says []byte

func (s says) Output(context.Context, host.Call) ([]byte, error) { return s, nil }

// FuzzStorcli: whatever a program prints, what is made of it is bounded and fit
// to be shown.
func FuzzStorcli(f *testing.F) {
	f.Add([]byte(`{"Controllers":[{"Command Status":{"Controller":0,"Status":"Success","Description":"None"},"Response Data":{` +
		`"Basics":{"Controller":0,"Model":"M","Serial Number":"S"},"Version":{"Firmware Package Build":"1"},"Status":{"Controller Status":"Optimal"},` +
		`"Drive /c0/e252/s1":[{"EID:Slt":"252:1","DID":1,"State":"UGood","DG":"-","Size":"1 TB","Intf":"SAS","Med":"HDD","Model":"X"}],` +
		`"Drive /c0/e252/s1 - Detailed Information":{"Drive /c0/e252/s1 Device attributes":{"SN":" 1 "}},` +
		`"Drive /c0/s2":[{"EID:Slt":" :2","State":"JBOD","DG":"F"}],` +
		`"/c0/v1":[{"DG/VD":"0/1","TYPE":"RAID1","State":"Optl","Cache":"RAWBC","Size":"1 TB","Name":"n"}],"PDs for VD 1":[{"EID:Slt":"252:1"}],` +
		`"VD1 Properties":{"OS Drive Name":"/dev/sda","SCSI NAA Id":"600508b1001c4d7a600508b1001c4d7a"}}}]}`))
	f.Add([]byte(`warning {"Controllers":[{"Command Status":{"Status":"Failure","Description":"No VDs have been configured"}},{}]}`))
	f.Add([]byte(`{"Controllers":[{"Command Status":{"Controller":"1","Status":"Failure","Detailed Status":[{"ErrMsg":"\u001b[2J"}]},"Response Data":{"Product Name":"HBA"}}]}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		s := Storcli{Name: "storcli64", Path: "/storcli64", Word: "mega", Run: says(out)}
		all, err := s.Controllers(t.Context())
		if err != nil {
			shown(t, err.Error())
		}
		for _, c := range all {
			fit(t, c)
			for _, d := range c.Drives {
				if _, err := s.at(c.Number, d.Place); err != nil {
					t.Error(err)
				}
			}
		}
		if err := s.AddSpare(t.Context(), 0, "252:1"); err != nil {
			shown(t, err.Error())
		}
	})
}

// shown fails if texts are not fit to be shown.
func shown(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len([]rune(text)) > 10*(mostWord+60) {
			t.Errorf("%q", text)
		}
	}
}

// fit fails if anything of a controller is not fit to be shown.
func fit(t *testing.T, c Controller) {
	t.Helper()
	shown(t, c.ID, c.Model, c.Serial, c.Firmware, c.State, c.Why)
	for _, d := range c.Drives {
		shown(t, d.Place, d.Size, d.Medium, d.Interface, d.State, d.Model, d.Serial, d.Why)
	}
	for _, v := range c.Volumes {
		shown(t, append(v.Drives, v.Name, v.Level, v.Size, v.State, v.WriteCache, v.Disk, v.NAA, v.Serial)...)
	}
}
