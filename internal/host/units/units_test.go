package units

import (
	"slices"
	"testing"
)

func TestUnmet(t *testing.T) {
	// As systemd 257 tells of snmpd.service without its settings.
	conditions := [][]any{
		{"ConditionPathExists", false, false, "/etc/snmp/snmpd.conf", int32(-1)},
		{"ConditionKernelCommandLine", false, true, "nosnmp", int32(1)},
		{"ConditionVirtualization", false, true, "container", int32(-1)},
		{"ConditionPathExists", true, false, "/untested", int32(0)},
		{"broken"},
	}
	want := []string{"ConditionPathExists=/etc/snmp/snmpd.conf", "ConditionVirtualization=!container"}
	if got := unmet(conditions); !slices.Equal(got, want) {
		t.Errorf("unmet: %q, want %q", got, want)
	}
	for _, other := range []any{nil, "text", [][]any{{1, 2, 3, 4, 5}}} {
		if got := unmet(other); len(got) > 0 && got[0] != "=" {
			t.Errorf("unmet(%v) = %q", other, got)
		}
	}
}

func TestUnit(t *testing.T) {
	for file, want := range map[string][2]bool{ // enabled, switchable
		"enabled": {true, true}, "enabled-runtime": {true, true}, "disabled": {false, true}, "indirect": {false, true},
		"static": {false, false}, "masked": {false, false}, "": {false, false}, "generated": {false, false},
	} {
		u := Unit{File: file}
		if got := [2]bool{u.Enabled(), u.Switchable()}; got != want {
			t.Errorf("%q: enabled, switchable are %v, want %v", file, got, want)
		}
	}
	for active, want := range map[string]bool{"active": true, "activating": true, "reloading": true, "inactive": false, "failed": false, "deactivating": false} {
		if got := (Unit{Active: active}).Running(); got != want {
			t.Errorf("%s: running is %v", active, got)
		}
	}
}
