package frame

import (
	"fmt"
	"strings"
)

const helpTitle = "Help: "

// help explains the top screen.
func (d *Desk) help(a About) {
	if strings.HasPrefix(a.Title, helpTitle) { // it is open
		return
	}
	var b strings.Builder
	if a.Help != "" {
		b.WriteString(a.Help + "\n\n")
	}
	if a.Command != "" {
		fmt.Fprintf(&b, "The same from the shell:\n    %s\n\n", a.Command)
	}
	b.WriteString("Keys here:\n")
	for _, h := range a.Hints {
		fmt.Fprintf(&b, "    %-12s %s\n", h.Key, h.Does)
	}
	b.WriteString(`
Keys everywhere:
    F1 or ?      this help (F1 only where text is typed)
    / or Ctrl-F  search actions and objects (Ctrl-F where text is typed)
    Esc          back; nothing is changed
    Ctrl-L       draw the screen anew
`)
	d.Page(&Page{Title: helpTitle + a.Title, Text: b.String()})
}
