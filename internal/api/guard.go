package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/engine"
)

// guard stands before every route: it finds out who asks and writes down what
// was asked to be changed.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		whole := r.Body
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		p, err := s.identify(r)
		if err != nil {
			writeProblem(w, err)
			return
		}
		if p.role == Nobody {
			// A stranger may not hold a connection, neither with a slow body
			// nor by doing nothing.
			h.Set("Connection", "close")
			_ = http.NewResponseController(w).SetReadDeadline(s.now().Add(strangerTime))
		} else if isUpload(r) {
			r.Body = whole // goes to a file, whose room is its limit
		}
		r = r.WithContext(context.WithValue(r.Context(), principalKey{}, p))
		if r.Method == http.MethodGet || r.Method == http.MethodHead || strings.HasSuffix(r.URL.Path, "/plan") { // asks only
			next.ServeHTTP(w, r)
			return
		}
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		// A login says itself who it was. What strangers try is refused, and
		// must not push out of the log what others did.
		if p.role > Nobody && r.URL.Path != v1.Prefix+"/login" {
			s.audit(p, request(r), strconv.Itoa(seen.status)+" "+http.StatusText(seen.status))
		}
	})
}

// request names a request in the audit log.
func request(r *http.Request) string {
	const most = 200
	path := r.URL.Path
	if len(path) > most {
		path = strings.ToValidUTF8(path[:most], "") + "..."
	}
	return r.Method + " " + path
}

// strangerTime is how long a request of somebody unknown may take to arrive.
const strangerTime = 15 * time.Second

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// authorize stands before every route of the API proper: it asks for the role
// that the route needs.
func (s *Server) authorize(ctx huma.Context, next func(huma.Context)) {
	need, ok := ctx.Operation().Metadata[roleKey].(Role)
	if !ok {
		need = Admin // a route that forgot to say
	}
	if err := permit(asker(ctx.Context()), need); err != nil {
		_, w := humago.Unwrap(ctx)
		writeProblem(w, err)
		return
	}
	next(ctx)
}

// permit tells whether p may do what takes the role need.
func permit(p principal, need Role) error {
	switch {
	case p.role >= need:
		return nil
	case p.role == Nobody:
		f := problem(http.StatusUnauthorized, v1.ProblemLogin, "say who you are: send Authorization: Bearer TOKEN, with a token from an administrator or POST /api/v1/login")
		f.header = http.Header{"Www-Authenticate": {`Bearer realm="esos"`}}
		return f
	default:
		return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("%s is %s here; this takes %s", p.name, p.role, need))
	}
}

// audit writes down who did what, and what came of it, as an event (which is
// logged too). It is never told a secret: paths hold none, and bodies are not
// looked at.
func (s *Server) audit(p principal, did, result string) {
	who := p.name
	if who == "" {
		who = "somebody"
	}
	s.app.Note(engine.Event{Time: s.now().UTC(), Kind: "audit", Object: "api", Message: fmt.Sprintf("%s (%s): %s: %s", who, p.from, did, result),
		Detail: map[string]string{"who": p.name, "from": p.from, "did": did, "result": result}})
}
