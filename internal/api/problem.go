package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// failure is a v1.Problem as an error, with what huma asks of one.
type failure struct {
	v1.Problem
	header http.Header
}

// problem makes an answer that says what is wrong.
func problem(status int, kind, detail string) *failure {
	return &failure{Problem: v1.Problem{Type: kind, Title: http.StatusText(status), Status: status, Detail: detail}}
}

func (f *failure) Error() string { return f.Detail }

// GetStatus makes it a huma.StatusError.
func (f *failure) GetStatus() int { return f.Status }

// GetHeaders makes it a huma.HeadersError.
func (f *failure) GetHeaders() http.Header { return f.header }

// ContentType makes it application/problem+json, whatever was asked for.
func (f *failure) ContentType(string) string { return "application/problem+json" }

// MarshalJSON leaves out what is not the problem's.
func (f *failure) MarshalJSON() ([]byte, error) { return json.Marshal(f.Problem) }

// transformProblem gives huma's own errors (a body that does not fit its
// schema, say) the same shape, and does not echo values: some are secrets.
func transformProblem(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	kind := v1.ProblemInvalid
	if m.Status >= http.StatusInternalServerError {
		kind = v1.ProblemFailed
	}
	p := problem(m.Status, kind, m.Detail)
	for _, e := range m.Errors {
		if e != nil {
			p.Errors = append(p.Errors, v1.Fault{Location: e.Location, Message: e.Message})
		}
	}
	return p, nil
}

// describeProblems puts our problems where huma describes its own errors.
func describeProblems(o *huma.OpenAPI) {
	r := o.Components.Schemas
	ours := r.Schema(reflect.TypeFor[v1.Problem](), true, "Problem")
	for _, item := range o.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete} {
			if op == nil {
				continue
			}
			for _, answer := range op.Responses {
				if m := answer.Content["application/problem+json"]; m != nil {
					m.Schema = ours
				}
			}
		}
	}
	delete(r.Map(), "ErrorModel")
	delete(r.Map(), "ErrorDetail")
}

// writeProblem answers outside huma's routes.
func writeProblem(w http.ResponseWriter, err error) {
	var f *failure
	if !errors.As(err, &f) {
		f = problem(http.StatusInternalServerError, v1.ProblemFailed, err.Error())
	}
	for k, v := range f.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(f.Problem) // a client that is gone is no problem
}
