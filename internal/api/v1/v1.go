// Package v1 is what version 1 of the REST API says: the shapes of its
// requests and answers, shared by the server (internal/api) and the client
// (internal/client). Devices, targets and the other parts of the document have
// the shapes of internal/config; sessions and counters those of
// internal/engine.
package v1

import (
	"time"

	"github.com/esos-project/esos/internal/engine"
)

// Prefix is where the API is.
const Prefix = "/api/v1"

// Redacted stands for each secret in answers. Sent back in a document, it
// leaves the secret that is kept there as it is.
const Redacted = "(secret)"

// Problem is an error (RFC 9457, application/problem+json).
type Problem struct {
	Type   string   `json:"type" doc:"What kind of problem it is, for programs: a URI reference."`
	Title  string   `json:"title" doc:"The kind of problem, for people."`
	Status int      `json:"status" doc:"The HTTP status."`
	Detail string   `json:"detail,omitempty" doc:"What failed, on which object, why, and what to do next."`
	Errors []Fault  `json:"errors,omitempty" doc:"Each single fault, when there are several."`
	Needs  []string `json:"needs_destroy,omitempty" doc:"What must be named in destroy for the change to be carried out."`
}

// Types of problems.
const (
	ProblemInvalid      = "urn:esos:problem:invalid"      // the request or document is wrong
	ProblemDestroys     = "urn:esos:problem:destroys"     // refused: it would destroy what Needs lists
	ProblemConflict     = "urn:esos:problem:conflict"     // the object changed meanwhile, or is there already
	ProblemPrecondition = "urn:esos:problem:precondition" // If-Match is missing
	ProblemNotFound     = "urn:esos:problem:not-found"
	ProblemDenied       = "urn:esos:problem:denied" // the role does not allow it
	ProblemLogin        = "urn:esos:problem:login"  // who is asking?
	ProblemBusy         = "urn:esos:problem:busy"   // try again later
	ProblemFailed       = "urn:esos:problem:failed" // our fault, or the machine's
)

// Fault is one thing that is wrong.
type Fault struct {
	Location string `json:"location,omitempty" doc:"Where it is: a path in the document, with line and column if it was text."`
	Message  string `json:"message"`
}

// Revision says where a document came from.
type Revision struct {
	Number int       `json:"number"`
	When   time.Time `json:"when"`
	Who    string    `json:"who"`
	Why    string    `json:"why,omitempty"`
	ETag   string    `json:"etag"`
}

// Step is one step of a plan.
type Step struct {
	ID       string        `json:"id"`
	Layer    string        `json:"layer"`
	Object   string        `json:"object" doc:"What it is done to, such as device/db01."`
	Action   string        `json:"action" enum:"create,change,delete"`
	Sentence string        `json:"sentence"`
	Changes  []FieldChange `json:"changes,omitempty"`
	Destroys string        `json:"destroys,omitempty" doc:"What is lost; such a step is refused until it is named in destroy."`
	Disrupts string        `json:"disrupts,omitempty" doc:"Who feels it, of a step that loses nothing."`
}

// FieldChange is one setting that a step changes. Secrets read (secret).
type FieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

// Plan is what a document would change.
type Plan struct {
	Steps    []Step   `json:"steps"`
	Warnings []string `json:"warnings,omitempty"`
	Text     string   `json:"text" doc:"The plan for people."`
	Needs    []string `json:"needs_destroy,omitempty" doc:"What must be named in destroy."`
	Notes    []Fault  `json:"notes,omitempty" doc:"What is left as it is, and why."`
	Refused  []Fault  `json:"refused,omitempty" doc:"Why it cannot be carried out at all."`
	Drift    []Drift  `json:"drift,omitempty" doc:"What was changed by hand, not by ESOS."`
	Adopts   []Adopts `json:"adopts,omitempty" doc:"What is written into the document, as it is on the machine, instead of changing the machine."`
}

// Drift is a part of the machine that is otherwise than the document in force
// says.
type Drift struct {
	Object  string        `json:"object" doc:"Such as lun/iqn.2026-11.com.example:disk/hosts/3."`
	What    string        `json:"what" enum:"added,changed,missing"`
	Message string        `json:"message"`
	Fields  []FieldChange `json:"fields,omitempty" doc:"What differs: old is as declared, new as it is. Secrets read (secret)."`
	Foreign bool          `json:"foreign,omitempty" doc:"Somebody else set it up whole."`
	Left    bool          `json:"left,omitempty" doc:"This plan leaves it as it is."`
}

// Adopts is a change of the document that follows the machine.
type Adopts struct {
	Object string        `json:"object"`
	Action string        `json:"action" enum:"create,change,delete"`
	Fields []FieldChange `json:"fields,omitempty"`
}

// DriftChange says which drift is to be undone, or adopted.
type DriftChange struct {
	Objects []string `json:"objects,omitempty" maxItems:"1000" doc:"As the drift names them; all when left out."`
	Why     string   `json:"why,omitempty" maxLength:"500"`
	Destroy []string `json:"destroy,omitempty" maxItems:"1000" doc:"Objects that may be destroyed, such as target/iqn.2026-11.com.example:old; of use to undo drift only."`
}

// Rollback asks for an older revision to be carried out again.
type Rollback struct {
	Revision int      `json:"revision" minimum:"1" doc:"The revision to return to."`
	Why      string   `json:"why,omitempty" maxLength:"500"`
	Destroy  []string `json:"destroy,omitempty" doc:"Objects that may be destroyed, such as device/db01."`
}

// Operation is work that was begun: the change of a document.
type Operation struct {
	ID       string     `json:"id"`
	State    string     `json:"state" enum:"running,done,failed"`
	Who      string     `json:"who"`
	Why      string     `json:"why,omitempty"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended,omitempty"`
	Steps    []Progress `json:"steps"`
	Done     int        `json:"done" doc:"How many steps are done."`
	Changed  bool       `json:"changed" doc:"False if the array was as declared already."`
	Revision int        `json:"revision,omitempty" doc:"The revision that the change made."`
	Error    string     `json:"error,omitempty"`
	Warnings []string   `json:"warnings,omitempty"`
}

// States of the array.
const (
	Running = "running"
	Done    = "done"
	Failed  = "failed"
)

// Progress is how far a step is.
type Progress struct {
	ID       string  `json:"id"`
	Sentence string  `json:"sentence"`
	State    string  `json:"state" enum:"waiting,running,done,failed,undone,skipped"`
	Fraction float64 `json:"fraction,omitempty" doc:"0 to 1, of steps that take long."`
	Error    string  `json:"error,omitempty"`
}

// Status is the array at a glance.
type Status struct {
	Name        string              `json:"name"`
	Version     string              `json:"version" doc:"Of the software."`
	Engine      string              `json:"engine"`
	Started     time.Time           `json:"started" doc:"When the daemon started."`
	Revision    Revision            `json:"revision"`
	State       string              `json:"state" enum:"ok,applying,degraded" doc:"degraded: what is served differs from what is declared; Problems says how."`
	Problems    []string            `json:"problems,omitempty"`
	Drift       []string            `json:"drift,omitempty" doc:"What was changed by hand, as of the last look; /drift looks now."`
	Alerts      []Alert             `json:"alerts,omitempty" doc:"What of the machine needs somebody, the gravest first."`
	Devices     int                 `json:"devices"`
	Targets     int                 `json:"targets"`
	LUNs        int                 `json:"luns"`
	Sessions    int                 `json:"sessions"`
	Portals     []string            `json:"portals" doc:"Addresses that initiators connect to."`
	Unconfirmed *UnconfirmedNetwork `json:"unconfirmed_network,omitempty" doc:"The change of the network that waits to be confirmed."`
	API         string              `json:"api,omitempty" doc:"Where the API listens besides its socket."`
	Fingerprint string              `json:"fingerprint,omitempty" doc:"Of the API's certificate."`
}

// Alert is something of the machine that needs somebody. It stands as long as
// its cause does.
type Alert struct {
	ID       string    `json:"id" doc:"Of its cause, such as medium.lost."`
	Severity string    `json:"severity" enum:"critical,warning" doc:"critical: data or service is at risk, act now; warning: it works, but not for ever."`
	Object   string    `json:"object"`
	Message  string    `json:"message" doc:"What is wrong, what it means and what to do."`
	Since    time.Time `json:"since"`
}

// Event is something that happened.
type Event struct {
	ID int64 `json:"id" doc:"Rises by one from event to event."`
	engine.Event
}

// Login asks for a session.
type Login struct {
	Name     string `json:"name" maxLength:"64"`
	Password string `json:"password" maxLength:"1024"`
}

// LoggedIn is a session's token, to be sent as a bearer token.
type LoggedIn struct {
	Token string    `json:"token"`
	Role  string    `json:"role"`
	Until time.Time `json:"until" doc:"When it ends at the latest; it ends sooner when it is not used."`
}

// User is somebody who may use the API. Neither password nor tokens can be
// read back.
type User struct {
	Name     string   `json:"name" pattern:"^[a-z_][a-z0-9_.-]{0,31}$"`
	Role     string   `json:"role" enum:"admin,operator,viewer"`
	Password string   `json:"password,omitempty" maxLength:"1024" doc:"To set a new password. In answers: (secret) if there is one."`
	Tokens   []string `json:"tokens,omitempty" doc:"Names of the user's tokens. Removing one revokes it; new ones are made by POST."`
}

// NewToken asks for a token.
type NewToken struct {
	Name string `json:"name" pattern:"^[A-Za-z0-9_.-]{1,64}$"`
}

// MadeToken is a new token. It is shown once; only its hash is kept.
type MadeToken struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}
