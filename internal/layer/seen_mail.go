package layer

import "github.com/esos-project/esos/internal/host/msmtp"

// Mail is how programs of the machine send mail.
type Mail struct {
	msmtp.Files
	Err error // why that could not be looked at
}
