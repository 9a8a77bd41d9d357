package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// place says where in the document a request points: the variables of its path.
type place struct{ target, group, subsystem, name string }

type placeKey struct{}

// locate keeps the variables of the path for the handlers.
func locate(ctx huma.Context, next func(huma.Context)) {
	next(huma.WithValue(ctx, placeKey{}, place{ctx.Param("target"), ctx.Param("group"), ctx.Param("subsystem"), ctx.Param("name")}))
}

func at(ctx context.Context) place {
	p, _ := ctx.Value(placeKey{}).(place)
	return p
}

// pathParameters describes the variables of a path.
func pathParameters(path string) []*huma.Param {
	known := map[string]string{"target": "The target's name.", "group": "The host group's name.", "device": "The device's name.", "filesystem": "The file system's name; - for the data directory.", "subsystem": "The NVMe subsystem's NQN.", "name": "The object's name; a LUN's or namespace's number."}
	var ps []*huma.Param
	for _, part := range strings.Split(path, "/") {
		if v, ok := strings.CutPrefix(part, "{"); ok {
			v = strings.TrimSuffix(v, "}")
			ps = append(ps, &huma.Param{Name: v, In: "path", Required: true, Description: known[v], Schema: &huma.Schema{Type: huma.TypeString}})
		}
	}
	return ps
}

// collection is a list of named things in the document as a REST resource:
// GET and POST on the list; GET, PUT and DELETE on each item.
type collection[T any] struct {
	path string // such as /targets/{target}/groups
	tag  string
	one  string // Device: for the operations' names
	word string // "device": for their summaries
	role Role   // that changes it

	list   func(doc *config.Document, p place) ([]T, error)
	find   func(doc *config.Document, p place) (*T, error)
	name   func(v *T) string
	add    func(doc *config.Document, p place, v T) error
	put    func(doc *config.Document, p place, v T) error // nil: the item is replaced
	remove func(doc *config.Document, p place) error
}

type (
	nothing struct{}

	listOutput[T any] struct {
		ETag string `header:"ETag" doc:"Of the whole document."`
		Body []T
	}
	itemOutput[T any] struct {
		ETag string `header:"ETag" doc:"Send it in If-Match to change the object."`
		Body T
	}
	// ChangeInput goes with every change.
	ChangeInput struct {
		Why     string   `query:"why" maxLength:"500" doc:"The reason, for the history."`
		Destroy []string `query:"destroy,explode" maxItems:"1000" doc:"Objects that may be destroyed, such as device/db01."`
		// ConfirmWithin is appliance.Change's, in seconds.
		ConfirmWithin int `query:"confirm_within" minimum:"0" maximum:"600" doc:"Seconds that a change of the network waits to be confirmed before it is undone; 60 when left out."`
	}
	// PlanInput is what a plan has besides its document.
	PlanInput struct {
		Destroy []string `query:"destroy,explode" maxItems:"1000" doc:"Objects that may be destroyed, as the change would name them."`
	}
	createInput[T any] struct {
		ChangeInput
		Body T
	}
	// Match makes a change depend on what it is based on.
	Match struct {
		IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag of what the change is based on; * for whatever is there. Needed (428), and compared (412)."`
	}
	putInput[T any] struct {
		ChangeInput
		Match
		Body T
	}
	deleteInput struct {
		ChangeInput
		Match
	}
	operationOutput struct {
		Location string `header:"Location" doc:"The operation."`
		Body     v1.Operation
	}
)

// register makes the routes of a collection.
func register[T any](s *Server, c collection[T]) {
	item := c.path + "/{name}"
	huma.Register(s.huma, operation(Viewer, http.MethodGet, c.path, "list"+c.one+"s", c.tag, "List the "+c.word+"s"),
		func(ctx context.Context, _ *nothing) (*listOutput[T], error) {
			doc, rev, err := s.document(ctx)
			if err != nil {
				return nil, err
			}
			list, err := c.list(doc.Redacted(), at(ctx))
			if err != nil {
				return nil, answer(err)
			}
			return &listOutput[T]{quote(rev.ETag), append([]T{}, list...)}, nil
		})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, item, "get"+c.one, c.tag, "Read a "+c.word),
		func(ctx context.Context, _ *nothing) (*itemOutput[T], error) {
			doc, _, err := s.document(ctx)
			if err != nil {
				return nil, err
			}
			v, err := c.find(doc, at(ctx))
			if err != nil {
				return nil, answer(err)
			}
			tag := s.tag(v)
			if v, err = c.find(doc.Redacted(), at(ctx)); err != nil {
				return nil, answer(err)
			}
			return &itemOutput[T]{tag, *v}, nil
		})
	huma.Register(s.huma, changing(operation(c.role, http.MethodPost, c.path, "create"+c.one, c.tag, "Create a "+c.word)),
		func(ctx context.Context, in *createInput[T]) (*operationOutput, error) {
			return s.change(ctx, in.ChangeInput, func(doc *config.Document) error {
				return c.add(doc, at(ctx), in.Body)
			})
		})
	huma.Register(s.huma, changing(operation(c.role, http.MethodPut, item, "put"+c.one, c.tag, "Change a "+c.word)),
		func(ctx context.Context, in *putInput[T]) (*operationOutput, error) {
			p := at(ctx)
			if n := c.name(&in.Body); n != p.name {
				return nil, problem(http.StatusUnprocessableEntity, v1.ProblemInvalid,
					fmt.Sprintf("the path says %q and the body %q: a %s is not renamed; create a new one and delete this", p.name, n, c.word))
			}
			return s.changeItem(ctx, in.ChangeInput, in.Match, func(doc *config.Document) (any, error) {
				return c.find(doc, p)
			}, func(doc *config.Document) error {
				if c.put != nil {
					return c.put(doc, p, in.Body)
				}
				old := doc.Clone()
				v, err := c.find(doc, p)
				if err != nil {
					return err
				}
				*v = in.Body
				doc.KeepSecrets(old)
				return nil
			})
		})
	huma.Register(s.huma, changing(operation(c.role, http.MethodDelete, item, "delete"+c.one, c.tag, "Delete a "+c.word)),
		func(ctx context.Context, in *deleteInput) (*operationOutput, error) {
			p := at(ctx)
			return s.changeItem(ctx, in.ChangeInput, in.Match, func(doc *config.Document) (any, error) {
				return c.find(doc, p)
			}, func(doc *config.Document) error { return c.remove(doc, p) })
		})
}

// changing describes a route whose work goes on after its answer.
func changing(op huma.Operation) huma.Operation {
	op.DefaultStatus = http.StatusAccepted
	op.Description += " Returns at once; the operation tells how far it is."
	return op
}
