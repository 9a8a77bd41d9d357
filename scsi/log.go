package scsi

import (
	"encoding/binary"
	"slices"
)

// Log pages that Unit has (SPC-5 7.3).
const (
	logSupportedPages = 0x00
	logInformational  = 0x2f
)

func (u *Unit) logCommands() []Command {
	return []Command{
		{Name: "LOG SENSE", Op: 0x4d, Usage: []byte{0x4d, 0, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x04},
			Access: NoReservation | InStandby, Parse: parseLogSense, Do: logSense},
	}
}

// parseLogSense checks LOG SENSE (SPC-5 6.8). Nothing is saved (SP), and pages
// are short enough to be read from their start.
func parseLogSense(t *Task) {
	switch {
	case t.CDB[1]&0x01 != 0:
		t.Fail(InvalidField(1))
	case binary.BigEndian.Uint16(t.CDB[5:]) != 0:
		t.Fail(InvalidField(5))
	}
	t.InLen = int(binary.BigEndian.Uint16(t.CDB[7:]))
}

func logSense(t *Task) {
	d := t.Path.Unit.device
	logger, _ := d.(Logger)
	pages := []byte{logSupportedPages, logInformational}
	if logger != nil {
		pages = append(pages, logger.LogPages()...)
		slices.Sort(pages)
		pages = slices.Compact(pages)
	}
	page, sub := t.CDB[2]&0x3f, t.CDB[3]
	b := []byte{page, sub, 0, 0}
	switch {
	case page == logSupportedPages && sub == 0:
		b = append(b, pages...)
	case page == logSupportedPages && sub == subpageAll: // supported pages and subpages
		b[0] |= 0x40 // SPF
		b = append(b, logSupportedPages, 0, logSupportedPages, subpageAll)
		for _, p := range pages[1:] {
			b = append(b, p, 0)
		}
	case sub != 0:
		t.Fail(InvalidField(3))
		return
	case logger != nil && slices.Contains(logger.LogPages(), page):
		b = logger.LogPage(page, b)
	case page == logInformational:
		// Parameter 0000h: no additional sense code, and a temperature that
		// nobody measures (FFh).
		b = append(b, 0, 0, 0x03, 4, 0, 0, 0xff, 0)
	default:
		t.Fail(InvalidField(2))
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	t.Reply(b, t.InLen)
}
