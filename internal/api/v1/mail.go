package v1

// MailTest asks for a test mail.
type MailTest struct {
	To string `json:"to,omitempty" doc:"Who gets it; all whom the document names when empty."`
}

// MailTested is what became of a test mail that the server took.
type MailTested struct {
	Server string   `json:"server" doc:"The mail server's host and port."`
	To     []string `json:"to" doc:"Who gets it."`
	Answer string   `json:"answer" doc:"What the server said when it had taken it."`
}
