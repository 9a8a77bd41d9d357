package api

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// outside are the routes that are not of the API proper: its description and
// the metrics. Who may see the array may see them.
func (s *Server) outside(mux *http.ServeMux) {
	handle := func(pattern string, h http.Handler) {
		mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := permit(asker(r.Context()), Viewer); err != nil {
				writeProblem(w, err)
				return
			}
			h.ServeHTTP(w, r)
		}))
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(s.app, s.alerts, s.version), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError}))
	handle("GET "+v1.Prefix+"/openapi.yaml", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text, err := s.OpenAPI()
		if err != nil {
			writeProblem(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+yaml")
		_, _ = w.Write(text) // who is gone needs no answer
	}))
	handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problem(http.StatusNotFound, v1.ProblemNotFound, "there is nothing at "+r.URL.Path+"; "+v1.Prefix+"/openapi.yaml describes what there is"))
	}))
}
