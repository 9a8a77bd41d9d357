package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
)

// document reads the document in force.
func (s *Server) document(ctx context.Context) (*config.Document, appliance.Revision, error) {
	doc, rev, err := s.app.Document(ctx)
	if err != nil {
		return nil, rev, answer(fmt.Errorf("read the document in force: %w", err))
	}
	return doc, rev, nil
}

// change begins an edit of the document in force.
func (s *Server) change(ctx context.Context, in ChangeInput, edit func(*config.Document) error) (*operationOutput, error) {
	p := asker(ctx)
	return s.begin(ctx, appliance.Change{
		Who: p.name, Why: in.Why, Destroy: in.Destroy, ConfirmWithin: time.Duration(in.ConfirmWithin) * time.Second,
		Edit: func(doc *config.Document) error {
			old := doc.Clone()
			if err := edit(doc); err != nil {
				return refusedEdit(err)
			}
			return permitChange(p, old, doc, in.Destroy)
		},
	})
}

// changeItem begins an edit of one object, which must be as the request knew it.
func (s *Server) changeItem(ctx context.Context, in ChangeInput, m Match, find func(*config.Document) (any, error), edit func(*config.Document) error) (*operationOutput, error) {
	if err := m.given(); err != nil {
		return nil, err
	}
	return s.change(ctx, in, func(doc *config.Document) error {
		v, err := find(doc)
		if err != nil {
			return err
		}
		if !m.matches(s.tag(v)) {
			return problem(http.StatusPreconditionFailed, v1.ProblemConflict, "the object was changed since you read it; read it again and make the change anew")
		}
		return edit(doc)
	})
}

// changeWait is how long a change waits for the one before it to end.
const changeWait = time.Minute

// begin hands a change to the appliance. It goes on when the asker hangs up.
func (s *Server) begin(ctx context.Context, c appliance.Change) (*operationOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, changeWait)
	defer cancel()
	op, err := s.app.Apply(ctx, c)
	if err != nil {
		return nil, answer(err)
	}
	w := operationOf(op)
	return &operationOutput{Location: v1.Prefix + "/operations/" + w.ID, Body: w}, nil
}

// permitChange tells whether p may make old into doc. Operators change what is
// served, not who may change it, nor what of the machine; and they destroy
// nothing.
func permitChange(p principal, old, doc *config.Document, destroy []string) error {
	if err := permitSelf(p, old, doc); err != nil || p.role >= Admin {
		return err
	}
	if len(config.Fields(old.API, doc.API)) > 0 {
		return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("%s is %s here; who may use the API, and where it listens, only an admin changes", p.name, p.role))
	}
	if err := errors.Join(permitPaths(p, old, doc), permitNetwork(p, old, doc), permitMachine(p, old, doc), permitMail(p, old, doc), permitStorage(p, old, doc)); err != nil {
		return err
	}
	if len(destroy) > 0 {
		return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("%s is %s here; only an admin destroys (%s)", p.name, p.role, strings.Join(destroy, ", ")))
	}
	return nil
}

// permitPaths tells whether p may have doc serve the files that it names. The
// daemon opens them with its own privileges, root's as a rule: whoever may name
// any can read and write everything on the machine, from the list of users to
// the programs it runs. So only an admin names what is outside of the data
// directory.
func permitPaths(p principal, old, doc *config.Document) error {
	if p.role >= Admin {
		return nil
	}
	named := map[string]bool{}
	for _, d := range old.Devices {
		named[d.Path] = true
	}
	for _, d := range doc.Devices {
		if filepath.IsAbs(d.Path) && !named[d.Path] {
			return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("%s is %s here; only an admin has device %s serve %s, which is outside of the data directory", p.name, p.role, d.Name, d.Path))
		}
	}
	return nil
}

// refusedEdit says that an edit is not possible as the document is now, such
// as the removal of a device that is in use.
func refusedEdit(err error) error {
	err = answer(err)
	var f *failure
	if errors.As(err, &f) && f.Status == http.StatusInternalServerError {
		return problem(http.StatusConflict, v1.ProblemConflict, f.Detail)
	}
	return err
}

// given refuses a change that does not say what it is based on.
func (m Match) given() error {
	if m.IfMatch == "" {
		return problem(http.StatusPreconditionRequired, v1.ProblemPrecondition, "say what the change is based on: send the ETag of what you read in If-Match (or * for whatever is there)")
	}
	return nil
}

// etag is the tag of the whole document that must be in force, "" for any.
func (m Match) etag() string {
	if strings.TrimSpace(m.IfMatch) == "*" {
		return ""
	}
	return strings.Trim(strings.TrimSpace(m.IfMatch), `"`)
}

// matches compares with a tag as it is now (RFC 9110 13.1.1).
func (m Match) matches(tag string) bool {
	tags := strings.Split(m.IfMatch, ",")
	for i := range tags {
		tags[i] = strings.TrimSpace(tags[i])
	}
	return slices.Contains(tags, "*") || slices.Contains(tags, tag)
}

// tag makes the ETag of a part of the document. It covers secrets, and so is
// made with a key: nobody can try guesses against it.
func (s *Server) tag(v any) string {
	text, err := yaml.Dump(v)
	if err != nil {
		return `""` // matches nothing but *
	}
	h := hmac.New(sha256.New, s.tagKey[:])
	h.Write(text)
	return quote(hex.EncodeToString(h.Sum(nil)[:12]))
}

// quote makes an ETag of a hash.
func quote(hash string) string {
	if strings.HasPrefix(hash, `"`) {
		return hash
	}
	return `"` + hash + `"`
}
