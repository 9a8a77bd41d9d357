package login

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/iscsi/wire"
)

// request makes a Login Request of one initiator.
func request(current, next wire.Stage, transit bool, text wire.Text) (*wire.BHS, []byte) {
	data := text.Append(nil)
	var h wire.BHS
	wire.LoginRequest{Transit: transit, Current: current, Next: next, DataLength: len(data), ITT: 1, CmdSN: 5}.Put(&h)
	return &h, data
}

func names() wire.Text {
	return wire.Text{{Key: keyInitiatorName, Value: "iqn.i"}, {Key: keyTargetName, Value: "iqn.t"}}
}

func TestPolicyIsAsked(t *testing.T) {
	p := &fixed{access: Access{Admitted: true}}
	n := New(p, 7, new(counting))
	data := wire.Text{{Key: keyInitiatorName, Value: "IQN.I"}, {Key: keyTargetName, Value: "iqn.T"}}.Append(nil)
	var h wire.BHS
	wire.LoginRequest{Current: 1, ISID: wire.ISID{1, 2, 3, 4, 5, 6}, TSIH: 9, CID: 4, DataLength: len(data)}.Put(&h)
	if _, err := n.Feed(&h, data); err == nil {
		t.Error("a TSIH of no session was taken")
	}
	want := Request{Initiator: "iqn.i", ISID: wire.ISID{1, 2, 3, 4, 5, 6}, TSIH: 9, CID: 4, Target: "iqn.t", Group: 7}
	if diff := cmp.Diff(want, p.asked); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLongAnswer: an answer that is longer than what the initiator takes in the
// login phase goes on in further responses (RFC 7143 6.2).
func TestLongAnswer(t *testing.T) {
	n := New(&fixed{access: Access{Admitted: true}}, 1, new(counting))
	text := names()
	for i := range 110 {
		text.Add(fmt.Sprintf("X-%061d", i), "1")
	}
	h, data := request(1, 3, true, text)
	first, err := n.Feed(h, data)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	reply, rounds := first, 0
	for ; reply.Header.Continue(); rounds++ {
		if reply.Header.Final() || n.Done() || len(reply.Data) != MaxRequestLength {
			t.Fatalf("continued response: T %v, done %v, %d bytes", reply.Header.Final(), n.Done(), len(reply.Data))
		}
		got = append(got, reply.Data...)
		if h, data = request(1, 3, true, nil); rounds > 3 {
			t.Fatal("no end")
		}
		if reply, err = n.Feed(h, data); err != nil {
			t.Fatal(err)
		}
	}
	got = append(got, reply.Data...)
	answer, err := wire.ParseText(got)
	if err != nil || rounds == 0 || !reply.Header.Final() || !n.Done() {
		t.Fatalf("%d rounds, T %v, done %v, text: %v", rounds, reply.Header.Final(), n.Done(), err)
	}
	for _, p := range text[2:] {
		if v, _ := answer.Get(p.Key); v != wire.NotUnderstood {
			t.Errorf("%s=%q", p.Key, v)
		}
	}
}

func TestTextWhileAnswerGoesOn(t *testing.T) {
	n := New(&fixed{access: Access{Admitted: true}}, 1, new(counting))
	text := names()
	for i := range 110 {
		text.Add(fmt.Sprintf("X-%061d", i), "1")
	}
	h, data := request(1, 0, false, text)
	if _, err := n.Feed(h, data); err != nil {
		t.Fatal(err)
	}
	h, data = request(1, 0, false, wire.Text{{Key: "X-a", Value: "1"}})
	if _, err := n.Feed(h, data); err == nil {
		t.Error("text was taken in the middle of an answer")
	}
}

func TestRequestsAreLimited(t *testing.T) {
	n := New(&fixed{access: Access{Admitted: true}}, 1, new(counting))
	h, data := request(1, 0, false, names())
	for i := range 1000 {
		if _, err := n.Feed(h, data); err != nil {
			if i != maxRequests {
				t.Errorf("refused after %d requests: %v", i, err)
			}
			return
		}
		h, data = request(1, 0, false, nil)
	}
	t.Error("1000 requests were taken")
}

func TestKeysAreLimited(t *testing.T) {
	n := New(&fixed{access: Access{Admitted: true}}, 1, new(counting))
	text := names()
	for i := range 100 {
		text.Add(fmt.Sprintf("X-a%d", i), "1")
	}
	h, data := request(1, 0, false, text)
	if _, err := n.Feed(h, data); err != nil {
		t.Fatal(err)
	}
	text = nil
	for i := range 100 {
		text.Add(fmt.Sprintf("X-b%d", i), "1")
	}
	h, data = request(1, 0, false, text)
	if _, err := n.Feed(h, data); err == nil {
		t.Error("200 keys were taken")
	}
}

// TestRefuseAtTheEnd: the server may have no room when the session is opened.
func TestRefuseAtTheEnd(t *testing.T) {
	n := New(&fixed{access: Access{Admitted: true}}, 1, new(counting))
	h, data := request(1, 3, true, names())
	if reply, err := n.Feed(h, data); err != nil || !n.Done() || reply.Header.LoginStatus() != wire.LoginSuccess {
		t.Fatalf("%v, done %v", err, n.Done())
	}
	reply, err := n.Refuse(h, wire.LoginOutOfResources, "16 sessions are open")
	var r *Refusal
	if !errors.As(err, &r) || n.Done() || reply.Header.LoginStatus() != wire.LoginOutOfResources || reply.Header.Final() {
		t.Fatalf("%v, done %v, header % x", err, n.Done(), reply.Header)
	}
	want := &Refusal{Status: wire.LoginOutOfResources, Reason: "16 sessions are open", Initiator: "iqn.i", Target: "iqn.t"}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNoRandomness(t *testing.T) {
	for n := range 2 {
		n := New(&fixed{access: accesses()["chap"]}, 1, bytes.NewReader(make([]byte, n)))
		h, data := request(0, 0, false, append(names(), wire.Pair{Key: keyAuthMethod, Value: "CHAP"}))
		if _, err := n.Feed(h, data); err != nil {
			t.Fatal(err)
		}
		h, data = request(0, 0, false, wire.Text{{Key: keyAlgorithm, Value: "5"}})
		var r *Refusal
		if _, err := n.Feed(h, data); !errors.As(err, &r) || r.Status != wire.LoginTargetError {
			t.Errorf("a challenge without random bytes: %v", err)
		}
	}
}

// TestResponses compares with hashes that were computed by another program
// (Python's hashlib) over 0x17, the secret and the challenge.
func TestResponses(t *testing.T) {
	challenge := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	for a, want := range map[Algorithm]string{
		MD5:     "43bfe7b05c22b02f3463752f63ca14fc",
		SHA1:    "fceced3fc165314bce4bfc6ba622fe1c0492bad1",
		SHA256:  "596c4a66332851efc7ccaefb265e6fa247c2c635a1bc6fb3f8554f5260808b6b",
		SHA3256: "1ddbd96d65b9eff8029b65591722a0ff45469ba2874e18876fe4cbda85dc563b",
	} {
		if got := hex.EncodeToString(a.Response(0x17, "sixteen bytes...", challenge)); got != want {
			t.Errorf("%v: %s, want %s", a, got, want)
		}
		if back, err := ParseAlgorithm(a.String()); err != nil || back != a {
			t.Errorf("%v is read as %v, %v", a, back, err)
		}
	}
	if _, err := ParseAlgorithm("MD4"); err == nil {
		t.Error("MD4 is no algorithm of iSCSI")
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	var log bytes.Buffer
	access := accesses()["mutual"]
	slog.New(slog.NewTextHandler(&log, nil)).Info("login", "user", access.Auth.Users[0].Secret, "access", access)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("login", "secret", access.Auth.Users[0].Secret)
	fmt.Fprintf(&log, "%v %+v %#v %s %q", access, access, access, access.Auth.Users[0].Secret, access.Auth.Users)
	for _, s := range []string{"alice's", "bob's", "own 3"} {
		if strings.Contains(log.String(), s) {
			t.Errorf("a secret shows in %s", log.String())
		}
	}
}

func TestOfferCompleted(t *testing.T) {
	got := Offer{}.completed()
	if got.MaxRecvDataSegmentLength != 256<<10 || got.MaxOutstandingR2T != 1 || got.Window != 128 || len(got.HeaderDigest) != 2 || len(got.DataDigest) != 2 {
		t.Errorf("completed from nothing: %+v", got)
	}
	got = Offer{MaxRecvDataSegmentLength: 1, MaxBurstLength: 1 << 30, FirstBurstLength: 1 << 31, MaxOutstandingR2T: 1 << 20,
		DefaultTime2Wait: 1 << 20, DefaultTime2Retain: 1 << 20, Window: 1 << 31}.completed()
	want := Offer{MaxRecvDataSegmentLength: minLength, MaxBurstLength: maxLength, FirstBurstLength: maxLength, MaxOutstandingR2T: maxCount,
		DefaultTime2Wait: maxTime, DefaultTime2Retain: maxTime, Window: maxCount, HeaderDigest: got.HeaderDigest, DataDigest: got.DataDigest}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
