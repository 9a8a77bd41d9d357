package login

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/iscsi/wire"
)

func TestAnswerText(t *testing.T) {
	all := []Record{
		{Name: "iqn.t:1", Addresses: []Address{{HostPort: "192.0.2.1:3260", Group: 1}, {HostPort: "[2001:db8::1]:3260", Group: 2}}},
		{Name: "iqn.t:2", Addresses: []Address{{HostPort: "192.0.2.1:3260", Group: 1}}},
	}
	find := func(name string) []Record {
		if name == "" {
			return all
		}
		for _, r := range all {
			if r.Name == name {
				return []Record{r}
			}
		}
		return nil
	}
	first := wire.Text{{Key: "TargetName", Value: "iqn.t:1"}, {Key: "TargetAddress", Value: "192.0.2.1:3260,1"},
		{Key: "TargetAddress", Value: "[2001:db8::1]:3260,2"}}
	second := wire.Text{{Key: "TargetName", Value: "iqn.t:2"}, {Key: "TargetAddress", Value: "192.0.2.1:3260,1"}}
	rejected := wire.Text{{Key: "SendTargets", Value: "Reject"}}
	discovery, normal := Result{Discovery: true}, Result{Target: "iqn.t:2"}

	tests := []struct {
		name    string
		session Result
		text    wire.Text
		want    wire.Text
	}{
		{"all", discovery, wire.Text{{Key: "SendTargets", Value: "All"}}, append(append(wire.Text{}, first...), second...)},
		{"one", discovery, wire.Text{{Key: "SendTargets", Value: "IQN.T:1"}}, first},
		{"unknown", discovery, wire.Text{{Key: "SendTargets", Value: "iqn.t:3"}}, nil},
		{"nothing in discovery", discovery, wire.Text{{Key: "SendTargets", Value: ""}}, rejected},
		{"own", normal, wire.Text{{Key: "SendTargets", Value: ""}}, second},
		{"own by name", normal, wire.Text{{Key: "SendTargets", Value: "iqn.T:2"}}, second},
		{"another's", normal, wire.Text{{Key: "SendTargets", Value: "iqn.t:1"}}, rejected},
		{"all in a normal session", normal, wire.Text{{Key: "SendTargets", Value: "All"}}, rejected},
		{"only of the login phase", normal, wire.Text{{Key: "HeaderDigest", Value: "CRC32C"}, {Key: "CHAP_A", Value: "5"},
			{Key: "MaxBurstLength", Value: "512"}, {Key: "SessionType", Value: "Normal"}, {Key: "TargetAlias", Value: "x"}},
			wire.Text{{Key: "HeaderDigest", Value: "Reject"}, {Key: "CHAP_A", Value: "Reject"}, {Key: "MaxBurstLength", Value: "Reject"},
				{Key: "SessionType", Value: "Reject"}, {Key: "TargetAlias", Value: "Reject"}}},
		{"unknown keys", normal, wire.Text{{Key: "X-a", Value: "1"}, {Key: "X-b", Value: "NotUnderstood"}},
			wire.Text{{Key: "X-a", Value: "NotUnderstood"}}},
		{"length out of range", normal, wire.Text{{Key: "MaxRecvDataSegmentLength", Value: "1"}},
			wire.Text{{Key: "MaxRecvDataSegmentLength", Value: "Reject"}}},
	}
	for _, c := range tests {
		r := c.session
		if diff := cmp.Diff(c.want, AnswerText(c.text, &r, find)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(c.session, r); diff != "" {
			t.Errorf("%s: the session changed (-want +got):\n%s", c.name, diff)
		}
	}

	r := normal
	answer := AnswerText(wire.Text{{Key: "MaxRecvDataSegmentLength", Value: "65536"}, {Key: "InitiatorAlias", Value: "host"}}, &r, find)
	if answer != nil || r.MaxSendDataSegmentLength != 65536 || r.Alias != "host" {
		t.Errorf("declared anew: %v, %+v", answer, r)
	}
}

func TestChunk(t *testing.T) {
	text := []byte("0123456789")
	var got []string
	for chunk, rest := Chunk(text, 4); ; chunk, rest = Chunk(rest, 4) {
		got = append(got, string(chunk))
		if len(rest) == 0 {
			break
		}
	}
	if diff := cmp.Diff([]string{"0123", "4567", "89"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
