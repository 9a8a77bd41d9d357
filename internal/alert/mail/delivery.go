package mail

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// delivery is the handing over of mails to a server. From the moment that a
// mail's text is on its way the server may have it, and only its last answer
// tells (RFC 5321 section 4.2.5): cutting the connection then, as the end of the
// daemon would, has the next daemon send the mail once more.
type delivery struct{ begun atomic.Bool }

// lastAnswer is how long the end of what a mail is sent for waits for that
// answer.
const lastAnswer = 3 * time.Second

// deliveryType names it to the library.
const deliveryType gomail.MiddlewareType = "delivery"

// Handle implements gomail.Middleware: the library calls it when the server has
// said that the text may come.
func (d *delivery) Handle(m *gomail.Msg) *gomail.Msg {
	d.begun.Store(true)
	return m
}

// Type implements gomail.Middleware.
func (*delivery) Type() gomail.MiddlewareType { return deliveryType }

// closeWith closes a connection once ctx ends: at once as long as the server
// can have nothing, else when it had time to answer.
func (d *delivery) closeWith(ctx context.Context, conn io.Closer) {
	end := func() { _ = conn.Close() } // it may be closed already
	context.AfterFunc(ctx, func() {
		if d.begun.Load() {
			time.AfterFunc(lastAnswer, end)
			return
		}
		end()
	})
}
