package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.yaml.in/yaml/v4"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
)

type (
	revealInput struct {
		Reveal bool `query:"reveal" doc:"With the secrets: only for the administrator at the Unix socket, and only as YAML."`
	}
	documentOutput struct {
		ETag string `header:"ETag" doc:"Send it in If-Match to change the document."`
		Body *revealed
	}
	planInput struct {
		PlanInput
		RawBody []byte
	}
	putDocumentInput struct {
		ChangeInput
		Match
		RawBody []byte
	}
	planOutput struct {
		Body v1.Plan
	}
	planRevisionInput struct {
		PlanInput
		Number int `path:"number" minimum:"1" doc:"The revision's number."`
	}
	showRevisionInput struct {
		Number int  `path:"number" minimum:"1" doc:"The revision's number."`
		Reveal bool `query:"reveal" doc:"With the secrets: only for the administrator at the Unix socket, and only as YAML."`
	}
	revisionsOutput struct {
		Body []v1.Revision
	}
	rollbackInput struct {
		Match
		Body v1.Rollback
	}
	schemaOutput struct {
		ContentType string `header:"Content-Type"`
		Body        []byte
	}
)

// revealed is a document that an answer shows; in YAML with its secrets if
// they were not redacted before.
type revealed config.Document

// MarshalJSON hides the secrets, always.
func (d *revealed) MarshalJSON() ([]byte, error) { return json.Marshal((*config.Document)(d)) }

// Schema is the document's.
func (*revealed) Schema(r huma.Registry) *huma.Schema { return documentSchema(r) }

// documents are the routes of the document as a whole.
func (s *Server) documents() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/config", "getConfig", "config", "Read the document in force, as JSON or YAML"),
		func(ctx context.Context, in *revealInput) (*documentOutput, error) {
			doc, rev, err := s.document(ctx)
			if err != nil {
				return nil, err
			}
			return s.show(ctx, doc, rev, in.Reveal)
		})
	put := changing(operation(Operator, http.MethodPut, "/config", "putConfig", "config", "Carry out a document"))
	huma.Register(s.huma, s.takesDocument(put), func(ctx context.Context, in *putDocumentInput) (*operationOutput, error) {
		if err := in.given(); err != nil {
			return nil, err
		}
		doc, err := s.parse(in.RawBody)
		if err != nil {
			return nil, err
		}
		p := asker(ctx)
		return s.begin(ctx, appliance.Change{
			Who: p.name, Why: in.Why, Destroy: in.Destroy, IfMatch: in.etag(), ConfirmWithin: time.Duration(in.ConfirmWithin) * time.Second,
			Edit: func(now *config.Document) error {
				old := now.Clone()
				*now = *doc.Clone()
				now.KeepSecrets(old)
				return permitChange(p, old, now, in.Destroy)
			},
		})
	})
	plan := operation(Viewer, http.MethodPost, "/config/plan", "planConfig", "config", "Tell what a document would change")
	huma.Register(s.huma, s.takesDocument(plan), func(ctx context.Context, in *planInput) (*planOutput, error) {
		doc, err := s.parse(in.RawBody)
		if err != nil {
			return nil, err
		}
		return s.planned(ctx, doc, in.Destroy)
	})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/config/schema", "getConfigSchema", "config", "Read the JSON schema of documents"),
		func(context.Context, *nothing) (*schemaOutput, error) {
			schema, err := config.Schema()
			return &schemaOutput{ContentType: "application/schema+json", Body: schema}, err
		})
	s.revisions()
}

// revisions are the routes of the documents that were in force.
func (s *Server) revisions() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/config/revisions", "listRevisions", "config", "List the documents that were in force, newest first"),
		func(ctx context.Context, _ *nothing) (*revisionsOutput, error) {
			all, err := s.app.Revisions(ctx)
			if err != nil {
				return nil, answer(err)
			}
			return &revisionsOutput{revisionsOf(all)}, nil
		})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/config/revisions/{number}", "getRevision", "config", "Read an older document"),
		func(ctx context.Context, in *showRevisionInput) (*documentOutput, error) {
			doc, rev, err := s.app.Revision(ctx, in.Number)
			if err != nil {
				return nil, answer(err)
			}
			return s.show(ctx, doc, rev, in.Reveal)
		})
	huma.Register(s.huma, operation(Viewer, http.MethodPost, "/config/revisions/{number}/plan", "planRevision", "config", "Tell what returning to an older document would change"),
		func(ctx context.Context, in *planRevisionInput) (*planOutput, error) {
			doc, _, err := s.app.Revision(ctx, in.Number)
			if err != nil {
				return nil, answer(err)
			}
			now, _, err := s.document(ctx)
			if err != nil {
				return nil, err
			}
			return s.planned(ctx, doc.Restored(now), in.Destroy)
		})
	huma.Register(s.huma, changing(operation(Operator, http.MethodPost, "/config/rollback", "rollback", "config", "Carry out an older document again")),
		func(ctx context.Context, in *rollbackInput) (*operationOutput, error) {
			if err := in.given(); err != nil {
				return nil, err
			}
			doc, _, err := s.app.Revision(ctx, in.Body.Revision)
			if err != nil {
				return nil, answer(err)
			}
			p := asker(ctx)
			why := in.Body.Why
			if why == "" {
				why = fmt.Sprintf("rollback to revision %d", in.Body.Revision)
			}
			return s.begin(ctx, appliance.Change{
				Who: p.name, Why: why, Destroy: in.Body.Destroy, IfMatch: in.etag(),
				Edit: func(now *config.Document) error {
					old := now.Clone()
					*now = *doc.Restored(old)
					return permitChange(p, old, now, in.Body.Destroy)
				},
			})
		})
}

// planned plans a document as a change with the same words would. Its secrets
// may be placeholders.
func (s *Server) planned(ctx context.Context, doc *config.Document, destroy []string) (*planOutput, error) {
	now, _, err := s.document(ctx)
	if err != nil {
		return nil, err
	}
	doc = doc.Clone()
	doc.KeepSecrets(now)
	if err := permitPaths(asker(ctx), now, doc); err != nil {
		return nil, err // a plan tells whether a file is there, and its size
	}
	p, err := s.app.PlanChange(ctx, appliance.Change{Document: doc, Destroy: destroy})
	if err != nil {
		return nil, answer(err)
	}
	return &planOutput{planOf(p, doc, destroy)}, nil
}

// show answers with a document.
func (s *Server) show(ctx context.Context, doc *config.Document, rev appliance.Revision, reveal bool) (*documentOutput, error) {
	if !reveal {
		doc = doc.Redacted()
	} else {
		p := asker(ctx)
		if !p.local || p.role < Admin {
			return nil, problem(http.StatusForbidden, v1.ProblemDenied, "secrets are only shown to the administrator at the array's own Unix socket")
		}
		s.audit(p, fmt.Sprintf("read the secrets of revision %d", rev.Number), "ok")
	}
	return &documentOutput{quote(rev.ETag), (*revealed)(doc)}, nil
}

// parsed is a document with the hash of its text.
type parsed struct {
	sum [sha256.Size]byte
	doc *config.Document // not to be changed
}

// parse reads a document from a request: YAML, or JSON which is YAML too. The
// result is not to be changed: the same text commonly comes twice, to be planned
// and to be carried out, and reading a large one takes longer than either.
func (s *Server) parse(text []byte) (*config.Document, error) {
	sum := sha256.Sum256(text)
	if last := s.parsed.Load(); last != nil && last.sum == sum {
		return last.doc, nil
	}
	doc, err := parse(text)
	if err == nil {
		s.parsed.Store(&parsed{sum, doc})
	}
	return doc, err
}

func parse(text []byte) (*config.Document, error) {
	if bytes.Contains(text, []byte(config.Hidden)) {
		// Some secrets are to stay; without them its meaning cannot be
		// checked yet. The appliance does it later.
		doc, err := config.Decode("document", text)
		if err != nil {
			return nil, answer(err)
		}
		return doc, nil
	}
	doc, _, err := config.Parse("document", text)
	if err != nil {
		return nil, answer(err)
	}
	return doc, nil
}

// takesDocument describes a route that takes a document.
func (s *Server) takesDocument(op huma.Operation) huma.Operation {
	schema := documentSchema(s.huma.OpenAPI().Components.Schemas)
	op.SkipValidateBody = true // config does, strictly, and says the line
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/yaml": {Schema: schema}, "application/json": {Schema: schema},
	}}
	return op
}

// yamlFormat writes answers as YAML: documents as they are kept, the rest with
// the names of its JSON.
func yamlFormat() huma.Format {
	return huma.Format{
		Marshal: func(w io.Writer, v any) error {
			if d, ok := v.(*revealed); ok {
				text, err := config.Marshal((*config.Document)(d))
				if err == nil {
					_, err = w.Write(text)
				}
				return err
			}
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			var plain any
			if err := yaml.Load(text, &plain); err != nil {
				return err
			}
			out, err := yaml.Dump(plain)
			if err == nil {
				_, err = w.Write(out)
			}
			return err
		},
		Unmarshal: func([]byte, any) error { return errors.New("send JSON; only documents are taken as YAML") },
	}
}
