package frame

import "github.com/gdamore/tcell/v2"

// Level says how grave something is.
type Level int

// Levels.
const (
	Plain Level = iota
	Good
	Warn
	Bad
	Dim
)

// Theme says how things look, by what they are.
type Theme struct {
	Name                                    string
	Text, Title, Border, Bar, Key           tcell.Style
	Dialog, Field, Focused, Selected, Faint tcell.Style
	Good, Warn, Bad, Banner                 tcell.Style
}

// Level returns the style of text of a level on a background.
func (t Theme) Level(l Level, on tcell.Style) tcell.Style {
	var s tcell.Style
	switch l {
	case Good:
		s = t.Good
	case Warn:
		s = t.Warn
	case Bad:
		s = t.Bad
	case Dim:
		s = t.Faint
	default:
		return on
	}
	fg, _, attr := s.Decompose()
	_, bg, _ := on.Decompose()
	return tcell.StyleDefault.Foreground(fg).Background(bg).Attributes(attr)
}

func style(fg, bg tcell.Color) tcell.Style {
	return tcell.StyleDefault.Foreground(fg).Background(bg)
}

// Themes are all of them, the default first. The first two are those that
// users of earlier ESOS know; they keep to the 16 colours every console has.
func Themes() []Theme {
	blue := Theme{
		Name: "blue",
		Text: style(tcell.ColorWhite, tcell.ColorNavy), Title: style(tcell.ColorYellow, tcell.ColorNavy).Bold(true),
		Border: style(tcell.ColorSilver, tcell.ColorNavy), Bar: style(tcell.ColorBlack, tcell.ColorSilver), Key: style(tcell.ColorMaroon, tcell.ColorSilver),
		Dialog: style(tcell.ColorBlack, tcell.ColorSilver), Field: style(tcell.ColorWhite, tcell.ColorNavy), Focused: style(tcell.ColorYellow, tcell.ColorNavy).Bold(true),
		Selected: style(tcell.ColorBlack, tcell.ColorTeal), Faint: style(tcell.ColorGray, tcell.ColorNavy),
		Good: style(tcell.ColorLime, tcell.ColorNavy), Warn: style(tcell.ColorYellow, tcell.ColorNavy).Bold(true), Bad: style(tcell.ColorRed, tcell.ColorNavy).Bold(true),
		Banner: style(tcell.ColorWhite, tcell.ColorMaroon).Bold(true),
	}
	black := Theme{
		Name: "black",
		Text: style(tcell.ColorSilver, tcell.ColorBlack), Title: style(tcell.ColorAqua, tcell.ColorBlack).Bold(true),
		Border: style(tcell.ColorTeal, tcell.ColorBlack), Bar: style(tcell.ColorBlack, tcell.ColorTeal), Key: style(tcell.ColorWhite, tcell.ColorTeal),
		Dialog: style(tcell.ColorWhite, tcell.ColorBlack), Field: style(tcell.ColorWhite, tcell.ColorNavy), Focused: style(tcell.ColorYellow, tcell.ColorNavy).Bold(true),
		Selected: style(tcell.ColorBlack, tcell.ColorSilver), Faint: style(tcell.ColorGray, tcell.ColorBlack),
		Good: style(tcell.ColorLime, tcell.ColorBlack), Warn: style(tcell.ColorYellow, tcell.ColorBlack).Bold(true), Bad: style(tcell.ColorRed, tcell.ColorBlack).Bold(true),
		Banner: style(tcell.ColorWhite, tcell.ColorMaroon).Bold(true),
	}
	contrast := Theme{
		Name: "contrast",
		Text: style(tcell.ColorWhite, tcell.ColorBlack).Bold(true), Title: style(tcell.ColorYellow, tcell.ColorBlack).Bold(true),
		Border: style(tcell.ColorWhite, tcell.ColorBlack).Bold(true), Bar: style(tcell.ColorBlack, tcell.ColorWhite), Key: style(tcell.ColorBlack, tcell.ColorWhite).Underline(true),
		Dialog: style(tcell.ColorWhite, tcell.ColorBlack).Bold(true), Field: style(tcell.ColorWhite, tcell.ColorBlack).Underline(true), Focused: style(tcell.ColorBlack, tcell.ColorYellow),
		Selected: style(tcell.ColorBlack, tcell.ColorYellow), Faint: style(tcell.ColorSilver, tcell.ColorBlack),
		Good: style(tcell.ColorLime, tcell.ColorBlack).Bold(true), Warn: style(tcell.ColorYellow, tcell.ColorBlack).Bold(true), Bad: style(tcell.ColorWhite, tcell.ColorRed).Bold(true),
		Banner: style(tcell.ColorWhite, tcell.ColorRed).Bold(true),
	}
	return []Theme{blue, black, contrast, Plainly()}
}

// Plainly is the theme without colours (NO_COLOR, https://no-color.org, and
// terminals that have none).
func Plainly() Theme {
	d := tcell.StyleDefault
	return Theme{
		Name: "none",
		Text: d, Title: d.Bold(true), Border: d, Bar: d.Reverse(true), Key: d.Reverse(true).Bold(true),
		Dialog: d, Field: d.Underline(true), Focused: d.Reverse(true), Selected: d.Reverse(true), Faint: d.Dim(true),
		Good: d, Warn: d.Bold(true), Bad: d.Bold(true).Underline(true), Banner: d.Reverse(true).Bold(true),
	}
}

// FindTheme finds a theme by name; the default if there is none.
func FindTheme(name string) Theme {
	for _, t := range Themes() {
		if t.Name == name {
			return t
		}
	}
	return Themes()[0]
}
