package upkeep

import (
	"strings"

	"github.com/esos-project/esos/internal/tui/frame"
)

// mostShown bounds what is shown of a text at once, in bytes: its lines are
// broken anew whenever the terminal changes its size.
const mostShown = 512 << 10

// showText shows a long text in which lines can be found.
func showText(d *frame.Desk, title, command, text string) {
	p := &frame.Page{Title: title, Command: command, Text: end(text), End: true, Help: "f shows only the lines that have a text, older ones too."}
	only := ""
	p.Keys = []frame.PageKey{{Key: 'f', Does: "find", Do: func() {
		findIn(d, only, func(want string) {
			only = want
			p.Title, p.Text, p.End = title, end(text), true
			if want == "" {
				return
			}
			p.Title = title + " with " + want
			if p.Text = end(strings.Join(having(strings.Split(text, "\n"), want), "\n")); p.Text == "" {
				p.Text = "No line has that."
			}
		})
	}}}
	d.Page(p)
}

// end is the end of a text, from the beginning of a line on.
func end(text string) string {
	if len(text) <= mostShown {
		return text
	}
	text = text[len(text)-mostShown:]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return "(what is older is found with f)\n" + text
}
