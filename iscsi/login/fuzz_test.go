package login

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/esos-project/esos/iscsi/wire"
)

// legal says what in p is out of the ranges of RFC 7143 13, or what the target
// did not offer.
func legal(p Parameters, o Offer) []string {
	o = o.completed()
	d := DefaultParameters()
	var wrong []string
	must := func(ok bool, what string) {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	must(p.MaxRecvDataSegmentLength == o.MaxRecvDataSegmentLength || p.MaxRecvDataSegmentLength == d.MaxRecvDataSegmentLength, "MaxRecv")
	must(p.MaxSendDataSegmentLength >= minLength && p.MaxSendDataSegmentLength <= maxLength, "MaxSend")
	must(p.MaxBurstLength >= minLength && p.MaxBurstLength <= max(o.MaxBurstLength, d.MaxBurstLength), "MaxBurstLength")
	must(p.FirstBurstLength >= minLength && p.FirstBurstLength <= max(o.FirstBurstLength, d.FirstBurstLength), "FirstBurstLength")
	must(p.FirstBurstLength <= p.MaxBurstLength, "FirstBurstLength above MaxBurstLength")
	must(p.MaxOutstandingR2T >= 1 && p.MaxOutstandingR2T <= o.MaxOutstandingR2T, "MaxOutstandingR2T")
	must(p.InitialR2T || !o.InitialR2T, "InitialR2T")
	must(p.DataPDUInOrder && p.DataSequenceInOrder, "order")
	must(p.DefaultTime2Wait <= maxTime && p.DefaultTime2Retain <= maxTime, "times")
	must(p.ErrorRecoveryLevel == 0 && p.MaxConnections == 1 && p.ProtocolLevel <= 1, "level")
	return wrong
}

// FuzzLogin feeds any sequence of requests. Each is a byte for its flags, a
// byte for the other fields of its header, and text up to the next 0xff.
func FuzzLogin(f *testing.F) {
	introduction := "InitiatorName=iqn.i\x00TargetName=iqn.t\x00"
	f.Add(false, []byte("\x87\x00"+introduction+"HeaderDigest=CRC32C,None\x00InitialR2T=No\x00FirstBurstLength=512\x00"))
	f.Add(false, []byte("\x81\x00"+introduction+"AuthMethod=None\x00\xff\x87\x00MaxBurstLength=4096\x00"))
	f.Add(true, []byte("\x81\x00"+introduction+"AuthMethod=CHAP,None\x00\xff\x00\x00CHAP_A=5\x00\xff\x81\x00CHAP_N=alice\x00CHAP_R=0x00\x00\xff\x87\x00"))
	f.Add(true, []byte("\x40\x00"+introduction+"\xff\x00\x00SessionType=Discovery\x00\xff\x83\x00AuthMethod=None\x00"))
	f.Fuzz(func(t *testing.T, chap bool, p []byte) {
		access := accesses()["open"]
		if chap {
			access = accesses()["mutual"]
		}
		n := New(&fixed{access: access}, 1, new(counting))
		for request := range strings.SplitSeq(string(p), "\xff") {
			if len(request) < 2 {
				continue
			}
			flags, rest, text := request[0], request[1], request[2:]
			var h wire.BHS
			wire.LoginRequest{DataLength: len(text), CID: uint16(rest & 1), TSIH: uint16(rest >> 1 & 1), VersionMin: rest >> 2 & 1}.Put(&h)
			h[1] = flags
			reply, err := n.Feed(&h, []byte(text))
			if r := &reply.Header; r.Opcode() != wire.OpLoginResponse || r.DataLength() != len(reply.Data) || len(reply.Data) > MaxRequestLength {
				t.Fatalf("response % x with %d bytes", reply.Header, len(reply.Data))
			}
			var refusal *Refusal
			switch {
			case err != nil:
				if !errors.As(err, &refusal) || n.Done() || reply.Header.LoginStatus() == wire.LoginSuccess || reply.Header.Final() {
					t.Fatalf("refused with %v, done %v, response % x", err, n.Done(), reply.Header)
				}
			case reply.Header.LoginStatus() != wire.LoginSuccess:
				t.Fatalf("status %v without an error", reply.Header.LoginStatus())
			case n.Done():
				if chap {
					t.Fatalf("in without a secret: %+v", n.Result())
				}
				if w := legal(n.Result().Parameters, access.Offer); w != nil {
					t.Fatalf("%v in %+v", w, n.Result())
				}
				if n.Result().Initiator == "" || n.Result().Target == "" && !n.Result().Discovery {
					t.Fatalf("in without a name: %+v", n.Result())
				}
			}
		}
	})
}

// TestNegotiatedValuesAreLegal offers the target any values in any order and
// number of requests.
func TestNegotiatedValuesAreLegal(t *testing.T) {
	keys := []string{"HeaderDigest", "DataDigest", "MaxConnections", "InitialR2T", "ImmediateData", "MaxRecvDataSegmentLength",
		"MaxBurstLength", "FirstBurstLength", "DefaultTime2Wait", "DefaultTime2Retain", "MaxOutstandingR2T", "DataPDUInOrder",
		"DataSequenceInOrder", "ErrorRecoveryLevel", "TaskReporting", "iSCSIProtocolLevel", "IFMarker", "OFMarkInt", "X-private"}
	values := rapid.OneOf(
		rapid.SampledFrom([]string{"Yes", "No", "None", "CRC32C", "CRC32C,None", "None,CRC32C", "RFC3720", "Irrelevant", "Reject", "", "0x200"}),
		rapid.Map(rapid.Uint32Range(0, 1<<24+1), func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }),
		rapid.Map(rapid.Uint32Range(0, 70000), func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }),
	)
	number := rapid.Uint32Range(0, 1<<25)
	rapid.Check(t, func(t *rapid.T) {
		offer := Offer{
			MaxRecvDataSegmentLength: number.Draw(t, "recv"), MaxBurstLength: number.Draw(t, "max burst"),
			FirstBurstLength: number.Draw(t, "first burst"), MaxOutstandingR2T: number.Draw(t, "R2T"),
			InitialR2T: rapid.Bool().Draw(t, "initial"), ImmediateData: rapid.Bool().Draw(t, "immediate"),
			DefaultTime2Wait: number.Draw(t, "wait"), DefaultTime2Retain: number.Draw(t, "retain"),
		}
		n := New(&fixed{access: Access{Admitted: true, Offer: offer}}, 1, new(counting))
		offered := rapid.Permutation(keys).Draw(t, "keys")
		offered = offered[:rapid.IntRange(0, len(offered)).Draw(t, "number of keys")]
		text := names()
		for i, key := range offered {
			text.Add(key, values.Draw(t, key))
			if i == len(offered)-1 || rapid.Bool().Draw(t, "cut") {
				h, data := request(1, 0, false, text)
				reply, err := n.Feed(h, data)
				if err != nil {
					return
				}
				answer, err := wire.ParseText(reply.Data)
				if err != nil {
					t.Fatal(err)
				}
				checkAnswers(t, text, answer)
				text = nil
			}
		}
		h, data := request(1, 3, true, text)
		if _, err := n.Feed(h, data); err != nil {
			return
		}
		if w := legal(n.Result().Parameters, offer); !n.Done() || w != nil {
			t.Fatalf("done %v, wrong %v in %+v", n.Done(), w, n.Result().Parameters)
		}
	})
}

// checkAnswers: every offer has its answer; a declaration has none, nor has
// an answer.
func checkAnswers(t *rapid.T, text, answer wire.Text) {
	for _, p := range text {
		_, answered := answer.Get(p.Key)
		silent := p.Key == keyInitiatorName || p.Key == keyTargetName || isAnswer(p.Value)
		if p.Key != keyMaxRecv && answered == silent {
			t.Fatalf("%s=%s: answered %v in %v", p.Key, p.Value, answered, answer)
		}
	}
}
