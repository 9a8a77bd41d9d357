package frame

// Menu is one of the menus at the top or the bottom of the first screen.
type Menu struct {
	Title string
	Key   rune // hot key, a small letter of the title
	// Bottom says at which edge it is.
	Bottom  bool
	Actions []Action
}

// Action is an entry of a menu: what search finds, and what help explains.
type Action struct {
	Title string
	// Does says in a few words what it is for; search looks at it, too.
	Does string
	// IDs are those of the functions that users of earlier ESOS have there
	// (test/tui has the list of them).
	IDs     []string
	Command string // of esos that does the same
	Do      func(d *Desk)
}
