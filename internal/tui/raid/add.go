package raid

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// Add asks for disks, and makes them into an array.
func Add(d *frame.Desk) {
	look(d, func(s state) { (&adding{desk: d, of: s, disks: pick.NewDisks(s.now)}).ask() })
}

// usual is the value of an option that leaves the choice to mdadm or to ESOS.
const usual = "usual"

// adding is a new array that is asked for.
type adding struct {
	desk  *frame.Desk
	of    state
	disks *pick.Disks

	form                 *frame.Form
	chosen, spares       []string // by what people call them
	name, level, chunk   string
	layout, journal      string
	more, bitmap, repair bool
	writeMostly          []string
	check, least, most   string
}

// fieldUsable is the place of the note that says what the array would hold.
const fieldUsable = 5

func (a *adding) ask() {
	a.chunk, a.layout, a.journal, a.check, a.bitmap = usual, usual, usual, "monthly", true
	var taken []string
	for _, x := range a.of.doc.Storage.Arrays {
		taken = append(taken, x.Name)
	}
	is := func(levels ...string) func() bool { return func() bool { return slices.Contains(levels, a.level) } }
	also := func(more func() bool) func() bool { return func() bool { return a.more && more() } }
	redundant := func() bool { return a.level != "" && a.level != "0" }
	f := &frame.Form{Title: "Add Array", Command: "esos array create ARRAY DISK... --level LEVEL --spare DISK", Submit: "Add",
		Help: "Disks become one array, /dev/md/NAME, which can be used at once: it is made consistent while it is in use. What a disk holds is lost; the plan says what that is, and asks for its name."}
	f.Fields = []frame.Field{
		{Label: "Disks", Many: &a.chosen, Options: a.disks.Options, Columns: pick.BlockColumns(), Changed: a.changed, Check: a.checkDisks,
			Hint: "Those that hold the data. Space marks one, Enter is done."},
		{Label: "Name", Text: &a.name, Check: frame.Name(31, taken), Hint: "Its path is /dev/md/NAME."},
		{Label: "Level", One: &a.level, Options: levels(), Columns: levelColumns(), Changed: a.changed, Check: frame.Needed,
			Hint: "6 is the safe choice for many disks, 1 for two, 10 for speed with small writes."},
		{Label: "Chunk", One: &a.chunk, Options: chunks(), Show: is("0", "4", "5", "6", "10"),
			Hint: "What goes to one disk before the next one's turn (stripe unit)."},
		{Label: "Spares", Many: &a.spares, Options: a.disks.Options, Columns: pick.BlockColumns(), Changed: a.changed, Show: redundant,
			Hint: "Disks that stand by, and take the place of one that fails by themselves."},
		{Note: usable("", "", nil)},
		{Label: "More settings", Yes: &a.more, Show: func() bool { return a.level != "" }, Hint: "Layout, journal, bitmap, write-mostly disks, checks, speed limits."},
		{Label: "Layout", One: &a.layout, Show: also(is("5", "6", "10")), Changed: a.changed, Hint: "Where blocks go."},
		{Label: "Journal", One: &a.journal, Columns: pick.BlockColumns(), Show: also(is("4", "5", "6")), Changed: a.changed,
			Hint: "A fast device that writes go to first, so that a crash leaves no half-written stripe. If it fails the array stops writing."},
		{Label: "Write-mostly", Many: &a.writeMostly, Show: also(is("1")), Check: a.checkWriteMostly,
			Hint: "Which of the disks are read from only if the others fail: slower ones."},
		{Label: "Bitmap", Yes: &a.bitmap, Show: also(func() bool { return redundant() && a.journal == usual }),
			Hint: "Write-intent bitmap: a resync after a crash, and a disk that was away for a while, take minutes rather than hours."},
		{Label: "Check", One: &a.check, Options: frame.Options("weekly", "monthly", "never"), Show: also(redundant), Hint: "How often all of it is read and compared by itself."},
		{Label: "Checks repair", Yes: &a.repair, Show: also(redundant), Hint: "A check corrects what differs, rather than counting it only."},
		{Label: "Least speed", Text: &a.least, Check: frame.Size(true), Show: also(redundant), Hint: "A second, that a resync gets though others want the disks, such as 10MiB. Empty: the kernel's."},
		{Label: "Most speed", Text: &a.most, Check: mostSpeed(&a.least), Show: also(redundant), Hint: "A second, that a resync takes at most, such as 200MiB. Empty: the kernel's."},
	}
	f.Do = a.add
	a.form = f
	a.changed()
	a.desk.Form(f)
}

// mostSpeed checks the greater of two limits.
func mostSpeed(least *string) func(string) error {
	return func(s string) error {
		if err := frame.Size(true)(s); err != nil || s == "" {
			return err
		}
		most, _ := config.ParseSize(s)
		if n, err := config.ParseSize(*least); err == nil && n > most {
			return fmt.Errorf("less than the least speed")
		}
		return nil
	}
}

func (a *adding) checkDisks(string) error {
	if n := config.FewestDisks(a.level); len(a.chosen) < n {
		return fmt.Errorf("RAID %s needs at least %d disks; %d are chosen", a.level, n, len(a.chosen))
	}
	if len(a.chosen) == 0 {
		return fmt.Errorf("choose disks")
	}
	return nil
}

func (a *adding) checkWriteMostly(string) error {
	for _, w := range a.writeMostly {
		if !slices.Contains(a.chosen, w) {
			return fmt.Errorf("%s is not among the disks any more", w)
		}
	}
	if len(a.writeMostly) > 0 && len(a.writeMostly) == len(a.chosen) {
		return fmt.Errorf("leave a disk to read from")
	}
	return nil
}

// changed has the fields follow each other: a disk is chosen for one thing, and
// what the array would hold is shown.
func (a *adding) changed() {
	if !slices.ContainsFunc(layouts(a.level), func(o frame.Option) bool { return o.Value == a.layout }) {
		a.layout = usual
	}
	for i := range a.form.Fields {
		switch f := &a.form.Fields[i]; f.Label {
		case "Disks":
			f.Options = a.disks.Without("it is chosen as a spare or the journal", append(slices.Clone(a.spares), a.journal)...)
		case "Spares":
			f.Options = a.disks.Without("it is chosen as a disk or the journal", append(slices.Clone(a.chosen), a.journal)...)
		case "Journal":
			f.Options = append([]frame.Option{{Value: usual, Cells: []string{"none"}}}, a.disks.Without("it is chosen as a disk or a spare", append(slices.Clone(a.chosen), a.spares...)...)...)
		case "Layout":
			f.Options = layouts(a.level)
		case "Write-mostly":
			f.Options = frame.Options(a.chosen...)
		}
	}
	a.form.Fields[fieldUsable].Note = usable(a.level, a.layout, a.disks.Sizes(a.chosen))
}

// array is what was asked for.
func (a *adding) array() config.Array {
	x := config.Array{Name: a.name, Level: a.level, Disks: a.disks.Paths(a.chosen...)}
	parity := slices.Contains([]string{"4", "5", "6"}, a.level)
	if a.level != "1" && a.chunk != usual {
		x.Chunk, _ = config.ParseSize(a.chunk) // one of the options
	}
	if a.level == "0" {
		return x
	}
	x.Spares = a.disks.Paths(a.spares...)
	if !a.more {
		return x
	}
	if a.layout != usual {
		x.Layout = a.layout
	}
	if parity {
		x.Journal = a.disks.Path(a.journal)
	}
	if a.level == "1" {
		x.WriteMostly = a.disks.Paths(a.writeMostly...)
	}
	if !a.bitmap && x.Journal == "" {
		x.Bitmap = "none"
	}
	if a.check != "monthly" {
		x.Check = a.check
	}
	x.Repair = a.repair
	x.SpeedMin, x.SpeedMax = optionalSize(a.least), optionalSize(a.most)
	return x
}

// optionalSize is a size that a field has checked; 0 if there is none.
func optionalSize(s string) config.Size {
	n, err := config.ParseSize(s)
	if err != nil {
		return 0
	}
	return n
}

func (a *adding) add() {
	x := a.array()
	why := "esos array create " + a.name + " " + strings.Join(a.chosen, " ") + " --level " + a.level
	if len(x.Spares) > 0 {
		why += " --spare " + strings.Join(a.spares, ",")
	}
	a.desk.Change(frame.Change{Why: why + words(x), From: a.form, Edit: func(doc *config.Document) error { return doc.AddArray(x) }})
}

// words are the flags of esos array for the settings of an array that are not
// the usual ones.
func words(x config.Array) string {
	var b strings.Builder
	flag := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " --%s %s", name, value)
		}
	}
	size := func(name string, s config.Size) {
		if s != 0 {
			flag(name, s.String())
		}
	}
	size("chunk", x.Chunk)
	flag("layout", x.Layout)
	flag("journal", x.Journal)
	flag("bitmap", x.Bitmap)
	flag("check", x.Check)
	if x.Repair {
		b.WriteString(" --repair")
	}
	size("speed-min", x.SpeedMin)
	size("speed-max", x.SpeedMax)
	flag("write-mostly", strings.Join(x.WriteMostly, ","))
	return b.String()
}
