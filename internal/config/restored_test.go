package config

import "testing"

// TestRollbackBringsNobodyBack: a user who was shut out and a token that was
// revoked stay so when an older document comes back.
func TestRollbackBringsNobodyBack(t *testing.T) {
	older := &Document{Name: "older", Devices: []Device{{Name: "db01"}}, API: API{
		Listen: "0.0.0.0:8443",
		Users:  []APIUser{{Name: "dismissed", Role: "admin"}, {Name: "ops", Role: "operator", Tokens: []Token{{Name: "leaked", Hash: "x"}}}},
	}}
	now := &Document{Name: "now", API: API{Listen: "127.0.0.1:8443", Users: []APIUser{{Name: "ops", Role: "operator"}}}}
	back := older.Restored(now)
	if back.Name != "older" || len(back.Devices) != 1 {
		t.Errorf("the older document did not come back: %+v", back)
	}
	if back.API.Listen != "127.0.0.1:8443" || len(back.API.Users) != 1 || len(back.API.Users[0].Tokens) != 0 {
		t.Errorf("who may use the API changed: %+v", back.API)
	}
	back.API.Users[0].Name = "changed"
	if now.API.Users[0].Name != "ops" || older.API.Users[0].Name != "dismissed" {
		t.Error("the result shares memory with what it was made of")
	}
}
