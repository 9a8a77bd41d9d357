package scsi

import (
	"cmp"
	"encoding/binary"
	"slices"
)

func (m *LUNMap) sort() {
	slices.SortFunc(m.all, func(a, b *Path) int { return cmp.Compare(a.LUN, b.LUN) })
}

// parseReportLUNs checks REPORT LUNS (SPC-5 6.33). The select reports are the
// LUNs of the map (00h), well known ones (01h) and both (02h). Those from 10h
// on are about conglomerates, which we do not have.
func parseReportLUNs(t *Task) {
	switch t.CDB[2] {
	case 0x00, 0x01, 0x02:
	default:
		t.Fail(InvalidField(2))
		return
	}
	t.InLen = int(min(binary.BigEndian.Uint32(t.CDB[6:]), maxReply))
}

// reportLUNs answers for the whole nexus, whatever LUN it was sent to. Who
// reads the list has heard of its change on every LUN (SAM-5 5.14.4).
func reportLUNs(t *Task) {
	all := t.nexus.Paths()
	b := make([]byte, 8, 8+8*len(all)+8)
	if t.CDB[2] != 0x01 {
		for _, p := range all {
			b = AppendLUN(b, p.LUN)
		}
	}
	if t.CDB[2] != 0x00 {
		b = AppendLUN(b, ReportLUNsWLUN)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-8))
	for _, p := range all {
		p.clearAttention(ReportedLUNsDataChanged)
	}
	t.Reply(b, t.InLen)
}

// nowhere are the commands that are served where there is no logical unit, or
// only the well known one for REPORT LUNS (SPC-5 5.11 and 8).
type nowhere struct{ inquiry, reportLUNs, requestSense, testUnitReady Command }

func newNowhere() *nowhere {
	return &nowhere{
		inquiry:       Command{Op: 0x12, Usage: make([]byte, 6), Parse: parseInquiry, Do: inquiryNowhere},
		reportLUNs:    Command{Op: 0xa0, Usage: make([]byte, 12), Parse: parseReportLUNs, Do: reportLUNs},
		requestSense:  Command{Op: 0x03, Usage: make([]byte, 6), Parse: parseRequestSense, Do: requestSenseNowhere},
		testUnitReady: Command{Op: 0x00, Usage: make([]byte, 6), Do: func(*Task) {}},
	}
}

// admitNowhere is Admit for a LUN that leads nowhere.
func (n *Nexus) admitNowhere(t *Task) bool {
	var c *Command
	if len(t.CDB) >= 6 {
		switch w := n.nowhere; t.CDB[0] {
		case w.inquiry.Op:
			c = &w.inquiry
		case w.reportLUNs.Op:
			c = &w.reportLUNs
		case w.requestSense.Op:
			c = &w.requestSense
		case w.testUnitReady.Op:
			if t.LUN == ReportLUNsWLUN {
				c = &w.testUnitReady
			}
		}
	}
	switch {
	case c == nil && t.LUN == ReportLUNsWLUN:
		t.Fail(Sense{Key: IllegalRequest, Code: InvalidCommandOperationCode})
		return false
	case c == nil:
		t.Fail(Sense{Key: IllegalRequest, Code: LogicalUnitNotSupported})
		return false
	case len(t.CDB) < len(c.Usage):
		t.Fail(InvalidField(0))
		return false
	}
	t.Command = c
	if c.Parse != nil {
		c.Parse(t)
	}
	return t.Status == Good
}

// inquiryNowhere says that there is nothing at this LUN: peripheral qualifier
// 011b, device type 1Fh (SPC-5 6.6.2); or that it is a well known logical
// unit, type 1Eh.
func inquiryNowhere(t *Task) {
	if t.CDB[1]&1 != 0 {
		t.Fail(InvalidField(1))
		return
	}
	b := make([]byte, standardInquiry)
	b[0] = 0x7f
	if t.LUN == ReportLUNsWLUN {
		b[0] = 0x1e
	}
	b[2], b[3], b[4] = versionSPC4, 0x12, standardInquiry-5
	putText(b[8:16], "ESOS")
	putText(b[16:32], "")
	putText(b[32:36], "")
	t.Reply(b, t.InLen)
}

func requestSenseNowhere(t *Task) {
	s := Sense{Key: IllegalRequest, Code: LogicalUnitNotSupported}
	if t.LUN == ReportLUNsWLUN {
		s = Sense{}
	}
	t.Reply(s.Encode(nil, t.CDB[1]&1 != 0), t.InLen)
}
