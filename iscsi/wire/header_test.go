package wire

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// headers are one PDU of each kind with a different value in each field.
func headers() []struct {
	name string
	put  func(*BHS)
} {
	seq := Sequence{StatSN: 0x0a0b0c0d, ExpCmdSN: 0x1a1b1c1d, MaxCmdSN: 0x2a2b2c2d}
	isid := ISID{0x40, 0x01, 0x37, 0x00, 0x12, 0x34}
	const lun, itt, ttt = 0x0001000000000000, 0x11223344, 0x55667788
	return []struct {
		name string
		put  func(*BHS)
	}{
		{"NOP-Out", NOPOut{Immediate: true, DataLength: 5, LUN: lun, ITT: itt, TTT: ttt, CmdSN: 7, ExpStatSN: 8}.Put},
		{"SCSI Command", SCSICommand{Flags: FlagFinal | FlagRead | 1, AHSLength: 8, DataLength: 0x010203, LUN: lun, ITT: itt,
			Expected: 4096, CmdSN: 7, ExpStatSN: 8, CDB: [16]byte{0: 0x28, 5: 0x10, 8: 8}}.Put},
		{"TMF Request", TMFRequest{Immediate: true, Function: TMFAbortTask, LUN: lun, ITT: itt, RefTag: 0x99aabbcc, CmdSN: 7,
			ExpStatSN: 8, RefCmdSN: 6, ExpDataSN: 5}.Put},
		{"Login Request", LoginRequest{Transit: true, Current: StageSecurity, Next: StageOperational, VersionMax: 1, DataLength: 300,
			ISID: isid, TSIH: 0x0102, ITT: itt, CID: 0x0304, CmdSN: 7, ExpStatSN: 8}.Put},
		{"Text Request", TextRequest{Final: true, DataLength: 16, LUN: lun, ITT: itt, TTT: NoTag, CmdSN: 7, ExpStatSN: 8}.Put},
		{"Data-Out", DataOut{Final: true, DataLength: 8192, LUN: lun, ITT: itt, TTT: ttt, ExpStatSN: 8, DataSN: 3, Offset: 65536}.Put},
		{"Logout Request", LogoutRequest{Reason: LogoutCloseConnection, ITT: itt, CID: 0x0304, CmdSN: 7, ExpStatSN: 8}.Put},
		{"SNACK", SNACK{Type: SNACKStatus, LUN: lun, ITT: itt, TTT: ttt, ExpStatSN: 8, BegRun: 9, RunLength: 10}.Put},
		{"NOP-In", NOPIn{DataLength: 5, LUN: lun, ITT: itt, TTT: ttt, Seq: seq}.Put},
		{"SCSI Response", SCSIResponse{Flags: FlagUnderflow, Status: 2, DataLength: 20, ITT: itt, SNACKTag: 1, Seq: seq, ExpDataSN: 4,
			BidiResidual: 5, Residual: 512}.Put},
		{"TMF Response", TMFResponse{Response: TMFNoLUN, ITT: itt, Seq: seq}.Put},
		{"Login Response", LoginResponse{Transit: true, Continue: true, Current: StageOperational, Next: StageFullFeature,
			VersionMax: 1, VersionActive: 2, DataLength: 9, ISID: isid, TSIH: 0x0102, ITT: itt, Seq: seq, Status: LoginNoSession}.Put},
		{"Text Response", TextResponse{Continue: true, DataLength: 16, LUN: lun, ITT: itt, TTT: ttt, Seq: seq}.Put},
		{"Data-In", DataIn{Flags: FlagFinal | FlagStatus | FlagOverflow, Status: 8, DataLength: 512, ITT: itt, TTT: NoTag, Seq: seq,
			DataSN: 3, Offset: 65536, Residual: 77}.Put},
		{"Logout Response", LogoutResponse{Response: LogoutNoCID, ITT: itt, Seq: seq, Time2Wait: 2, Time2Retain: 20}.Put},
		{"R2T", R2T{LUN: lun, ITT: itt, TTT: ttt, Seq: seq, R2TSN: 3, Offset: 65536, Desired: 262144}.Put},
		{"Async", Async{Event: AsyncDropConnection, VendorCode: 1, LUN: lun, Seq: seq, Parameters: [3]uint16{0x0304, 2, 20}}.Put},
		{"Reject", Reject{Reason: RejectProtocolError, DataLength: 48, Seq: seq, DataSN: 3}.Put},
	}
}

func TestHeadersGolden(t *testing.T) {
	var b strings.Builder
	for _, c := range headers() {
		var h BHS
		for i := range h {
			h[i] = 0xee // Put leaves nothing of what was there
		}
		c.put(&h)
		fmt.Fprintf(&b, "%s\n", c.name)
		for i := 0; i < len(h); i += 16 {
			fmt.Fprintf(&b, "%4d  % x\n", i, h[i:i+16])
		}
	}
	file := filepath.Join("testdata", "headers.golden")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("headers differ from RFC 7143 11 (-want +got):\n%s", diff)
	}
}

// TestGetters reads back what the golden bytes were made of: together they
// pin each getter to its place.
func TestGetters(t *testing.T) {
	h := map[string]*BHS{}
	for _, c := range headers() {
		h[c.name] = new(BHS)
		c.put(h[c.name])
	}
	isid := ISID{0x40, 0x01, 0x37, 0x00, 0x12, 0x34}
	tests := []struct {
		what      string
		got, want any
	}{
		{"opcode", h["Data-In"].Opcode(), OpDataIn},
		{"opcode of an immediate PDU", h["NOP-Out"].Opcode(), OpNOPOut},
		{"immediate", h["NOP-Out"].Immediate(), true},
		{"not immediate", h["SCSI Command"].Immediate(), false},
		{"final", h["R2T"].Final(), true},
		{"not final", h["Text Response"].Final(), false},
		{"continue", h["Text Response"].Continue(), true},
		{"flags", h["SCSI Command"].Flags(), byte(FlagFinal | FlagRead | 1)},
		{"AHS length", h["SCSI Command"].AHSLength(), 8},
		{"data length", h["SCSI Command"].DataLength(), 0x010203},
		{"LUN", h["SCSI Command"].LUN(), uint64(0x0001000000000000)},
		{"ITT", h["Reject"].ITT(), uint32(NoTag)},
		{"TTT", h["R2T"].TTT(), uint32(0x55667788)},
		{"CmdSN", h["Login Request"].CmdSN(), uint32(7)},
		{"ExpStatSN", h["Data-Out"].ExpStatSN(), uint32(8)},
		{"expected", h["SCSI Command"].Expected(), uint32(4096)},
		{"CDB", h["SCSI Command"].CDB()[:9], []byte{0x28, 0, 0, 0, 0, 0x10, 0, 0, 8}},
		{"attribute", h["SCSI Command"].TaskAttr(), byte(1)},
		{"DataSN", h["Data-Out"].DataSN(), uint32(3)},
		{"buffer offset", h["Data-Out"].BufferOffset(), uint32(65536)},
		{"function", h["TMF Request"].Function(), TMFAbortTask},
		{"RefTag", h["TMF Request"].RefTag(), uint32(0x99aabbcc)},
		{"RefCmdSN", h["TMF Request"].RefCmdSN(), uint32(6)},
		{"ISID", h["Login Request"].ISID(), isid},
		{"TSIH", h["Login Response"].TSIH(), uint16(0x0102)},
		{"CID", h["Logout Request"].CID(), uint16(0x0304)},
		{"CSG", h["Login Response"].CurrentStage(), StageOperational},
		{"NSG", h["Login Response"].NextStage(), StageFullFeature},
		{"version max", h["Login Request"].VersionMax(), byte(1)},
		{"version active", h["Login Response"].VersionMin(), byte(2)},
		{"login status", h["Login Response"].LoginStatus(), LoginNoSession},
		{"reason", h["Logout Request"].Reason(), byte(LogoutCloseConnection)},
		{"response", h["TMF Response"].Response(), byte(TMFNoLUN)},
		{"status", h["SCSI Response"].Status(), byte(2)},
		{"residual", h["Data-In"].Residual(), uint32(77)},
		{"ExpDataSN", h["SCSI Response"].ExpDataSN(), uint32(4)},
		{"StatSN", h["NOP-In"].StatSN(), uint32(0x0a0b0c0d)},
		{"ExpCmdSN", h["NOP-In"].ExpCmdSN(), uint32(0x1a1b1c1d)},
		{"MaxCmdSN", h["NOP-In"].MaxCmdSN(), uint32(0x2a2b2c2d)},
		{"R2TSN", h["R2T"].R2TSN(), uint32(3)},
		{"desired", h["R2T"].Desired(), uint32(262144)},
		{"event", h["Async"].AsyncEvent(), byte(AsyncDropConnection)},
		{"parameter 3", h["Async"].AsyncParameter(3), uint16(20)},
		{"reject reason", h["Reject"].RejectReason(), RejectProtocolError},
	}
	for _, c := range tests {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func TestLength(t *testing.T) {
	tests := []struct {
		ahs, data      int
		header, digest bool
		want           int
	}{
		{0, 0, false, false, 48},
		{0, 0, true, true, 52},
		{8, 0, true, false, 60},
		{0, 1, false, false, 52},
		{0, 4, false, true, 56},
		{4, 5, true, true, 48 + 4 + 4 + 8 + 4},
	}
	for _, c := range tests {
		var h BHS
		SCSICommand{AHSLength: c.ahs, DataLength: c.data}.Put(&h)
		if got := h.Length(c.header, c.digest); got != c.want {
			t.Errorf("AHS %d, data %d, digests %v %v: %d bytes, want %d", c.ahs, c.data, c.header, c.digest, got, c.want)
		}
	}
}

// TestNoAllocations: the hot path puts and reads headers in its own buffers.
func TestNoAllocations(t *testing.T) {
	buf := make([]byte, 4096)
	sum := uint32(0)
	n := testing.AllocsPerRun(100, func() {
		h := View(buf)
		DataIn{Flags: FlagFinal | FlagStatus, DataLength: 512, ITT: 1, TTT: NoTag}.Put(h)
		sum += h.ITT() + uint32(h.DataLength()) + uint32(h.Length(true, true)) + Digest(h[:])
		SCSIResponse{ITT: 2}.Put(View(buf[1024:]))
		R2T{ITT: 2, Desired: 65536}.Put(View(buf[2048:]))
		sum += DataDigest(buf[:511])
		PutDigest(buf, sum)
		a, err := ParseAHS(buf[:0])
		if err != nil || a.BidiRead {
			t.Error("AHS in nothing")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

func TestNames(t *testing.T) {
	for o := range 64 {
		if Opcode(o).String() == "" {
			t.Errorf("opcode %d has no name", o)
		}
	}
	for name, want := range map[string]string{
		TMFLUNReset.String():           "LOGICAL UNIT RESET",
		TMF(99).String():               "task management function 99",
		RejectNotSupported.String():    "command not supported",
		RejectReason(0x55).String():    "reject reason 0x55",
		LoginStatus(0x0210).String():   "login status 0x0210",
		LoginMovedTemporarily.String(): "target moved temporarily",
		StageFullFeature.String():      "FullFeaturePhase",
	} {
		if name != want {
			t.Errorf("%q, want %q", name, want)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, c := range headers() {
		var h BHS
		c.put(&h)
		f.Add(h[:])
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < HeaderLength {
			return
		}
		h, before := View(p), bytes.Clone(p)
		if n := h.AHSLength(); n < 0 || n > MaxAHSLength || n%4 != 0 {
			t.Errorf("AHS length %d", n)
		}
		if n := h.DataLength(); n < 0 || n > MaxDataLength {
			t.Errorf("data length %d", n)
		}
		n := h.Length(true, true)
		if n < HeaderLength+DigestLength || n%4 != 0 || n > HeaderLength+MaxAHSLength+MaxDataLength+1+2*DigestLength {
			t.Errorf("PDU length %d", n)
		}
		_ = h.Opcode().String() + h.Function().String() + h.RejectReason().String() + h.LoginStatus().String() +
			h.CurrentStage().String() + h.NextStage().String()
		if !bytes.Equal(p, before) {
			t.Error("a getter changed the header")
		}
		h.SetDataLength(h.DataLength())
		h.SetTSIH(h.TSIH())
		h.SetSequence(Sequence{h.StatSN(), h.ExpCmdSN(), h.MaxCmdSN()})
		if !bytes.Equal(p, before) {
			t.Error("setting what is there changed the header")
		}
	})
}
