package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/test/mail"
)

func TestMailTest(t *testing.T) {
	a := newArray(t)
	try := func(body string) (int, string) {
		w := a.do(call{role: Operator, method: http.MethodPost, path: "/mail/test", body: body})
		return w.Code, w.Body.String()
	}
	if code, text := try("{}"); code != http.StatusConflict || !strings.Contains(text, "esos mail set") {
		t.Errorf("nothing declared: %d %s", code, text)
	}
	c, err := mail.Start()
	if err != nil {
		t.Fatal(err)
	}
	declare := func(port int) {
		t.Helper()
		w := a.do(call{role: Admin, method: http.MethodGet, path: "/config"})
		var doc map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		doc["mail"] = map[string]any{"to": []string{"a@example.com", "b@example.com"}, "server": "127.0.0.1", "port": port, "security": "none"}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if w := a.do(call{role: Operator, method: http.MethodPut, path: "/config", body: string(text), match: "*"}); w.Code != http.StatusForbidden {
			t.Errorf("an operator says where mail goes: %d %s", w.Code, w.Body)
		}
		op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: http.MethodPut, path: "/config", body: string(text), match: "*"})
		a.finish(op)
	}
	declare(c.Port())
	code, text := try("{}")
	var done v1.MailTested
	if err := json.Unmarshal([]byte(text), &done); code != http.StatusOK || err != nil {
		t.Fatalf("%d %s", code, text)
	}
	if done.Server != fmt.Sprintf("127.0.0.1:%d", c.Port()) || len(done.To) != 2 || !strings.Contains(done.Answer, "OK") {
		t.Errorf("%+v", done)
	}
	if code, text := try(`{"to":"me@example.com"}`); code != http.StatusOK {
		t.Errorf("to somebody else: %d %s", code, text)
	}
	if code, text := try(`{"to":"me@example.com>\r\nRCPT TO:<b@example.com"}`); code != http.StatusUnprocessableEntity {
		t.Errorf("to something else: %d %s", code, text)
	}
	got := c.Mails()
	if len(got) != 2 || strings.Join(got[0].To, " ") != "a@example.com b@example.com" || strings.Join(got[1].To, " ") != "me@example.com" {
		t.Fatalf("%+v", got)
	}
	if !strings.Contains(got[0].Body, "by request of operator") {
		t.Errorf("the mail says\n%s", got[0].Body)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if code, text := try("{}"); code != http.StatusBadGateway || !strings.Contains(text, "nobody takes connections there") {
		t.Errorf("the server is away: %d %s", code, text)
	}
}
