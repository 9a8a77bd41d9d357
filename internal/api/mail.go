package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/esos-project/esos/internal/alert/mail"
	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

type (
	mailTestInput struct {
		Body v1.MailTest
	}
	mailTestOutput struct {
		Body v1.MailTested
	}
)

// mail is the route that tries the mail server that the document names.
func (s *Server) mail() {
	huma.Register(s.huma, operation(Operator, http.MethodPost, "/mail/test", "testMail", "machine", "Send a test mail through the declared server, and wait for what that says"),
		func(ctx context.Context, in *mailTestInput) (*mailTestOutput, error) {
			done, err := s.testMail(ctx, in.Body.To)
			return &mailTestOutput{done}, err
		})
}

func (s *Server) testMail(ctx context.Context, to string) (v1.MailTested, error) {
	doc, _, err := s.app.Document(ctx)
	if err != nil {
		return v1.MailTested{}, err
	}
	m := doc.Mail.WithDefaults()
	if !doc.Mail.Declared() {
		return v1.MailTested{}, problem(http.StatusConflict, v1.ProblemConflict, "no mail server is declared; 'esos mail set' names one")
	}
	if to != "" {
		if err := config.CheckMailAddress(to); err != nil {
			return v1.MailTested{}, problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, err.Error())
		}
		m.To = []string{to}
	}
	host, err := os.Hostname()
	if err != nil {
		host = doc.Name
	}
	server := net.JoinHostPort(m.Server, strconv.Itoa(m.Port))
	said, err := mail.Send(ctx, m, mail.FullName(host, doc.Network.Domain), mail.Message{Subject: fmt.Sprintf("[ESOS %s] test", host),
		Body: fmt.Sprintf("This is a test of %s, sent by request of %s at %s. Its alerts come this way.\n", host, asker(ctx).name, time.Now().Format(time.RFC1123Z))})
	if err != nil {
		return v1.MailTested{}, problem(http.StatusBadGateway, v1.ProblemFailed, err.Error())
	}
	return v1.MailTested{Server: server, To: m.To, Answer: said}, nil
}

// permitMail tells whether p may change where mail goes: only an admin does. To
// whichever server is named, the password is shown.
func permitMail(p principal, old, doc *config.Document) error {
	if p.role >= Admin || len(config.Fields(old.Mail, doc.Mail)) == 0 {
		return nil
	}
	return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("%s is %s here; where alerts are mailed, only an admin changes", p.name, p.role))
}
