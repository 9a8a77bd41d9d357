package login

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/iscsi/wire"
)

var update = flag.Bool("update", false, "write what the target says into the scripts")

// TestScripts runs the logins in testdata/*.txt. A login begins with "== name"
// and has
//
//	policy NAME            which of the policies below answers
//	> 0>1 KEY=VALUE ...    a Login Request; 0>1: stage 0, wants to go to 1; 0: stays; 0+: the text goes on
//	< 0>1 KEY=VALUE ...    the response, written by -update and then read by a person
//	= ..., ! ...           how it ended, likewise
//
// Small words in a request set header fields. In values, {good}, {bad} and
// {mutual} stand for a right and a wrong response to the last challenge, and
// {challenge} for that challenge; ~ is a space and *N after a value repeats it.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// accesses are the policies of the scripts.
func accesses() map[string]Access {
	alice := User{Name: "alice", Secret: "alice's secret 1"}
	bob := User{Name: "bob", Secret: "bob's secret no 2"}
	array := &User{Name: "array", Secret: "the array's own 3"}
	strict := Offer{
		HeaderDigest: []string{DigestCRC32C}, DataDigest: []string{DigestNone}, MaxRecvDataSegmentLength: 65536, MaxBurstLength: 131072,
		FirstBurstLength: 32768, MaxOutstandingR2T: 4, InitialR2T: true, DefaultTime2Wait: 5, DefaultTime2Retain: 7, Window: 32}
	return map[string]Access{
		"open":     {Admitted: true, Alias: "disks of the lab", Offer: DefaultOffer()},
		"strict":   {Admitted: true, Offer: strict},
		"chap":     {Admitted: true, Offer: DefaultOffer(), Auth: Auth{Required: true, Users: []User{alice, bob}}},
		"mutual":   {Admitted: true, Offer: DefaultOffer(), Auth: Auth{Required: true, Users: []User{alice, bob}, Mutual: array}},
		"sha":      {Admitted: true, Offer: DefaultOffer(), Auth: Auth{Required: true, Users: []User{alice}, Algorithms: []Algorithm{SHA3256, SHA256}}},
		"nobody":   {Admitted: true, Auth: Auth{Required: true}},
		"short":    {Admitted: true, Auth: Auth{Required: true, Users: []User{{Name: "alice", Secret: "short"}}}},
		"same":     {Admitted: true, Auth: Auth{Required: true, Users: []User{alice, bob}, Mutual: &User{Name: "array", Secret: bob.Secret}}},
		"weak":     {Admitted: true, Auth: Auth{Required: true, Users: []User{alice}, Mutual: &User{Name: "array", Secret: "short"}}},
		"session":  {Admitted: true, SessionExists: true},
		"closed":   {},
		"notfound": {Status: wire.LoginNotFound, Reason: "no such target"},
		"busy":     {Status: wire.LoginOutOfResources},
		"moved":    {Status: wire.LoginMovedTemporarily, Redirect: "192.0.2.7:3261,1", Reason: "target is redirected"},
		"gone":     {Status: wire.LoginMovedPermanently, Redirect: "[2001:db8::7]"},
	}
}

// fixed is a Policy with one answer; it keeps the last question.
type fixed struct {
	access Access
	asked  Request
}

func (f *fixed) Admit(r Request) Access { f.asked = r; return f.access }

// counting is a source of bytes that are no chance.
type counting byte

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		*c++
		p[i] = byte(*c)
	}
	return len(p), nil
}

// play runs a file of scripts and returns it with the target's part as it is.
func play(t *testing.T, file string) string {
	t.Helper()
	var out strings.Builder
	var p player
	for line := range strings.Lines(file) {
		line = strings.TrimSpace(line)
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "<", "=", "!":
			continue
		case "==":
			p = player{name: rest}
		case "policy":
			access, ok := accesses()[rest]
			if !ok {
				t.Fatalf("%s: no policy %q", p.name, rest)
			}
			p.policy = &fixed{access: access}
			p.n = New(p.policy, 1, new(counting))
		case ">":
			fmt.Fprintln(&out, line)
			out.WriteString(p.request(t, rest))
			continue
		}
		fmt.Fprintln(&out, line)
	}
	return out.String()
}

// player is the initiator of one script.
type player struct {
	name      string
	policy    *fixed
	n         *Negotiation
	algorithm Algorithm
	id        byte
	challenge []byte
}

// request sends one request and returns what came back.
func (p *player) request(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(line)
	r := wire.LoginRequest{ISID: wire.ISID{0x40, 0, 1, 0x37, 0, 0}, ITT: 7, CID: 1, CmdSN: 100}
	op := byte(wire.OpLoginRequest)
	stage := words[0]
	r.Current = wire.Stage(stage[0] - '0')
	switch {
	case strings.HasSuffix(stage, "+"):
		r.Continue = true
		stage = strings.TrimSuffix(stage, "+")
	}
	if _, next, ok := strings.Cut(stage, ">"); ok {
		r.Transit, r.Next = true, wire.Stage(next[0]-'0')
	}
	var text []byte
	ahs := 0
	for _, w := range words[1:] {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			text = append(text, unescape(w)...)
			continue
		}
		number, _ := strconv.ParseUint(value, 0, 32)
		switch key {
		case "tsih":
			r.TSIH = uint16(number)
		case "cid":
			r.CID = uint16(number)
		case "itt":
			r.ITT = uint32(number)
		case "isid":
			r.ISID[5] = byte(number)
		case "versionmin":
			r.VersionMin, r.VersionMax = byte(number), byte(number)
		case "op":
			op = byte(number)
		case "ahs":
			ahs = int(number)
		default:
			text = append(text, key+"="+unescape(p.fill(value))+"\x00"...)
		}
	}
	r.DataLength = len(text)
	var h wire.BHS
	r.Put(&h)
	h[0] = h[0]&^0x3f | op
	h[4] = byte(ahs)
	reply, err := p.n.Feed(&h, text)
	return p.describe(t, &reply, err)
}

// fill puts in what depends on the target's challenge.
func (p *player) fill(value string) string {
	respond := func(id byte, secret Secret, challenge []byte) string {
		if p.algorithm == 0 {
			return "0x00"
		}
		return wire.FormatBinary(p.algorithm.Response(id, secret, challenge))
	}
	return strings.NewReplacer(
		"{good}", respond(p.id, "alice's secret 1", p.challenge),
		"{bob}", respond(p.id, "bob's secret no 2", p.challenge),
		"{bad}", respond(p.id, "another secret...", p.challenge),
		"{short}", respond(p.id, "short", p.challenge),
		"{challenge}", wire.FormatBinary(p.challenge),
	).Replace(value)
}

// unescape writes ~ as a space and repeats what has *N behind it.
func unescape(s string) string {
	if s, n, ok := strings.Cut(s, "*"); ok {
		times, err := strconv.Atoi(n)
		if err == nil {
			return strings.Repeat(s, times)
		}
	}
	return strings.ReplaceAll(s, "~", " ")
}

// describe writes a response as the scripts do.
func (p *player) describe(t *testing.T, reply *Reply, err error) string {
	t.Helper()
	h := &reply.Header
	if h.Opcode() != wire.OpLoginResponse || h.DataLength() != len(reply.Data) || h.AHSLength() != 0 || h.TSIH() != 0 {
		t.Fatalf("%s: response header % x with %d bytes", p.name, h[:], len(reply.Data))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "< %d", h.CurrentStage())
	if h.Final() {
		fmt.Fprintf(&b, ">%d", h.NextStage())
	}
	if h.Continue() {
		b.WriteString("+")
	}
	fmt.Fprintf(&b, " StatSN=%d ExpCmdSN=%d MaxCmdSN=%d", h.StatSN(), h.ExpCmdSN(), h.MaxCmdSN())
	if h.LoginStatus() != wire.LoginSuccess {
		fmt.Fprintf(&b, " %04x", uint16(h.LoginStatus()))
	}
	if h.Continue() || strings.Count(string(reply.Data), "\x00") > 40 {
		fmt.Fprintf(&b, " (%d bytes)", len(reply.Data))
	} else {
		text, err := wire.ParseText(reply.Data)
		if err != nil {
			t.Fatalf("%s: the target's text %q: %v", p.name, reply.Data, err)
		}
		for _, pair := range text {
			fmt.Fprintf(&b, " %s=%s", pair.Key, strings.ReplaceAll(pair.Value, " ", "~"))
		}
		p.hear(text)
	}
	b.WriteString("\n")
	switch {
	case err != nil:
		fmt.Fprintf(&b, "! %v\n", err)
	case p.n.Done():
		fmt.Fprintf(&b, "= %s\n", describeResult(p.n.Result()))
	}
	return b.String()
}

// hear keeps the challenge.
func (p *player) hear(text wire.Text) {
	if v, ok := text.Get(keyAlgorithm); ok {
		n, _ := wire.ParseNumber(v, 0, 255)
		p.algorithm = Algorithm(n)
	}
	if v, ok := text.Get(keyIdentifier); ok {
		n, _ := wire.ParseNumber(v, 0, 255)
		p.id = byte(n)
	}
	if v, ok := text.Get(keyChallenge); ok {
		p.challenge, _ = wire.ParseBinary(v, wire.MaxBinaryLength)
	}
}

func describeResult(r Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", r.Initiator)
	if r.Alias != "" {
		fmt.Fprintf(&b, " (%s)", r.Alias)
	}
	if r.Discovery {
		b.WriteString(" discovery")
	}
	if r.Target != "" {
		fmt.Fprintf(&b, " -> %s,%d", r.Target, r.Group)
	}
	if r.User != "" {
		fmt.Fprintf(&b, " user %s", r.User)
	}
	if r.Mutual {
		b.WriteString(" mutual")
	}
	p := r.Parameters
	fmt.Fprintf(&b, " CmdSN %d StatSN %d digests %v %v recv %d send %d burst %d/%d R2T %d initial %v immediate %v time %d/%d ERL %d level %d",
		r.CmdSN, r.StatSN, p.HeaderDigest, p.DataDigest, p.MaxRecvDataSegmentLength, p.MaxSendDataSegmentLength, p.MaxBurstLength,
		p.FirstBurstLength, p.MaxOutstandingR2T, p.InitialR2T, p.ImmediateData, p.DefaultTime2Wait, p.DefaultTime2Retain,
		p.ErrorRecoveryLevel, p.ProtocolLevel)
	return b.String()
}
