package password

import (
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

const good = "correct horse battery"

func TestHash(t *testing.T) {
	t.Parallel()
	hash, err := Hash(good)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Errorf("not the PHC form: %s", hash)
	}
	for password, want := range map[string]bool{good: true, good + " ": false, "": false, strings.Repeat("x", Most+1): false} {
		if got, err := Verify(hash, password); got != want || err != nil {
			t.Errorf("verify a password of %d bytes: %v, %v; want %v", len(password), got, err, want)
		}
	}
	for _, bad := range []string{"", "short", strings.Repeat("x", Most+1)} {
		if _, err := Hash(bad); err == nil {
			t.Errorf("a password of %d bytes was taken", len(bad))
		}
	}
	for _, bad := range []string{"", "$6$salt$hash", hash[:len(hash)-30], strings.Replace(hash, "m=65536", "m=99999999", 1),
		strings.Replace(hash, "t=3", "t=0", 1), strings.Replace(hash, "p=4", "p=0", 1), hash + "$x"} {
		if ok, err := Verify(bad, good); ok || err == nil {
			t.Errorf("the hash %q was taken: %v, %v", bad, ok, err)
		}
	}
	if ok, err := Verify(Decoy(), good); ok || err != nil {
		t.Errorf("the decoy: %v, %v", ok, err)
	}
}

func TestCrypt(t *testing.T) {
	t.Parallel()
	hash, err := Crypt(good)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := shacrypt.Decode(hash); err != nil || !d.Match(good) || d.Match(good+"x") {
		t.Errorf("the hash %q is not of the password (%v)", hash, err)
	}
	if _, err := Crypt("short"); err == nil {
		t.Error("a short password was taken")
	}
}
