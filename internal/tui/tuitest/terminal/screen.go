package terminal

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Screen is what somebody sees there now, a line a row, without blanks at its
// end.
func (x *Terminal) Screen() string { return draw(x.w, x.h, x.Output()) }

// See waits until text is on the screen.
func (x *Terminal) See(text string) {
	x.t.Helper()
	x.until("is not shown", text, func(s string) bool { return strings.Contains(s, text) })
}

// Gone waits until text is not on the screen any more.
func (x *Terminal) Gone(text string) {
	x.t.Helper()
	x.until("is still shown", text, func(s string) bool { return !strings.Contains(s, text) })
}

func (x *Terminal) until(what, text string, good func(string) bool) {
	x.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s := x.Screen()
		if good(s) {
			return
		}
		if time.Now().After(end) {
			x.t.Fatalf("%q %s:\n%s", text, what, s)
		}
	}
}

// draw is the screen of an xterm after output: what programs use that put the
// cursor where they write, and clear nothing but the whole (ECMA-48). One that
// uses more of it is not for this.
func draw(w, h int, output string) string {
	cells := make([][]rune, h)
	blank := func() {
		for y := range cells {
			cells[y] = []rune(strings.Repeat(" ", w))
		}
	}
	blank()
	row, column := 0, 0
	for output != "" {
		r, size := utf8.DecodeRuneInString(output)
		output = output[size:]
		switch {
		case r == '\x1b':
			var parameters string
			var final byte
			if parameters, final, output = sequence(output); final == 'H' {
				y, x, _ := strings.Cut(parameters, ";")
				row, column = place(y), place(x)
			} else if final == 'J' && parameters == "2" || final == 'h' && parameters == "?1049" {
				blank()
			}
		case r == '\r':
			column = 0
		case r == '\n':
			row++
		case r >= ' ':
			if row < h && column < w {
				cells[row][column] = r
			}
			column++
		}
	}
	var b strings.Builder
	for _, line := range cells {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return b.String()
}

// place is a row or column: they are counted from 1, which may be left out.
func place(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return max(0, n-1)
}

// sequence takes the rest of a control sequence off, which began with ESC: final
// is its last byte, 0 if it is none of those with parameters.
func sequence(s string) (parameters string, final byte, rest string) {
	switch {
	case s == "":
	case s[0] == '[':
		for i := 1; i < len(s); i++ {
			if s[i] >= '@' && s[i] <= '~' {
				return s[1:i], s[i], s[i+1:]
			}
		}
	case s[0] == ']': // a title and the like, up to BEL or ST
		if end := strings.IndexAny(s, "\a\x1b"); end >= 0 {
			return "", 0, strings.TrimPrefix(s[end+1:], `\`)
		}
	case s[0] == '(' && len(s) > 1:
		return "", 0, s[2:]
	default:
		return "", 0, s[1:]
	}
	return "", 0, "" // the rest of it was not written yet
}
