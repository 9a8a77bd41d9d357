package system

import (
	"slices"
	"strconv"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/test/mail"
)

func TestMail(t *testing.T) {
	t.Parallel()
	t.Run("S4 mail setup", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Mail Setup")
		golden(c, "mail_setup")
		tab(c, 1)
		c.Type("storage")
		c.Shows("is no mail address")
		c.Field("a@example.com, b@example.com")
		c.Type("mail server")
		c.Shows("is neither a host name nor an IP address")
		c.Field("2001:db8::25")
		c.Type(" ")
		c.Golden("choose_encryption")
		c.Escape()
		choose(c, "none")
		c.Type("70000")
		c.Shows("a whole number from 1 to 65535")
		c.Field("")
		c.Type(" ")
		c.Golden("choose_log_in_with")
		c.Escape()
		choose(c, "plain")
		c.Press(tcell.KeyUp)
		c.Shows("sends the password for everybody to read")
		choose(c, "cram")
		c.Field("esos")
		c.Field(secret)
		c.Field("esos@example.com")
		c.Type(" ")
		c.Golden("choose_mail_at")
		c.Escape()
		choose(c, "only")
		golden(c, "mail_setup_filled")
		tab(c, 1)
		c.Enter()
		c.Wait("esos mail set --server 2001:db8::25 --to a@example.com,b@example.com")
		c.CarryOut()
		c.Wait("Send a test mail?")
		c.Golden("send_a_test_mail")
		c.Press(tcell.KeyRight, tcell.KeyEnter)
		leaks(t, a, c, secret)
		m := a.Document().Mail
		if !slices.Equal(m.To, []string{"a@example.com", "b@example.com"}) || m.Server != "2001:db8::25" || m.Security != "none" || m.Auth != "cram-md5" ||
			m.User != "esos" || string(m.Password) != secret || m.From != "esos@example.com" || m.Severity != "critical" || m.Quiet || m.Port != 0 {
			t.Errorf("mail is %+v", m)
		}
		// Again: the password that is set stays.
		open(t, c, "Mail Setup")
		tab(c, 3)
		choose(c, "STARTTLS")
		tab(c, 8)
		c.Enter()
		c.CarryOut()
		c.Wait("Send a test mail?")
		c.Escape()
		if m := a.Document().Mail; m.Security != "starttls" || string(m.Password) != secret {
			t.Errorf("mail is %+v", m)
		}
		// And off.
		open(t, c, "Mail Setup")
		c.Type(" ")
		golden(c, "mail_setup_off")
		tab(c, 1)
		c.Enter()
		c.Wait("esos mail delete")
		c.CarryOut()
		if m := a.Document().Mail; m.Declared() {
			t.Errorf("mail is still %+v", m)
		}
	})
	t.Run("S5 send test email", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Send Test Email")
		c.Wait("No mail server is set up")
		golden(c, "mail_test_none")
		c.Enter()
		c.Wait("Without a mail server nobody is told")
		server, err := mail.Start()
		if err != nil {
			t.Fatal(err)
		}
		port := strconv.Itoa(server.Port())
		change(t, a, func(doc *config.Document) {
			doc.Mail = config.Mail{To: []string{"a@example.com", "b@example.com"}, Server: "127.0.0.1", Port: server.Port(), Security: "none"}
		})
		open(t, c, "Send Test Email")
		c.Wait("By 127.0.0.1")
		golden(c, "mail_test")
		tab(c, 1)
		c.Enter()
		c.Wait("The mail is sent")
		c.Wait("127.0.0.1:" + port)
		golden(c, "mail_sent", "127.0.0.1:"+port, "127.0.0.1:NNNNN")
		c.Enter()
		c.Press(tcell.KeyBacktab)
		c.Field("me@example.com")
		c.Enter()
		c.Wait("The mail is sent")
		c.Enter()
		got := server.Mails()
		if len(got) != 2 || !slices.Equal(got[0].To, []string{"a@example.com", "b@example.com"}) || !slices.Equal(got[1].To, []string{"me@example.com"}) {
			t.Errorf("mails %+v", got)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		c.Enter()
		c.Wait("that failed")
		c.Wait("nobody takes")
		c.Enter()
		c.Shows("me@example.com") // what was typed is kept
	})
}
