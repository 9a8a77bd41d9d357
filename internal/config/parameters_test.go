package config

import "testing"

func TestParameterByName(t *testing.T) {
	t.Parallel()
	var p Parameters
	for name, value := range map[string]string{"header_digest": "CRC32C,None", "max_burst_length": "1048576", "initial_r2t": "yes", "immediate_data": "no"} {
		if err := p.Set(name, value); err != nil {
			t.Error(err)
		}
		if got := p.Get(name); got != value {
			t.Errorf("%s reads %q, want %q", name, got, value)
		}
	}
	if why := p.Problem(); why != "" {
		t.Error(why)
	}
	if err := p.Set("max_burst_length", ""); err != nil || p.Get("max_burst_length") != "" {
		t.Errorf("no value leaves %q, %v", p.Get("max_burst_length"), err)
	}
	for name, value := range map[string]string{"max_burst": "1", "initial_r2t": "maybe", "queued_commands": "many"} {
		if err := p.Set(name, value); err == nil {
			t.Errorf("%s took %q", name, value)
		}
	}
	for name, value := range map[string]string{"max_burst_length": "7", "header_digest": "rot13"} {
		var one Parameters
		if err := one.Set(name, value); err != nil || one.Problem() == "" {
			t.Errorf("%s=%s has no problem (%v)", name, value, err)
		}
	}
	if n := len(ParameterList()); n != 12 {
		t.Errorf("%d parameters", n)
	}
}

func TestNewNames(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		driver      Driver
		typed, want string
	}{
		{"", "mail", OurNames + "mail"}, {DriverISCSI, "iqn.2026-11.com.example:a", "iqn.2026-11.com.example:a"},
		{DriverFC, "0x500143802426bbb4", "50:01:43:80:24:26:bb:b4"},
	} {
		if got := NewTargetName(x.driver, x.typed); got != x.want {
			t.Errorf("%s becomes %s, want %s", x.typed, got, x.want)
		}
	}
	if got := NewSubsystemName("mail"); got != OurNQNs+"mail" {
		t.Error(got)
	}
}
