package login

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/iscsi/wire"
)

// TestLibiscsi feeds what iscsi-ls of libiscsi 1.19 sent in a discovery with
// mutual CHAP, challenged as the target challenged it then. It pins headers,
// text and the response to another's implementation.
func TestLibiscsi(t *testing.T) {
	random, err := hex.DecodeString("3d" + "63ea2e6281ba68e068d98e30f370d2d5")
	if err != nil {
		t.Fatal(err)
	}
	access := Access{Admitted: true, Offer: DefaultOffer(), Auth: Auth{
		Required: true,
		Users:    []User{{Name: "user", Secret: "password12345"}},
		Mutual:   &User{Name: "target", Secret: "targetpw12345"},
	}}

	n := New(&fixed{access: access}, 1, bytes.NewReader(random))
	requests := []struct{ header, text, answer string }{
		{"438100000000006b80b0bb860000000021b0008b00000000725517ff0000000100000000000000000000000000000000",
			"InitiatorName=iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-ls\x00SessionType=Discovery\x00AuthMethod=CHAP,None\x00",
			"AuthMethod=CHAP\x00"},
		{"430100000000000980b0bb860000000021b0008b00000000725517ff0000000200000000000000000000000000000000",
			"CHAP_A=5\x00",
			"CHAP_A=5\x00CHAP_I=61\x00CHAP_C=0x63ea2e6281ba68e068d98e30f370d2d5\x00"},
		{"438100000000008980b0bb860000000021b0008b00000000725517ff0000000300000000000000000000000000000000",
			"CHAP_N=user\x00CHAP_R=0x2D54E152761773F71D5438C53A624617\x00CHAP_I=1\x00" +
				"CHAP_C=0x381229FE69D61375DA16710DB93ADA6E44851A91DE1B04B5C11E2191A5AC91DD\x00",
			"CHAP_N=target\x00CHAP_R=0x41aa30814ad7babb59515b991f1c45ee\x00"},
		{"438700000000013580b0bb860000000021b0008b00000000725517ff0000000400000000000000000000000000000000",
			"HeaderDigest=None\x00DataDigest=None\x00InitialR2T=No\x00ImmediateData=Yes\x00MaxBurstLength=262144\x00" +
				"FirstBurstLength=262144\x00DefaultTime2Wait=2\x00DefaultTime2Retain=0\x00MaxOutstandingR2T=1\x00ErrorRecoveryLevel=0\x00" +
				"IFMarker=No\x00OFMarker=No\x00MaxConnections=1\x00MaxRecvDataSegmentLength=262144\x00DataPDUInOrder=Yes\x00DataSequenceInOrder=Yes\x00",
			"HeaderDigest=None\x00DataDigest=None\x00InitialR2T=Irrelevant\x00ImmediateData=Irrelevant\x00MaxBurstLength=Irrelevant\x00" +
				"FirstBurstLength=Irrelevant\x00DefaultTime2Wait=2\x00DefaultTime2Retain=0\x00MaxOutstandingR2T=Irrelevant\x00ErrorRecoveryLevel=0\x00" +
				"IFMarker=No\x00OFMarker=No\x00MaxConnections=Irrelevant\x00DataPDUInOrder=Irrelevant\x00DataSequenceInOrder=Irrelevant\x00" +
				"MaxRecvDataSegmentLength=262144\x00"},
	}
	for i, r := range requests {
		p, err := hex.DecodeString(r.header)
		if err != nil {
			t.Fatal(err)
		}
		h := wire.View(p)
		if h.DataLength() != len(r.text) {
			t.Fatalf("request %d: header says %d bytes, %d were captured", i, h.DataLength(), len(r.text))
		}
		reply, err := n.Feed(h, []byte(r.text))
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if diff := cmp.Diff(r.answer, string(reply.Data)); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", i, diff)
		}
	}
	want := Result{
		Initiator: "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-ls",
		ISID:      wire.ISID{0x80, 0xb0, 0xbb, 0x86, 0, 0},
		Discovery: true, Group: 1, User: "user", Mutual: true, CmdSN: 0x725517ff, StatSN: 5,
		Parameters: DefaultParameters(),
	}
	want.MaxRecvDataSegmentLength, want.MaxSendDataSegmentLength = 262144, 262144
	want.DefaultTime2Retain = 0
	if diff := cmp.Diff(want, n.Result()); diff != "" || !n.Done() {
		t.Errorf("done %v (-want +got):\n%s", n.Done(), diff)
	}
}
