package mail

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestFlushIsCutOff ends the daemon while a server has a mail, or not yet: what
// it took is out of the outbox, and nobody waits long for one that is silent.
func TestFlushIsCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		at      string // the line at which the daemon ends
		silent  bool   // it is never answered
		sent    int
		atMost  time.Duration
		atLeast time.Duration
	}{
		"before the text":                    {at: "DATA", silent: true, atMost: time.Second},
		"before the answer":                  {at: ".", sent: 1, atMost: lastAnswer},
		"before an answer that never comes":  {at: ".", silent: true, atLeast: lastAnswer - time.Second, atMost: lastAnswer + 2*time.Second},
		"after it":                           {at: "RSET", sent: 1, atMost: lastAnswer},
		"after it, and no word comes after.": {at: "RSET", silent: true, sent: 1, atMost: lastAnswer + 2*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			mails := 0
			m := converse(t, "220 test\r\n", inDataQuiet(func(line string) string {
				if line != c.at {
					return polite(line)
				}
				cancel()
				if c.silent {
					return quiet
				}
				time.Sleep(200 * time.Millisecond) // the daemon is ending meanwhile
				return polite(line)
			}, &mails))
			o := &Outbox{Dir: filepath.Join(t.TempDir(), "mail"), Now: time.Now, Send: func(ctx context.Context, msg Message) error {
				_, err := Send(ctx, m, "h", msg)
				return err
			}}
			for _, subject := range []string{"one", "two"} {
				if err := o.Put(Message{Subject: subject, Body: "b"}); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			f, err := o.Flush(ctx)
			took := time.Since(began)
			if err != nil || f.Sent != c.sent || f.Waiting != 2-c.sent || mails > 1 {
				t.Errorf("%+v, %v, %d mails came; want %d sent and the rest kept", f, err, mails, c.sent)
			}
			if took > c.atMost || took < c.atLeast {
				t.Errorf("it took %v", took)
			}
		})
	}
}
