package hwraid_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/hwraid"
	"github.com/esos-project/esos/internal/host/hwraid/hwraidtest"
)

func TestMain(m *testing.M) {
	if code, is := hwraidtest.Main(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func adapter(t *testing.T, s hwraidtest.State) (hwraid.Storcli, *hwraidtest.Program) {
	t.Helper()
	p := hwraidtest.Install(t, t.TempDir(), "storcli64", s)
	return hwraid.Storcli{Name: "storcli64", Path: p.Path, Word: "mega", Run: host.Linux{}}, p
}

// one is the only controller.
func one(t *testing.T, s hwraid.Storcli) hwraid.Controller {
	t.Helper()
	all, err := s.Controllers(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d controllers, %v", len(all), err)
	}
	return all[0]
}

func TestRead(t *testing.T) {
	t.Parallel()
	s, _ := adapter(t, hwraidtest.Shelf())
	c := one(t, s)
	if got, want := fmt.Sprint(c.ID, " ", c.Model, " ", c.Serial, " ", c.Firmware, " ", c.State, c.Why), "mega0 Imitation 9000-8i SV00000001 24.0.0-1 Optimal"; got != want {
		t.Errorf("controller %s, want %s", got, want)
	}
	if len(c.Drives) != 7 || len(c.Volumes) != 1 {
		t.Fatalf("%d drives, %d volumes", len(c.Drives), len(c.Volumes))
	}
	if got, want := c.Drives[2], (hwraid.Drive{Place: "252:2", Size: "3.637 TB", Medium: "HDD", Interface: "SAS", State: "UGood", Model: "IMITATION-4T", Serial: "K0002"}); got != want {
		t.Errorf("drive %+v, want %+v", got, want)
	}
	for i, want := range []string{"a volume has it", "a volume has it", "", "", "", "it is a hot spare; take it back first", "the controller holds it for bad"} {
		if c.Drives[i].Why != want || c.Drives[i].Spare != (i == 5) {
			t.Errorf("drive %d: %+v, want %q", i, c.Drives[i], want)
		}
	}
	if got, want := fmt.Sprintf("%+v", c.Volumes[0]), "{Number:0 Name: Level:RAID1 Size:3.637 TB State:Optl WriteCache:wt ReadAhead:false Drives:[252:0 252:1] Disk:/dev/vda NAA:00000000000000000000000000000060 Serial:}"; got != want {
		t.Errorf("volume %s, want %s", got, want)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	s, p := adapter(t, hwraidtest.Shelf())
	for _, err := range []error{
		s.AddVolume(t.Context(), 0, hwraid.NewVolume{Level: "5", Drives: []string{"252:2", "252:3", "252:4"}, WriteCache: "wb", ReadAhead: true}),
		s.RemoveSpare(t.Context(), 0, "252:5"),
		s.AddSpare(t.Context(), 0, "252:5"),
		s.RemoveVolume(t.Context(), 0, 0),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := []string{"/c0 add vd type=raid5 drives=252:2,252:3,252:4 wb ra J nolog", "/c0/e252/s5 delete hotsparedrive J nolog", "/c0/e252/s5 add hotsparedrive J nolog", "/c0/v0 del J nolog"}
	if got := p.Changes(); !slices.Equal(got, want) {
		t.Errorf("called with\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	c := one(t, s)
	if len(c.Volumes) != 1 || c.Volumes[0].Level != "RAID5" || c.Volumes[0].WriteCache != "wb" || !c.Volumes[0].ReadAhead {
		t.Errorf("volumes %+v", c.Volumes)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name string
		do   func(*hwraidtest.State)
		want string
	}{
		{"refused", func(s *hwraidtest.State) { s.Refuse = "the drive is \x1b[31mlocked" },
			"storcli64 does not make the drive a hot spare: Operation Failed: the drive is ?[31mlocked (exit status 255)"},
		{"no JSON", func(s *hwraidtest.State) { s.Print = "Segmentation\afault" }, "it is no JSON: Segmentation?fault"},
		{"no JSON, failed", func(s *hwraidtest.State) { s.Print, s.Code = "?", 3 }, "(exit status 3)"},
		{"empty", func(s *hwraidtest.State) { s.Print = "{}" }, "it tells of nothing"},
		{"failed with good words", func(s *hwraidtest.State) {
			s.Print, s.Code = `{"Controllers":[{"Command Status":{"Controller":0,"Status":"Success","Description":"None"}}]}`, 1
		}, "it does not say whether that was done (exit status 1)"},
		{"a detail failed", func(s *hwraidtest.State) {
			s.Print = `{"Controllers":[{"Command Status":{"Controller":"0","Status":"Success","Description":"None","Detailed Status":[{"Status":"Failure","ErrMsg":"Not possible"}]}}]}`
		}, "Not possible"},
	} {
		state := hwraidtest.Shelf()
		x.do(&state)
		s, _ := adapter(t, state)
		err := s.AddSpare(t.Context(), 0, "252:2")
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
		if strings.ContainsAny(fmt.Sprint(err), "\x1b\a") {
			t.Errorf("%s: control characters in %q", x.name, err)
		}
	}
	s := hwraid.Storcli{Name: "storcli64", Path: "/nothing/storcli64", Word: "mega", Run: host.Linux{}}
	if _, err := s.Controllers(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a program that is not there: %v", err)
	}
	bare, _ := adapter(t, hwraidtest.State{})
	if all, err := bare.Controllers(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("no controller: %v %v", all, err)
	}
	empty, _ := adapter(t, hwraidtest.State{Model: "Imitation"})
	if c := one(t, empty); len(c.Drives)+len(c.Volumes) != 0 {
		t.Errorf("an empty controller: %+v", c)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := hwraid.Controller{ID: "mega0"}
	for i := range 6 {
		c.Drives = append(c.Drives, hwraid.Drive{Place: fmt.Sprintf("1:%d", i), State: "UGood"})
	}
	c.Drives = append(c.Drives, hwraid.Drive{Place: "1:9", State: "GHS", Spare: true, Why: "it is a hot spare"})
	for _, x := range []struct {
		level  string
		drives int
		good   bool
	}{{"0", 0, false}, {"0", 1, true}, {"1", 2, true}, {"1", 3, false}, {"5", 2, false}, {"5", 3, true}, {"6", 3, false}, {"6", 4, true}, {"10", 5, false}, {"10", 6, true}, {"10", 2, false}, {"7", 4, false}} {
		v := hwraid.NewVolume{Level: x.level, WriteCache: "wt"}
		for i := range x.drives {
			v.Drives = append(v.Drives, fmt.Sprintf("1:%d", i))
		}
		if err := c.Check(v); (err == nil) != x.good {
			t.Errorf("level %s of %d drives: %v", x.level, x.drives, err)
		}
	}
	for want, v := range map[string]hwraid.NewVolume{
		"named twice":       {Level: "1", Drives: []string{"1:1", "1:1"}, WriteCache: "wt"},
		"it is a hot spare": {Level: "0", Drives: []string{"1:9"}, WriteCache: "wt"},
		"has no drive 2:1":  {Level: "0", Drives: []string{"2:1"}, WriteCache: "wt"},
		"is neither wt":     {Level: "0", Drives: []string{"1:1"}, WriteCache: "fast"},
	} {
		if err := c.Check(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var gone *hwraid.NotThereError
	if err := c.CheckSpare("3:3"); !errors.As(err, &gone) {
		t.Errorf("a drive that is not there: %v", err)
	}
	if c.CheckSpare("1:9") != nil || c.CheckSpare("1:0") == nil {
		t.Error("which drives are spares")
	}
	c.Why = "it makes no volumes"
	if c.Check(hwraid.NewVolume{Level: "0", Drives: []string{"1:1"}, WriteCache: "wt"}) == nil {
		t.Error("a volume on a host bus adapter")
	}
}
