package system

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
)

func apiUser(t *testing.T, a *apitest.Array, name string) config.APIUser {
	t.Helper()
	u, err := findAPIUser(a.Document(), name)
	if err != nil {
		t.Fatal(err)
	}
	return *u
}

func TestAPIUsers(t *testing.T) {
	t.Parallel()
	a, c := array(t, apitest.Options{})
	open(t, c, "API Users and Tokens")
	c.Wait("Nobody may use the API")
	golden(c, "api_none")
	c.Type("a")
	c.Wait("Add API User")
	golden(c, "api_add")
	c.Type("Ann")
	c.Shows("up to 32 lower-case letters")
	c.Field("ann")
	choose(c, "operator")
	c.Type("short")
	c.Shows("choose one of 10 to 1024")
	c.Field(secret)
	c.Field(secret)
	c.Enter()
	c.Wait("esos user create ann --role operator")
	c.CarryOut()
	leaks(t, a, c, secret)
	u := apiUser(t, a, "ann")
	if ok, err := password.Verify(string(u.Password), secret); !ok || err != nil || u.Role != "operator" {
		t.Errorf("ann is %+v (%v)", u, err)
	}
	c.Wait("ann")
	c.Type("e")
	c.Wait("API User ann")
	golden(c, "api_edit")
	choose(c, "viewer")
	tab(c, 2)
	c.Enter()
	c.CarryOut()
	if now := apiUser(t, a, "ann"); now.Role != "viewer" || now.Password != u.Password {
		t.Errorf("ann is %+v: the password was to stay", now)
	}

	c.Type("t")
	c.Wait("ann has no tokens")
	golden(c, "tokens_none")
	c.Type("a")
	c.Wait("New Token of ann")
	c.Type("a b")
	c.Shows("up to 64 letters")
	c.Field("monitoring")
	golden(c, "token_new")
	c.Enter()
	c.Wait("Make a token?")
	c.Golden("make_a_token")
	if len(apiUser(t, a, "ann").Tokens) > 0 {
		t.Error("a token was made without a confirmation")
	}
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("the only time")
	token := regexp.MustCompile(`esos_[A-Za-z0-9_-]{43}`).FindString(c.Text())
	if token == "" {
		t.Fatalf("the token is not shown:\n%s", c.Text())
	}
	golden(c, "token", token, "esos_"+strings.Repeat("T", 43))
	c.Escape()
	c.Wait("monitoring")
	golden(c, "tokens")
	leaks(t, a, c, token)
	if all := apiUser(t, a, "ann").Tokens; len(all) != 1 || all[0].Name != "monitoring" {
		t.Errorf("ann's tokens are %+v", all)
	}
	c.Type("d")
	c.Wait("esos token revoke ann monitoring")
	c.CarryOut()
	c.Wait("ann has no tokens")
	c.Escape()

	c.Type("l")
	c.Wait("API: where it listens")
	c.Type("8443")
	c.Shows("a host and a port")
	c.Field("127.0.0.1:0")
	c.Press(tcell.KeyBacktab)
	c.Shows("a host and a port") // port 0 is none that clients know
	golden(c, "api_listen")
	c.Escape()
	c.Wait("The API does not listen")
	golden(c, "api")
	c.Type("d")
	c.Wait("esos user delete ann")
	c.CarryOut()
	c.Wait("Nobody may use the API")
	if n := len(a.Document().API.Users); n != 0 {
		t.Errorf("%d users are left", n)
	}
}
