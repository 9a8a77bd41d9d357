package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
)

// TestAuthSecrets: what is taken beside JSON comes back to where it was.
func TestAuthSecrets(t *testing.T) {
	a := config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "1"}, {Name: "v", Secret: "2"}}, Mutual: &config.CHAPUser{Name: "m", Secret: "3"}}
	secrets := a.Secrets()
	b := config.Auth{Users: []config.CHAPUser{{Name: "u"}, {Name: "v"}}, Mutual: &config.CHAPUser{Name: "m"}}
	if !b.Reveal(secrets) || !cmp.Equal(a, b) {
		t.Errorf("revealed %+v", b)
	}
	for _, wrong := range [][]string{nil, {"1"}, {"1", "2", "3", "4"}} {
		if b.Reveal(wrong) {
			t.Errorf("%d secrets are as good as three", len(wrong))
		}
	}
	if none := (config.Auth{}); none.Secrets() != nil || !none.Reveal(nil) {
		t.Error("without users there is no secret")
	}
}
