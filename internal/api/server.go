// Package api is the REST API of the array: /api/v1 with its OpenAPI
// description, and /metrics. It decides who may do what; what is to be done
// it hands to the appliance.
package api

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host/filesystem"
	"github.com/esos-project/esos/internal/host/networking"
	"github.com/esos-project/esos/internal/library"
	"github.com/esos-project/esos/internal/nvmet"
	"github.com/esos-project/esos/internal/password"
	"github.com/esos-project/esos/internal/plan"
	"github.com/esos-project/esos/internal/snapshot"
)

// Server answers requests. It is an http.Handler; Serve listens for it.
type Server struct {
	app      Appliance
	alerts   Alerts
	log      *slog.Logger
	version  string
	started  time.Time
	now      func() time.Time
	stopping chan struct{} // closed when long polls and streams have to end

	settings atomic.Pointer[config.API]       // of the document in force
	accounts atomic.Pointer[[]config.Account] // of the document in force
	clock    Clock
	services Services
	parsed   atomic.Pointer[parsed] // the last document that was sent
	tcp      tcp
	certDir  string
	stopOnce sync.Once
	tagKey   [32]byte // of the ETags of objects

	limiter *loginLimiter
	logins  *logins
	hashing chan struct{} // holds as many as may be computed at once
	decoy   string        // a hash that nothing has

	huma    huma.API
	handler http.Handler
}

// Options are what a Server is made of.
type Options struct {
	Appliance Appliance
	// Alerts are what needs somebody; nil if nothing is watched.
	Alerts Alerts
	Log    *slog.Logger
	// Version is the software's, for /status and the description.
	Version string
	// CertDir is where the self-signed certificate is kept.
	CertDir string
	// Clock and Services are the machine's; nil if it is not ESOS's own.
	Clock    Clock
	Services Services
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// New makes a server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alerts == nil {
		o.Alerts = noAlerts{}
	}
	s := &Server{app: o.Appliance, alerts: o.Alerts, log: o.Log, version: o.Version, started: o.Now(), now: o.Now, certDir: o.CertDir,
		stopping: make(chan struct{}), limiter: newLoginLimiter(o.Now), logins: newLogins(o.Now),
		hashing: make(chan struct{}, 2), decoy: password.Decoy()}
	rand.Read(s.tagKey[:])
	s.clock, s.services = o.Clock, o.Services
	s.settings.Store(&config.API{})
	mux := http.NewServeMux()
	s.huma = humago.New(mux, description(o.Version))
	s.huma.UseMiddleware(s.authorize, locate)
	s.documents()
	s.resources()
	s.drift()
	s.nvme()
	s.snapshots()
	s.images()
	s.state()
	s.alerting()
	s.network()
	s.machine()
	s.storage()
	s.arrays()
	s.filesystems()
	s.encryption()
	s.mail()
	s.events()
	s.users()
	describeProblems(s.huma.OpenAPI())
	s.outside(mux)
	s.handler = s.guard(mux)
	return s
}

// Appliance is what the API drives: *appliance.Appliance.
type Appliance interface {
	Document(ctx context.Context) (*config.Document, appliance.Revision, error)
	PlanChange(ctx context.Context, c appliance.Change) (*plan.Plan, error)
	Apply(ctx context.Context, c appliance.Change) (*appliance.Operation, error)
	Operation(id string) (*appliance.Operation, error)
	Operations() []*appliance.Operation
	Revisions(ctx context.Context) ([]appliance.Revision, error)
	Revision(ctx context.Context, n int) (*config.Document, appliance.Revision, error)
	Status(ctx context.Context) (appliance.Status, error)
	Sessions(ctx context.Context) ([]engine.Session, error)
	CloseSession(ctx context.Context, id string) error
	Statistics(ctx context.Context) (engine.Statistics, error)
	Events(ctx context.Context, since int64) ([]appliance.Event, error)
	Subscribe(ctx context.Context, since int64) (<-chan appliance.Event, error)
	Note(e engine.Event)
	Images(ctx context.Context) ([]library.File, error)
	CopyImage(ctx context.Context, from, to, who string) (*appliance.Operation, error)
	ReceiveImage(ctx context.Context, fileSystem, name string, r io.Reader, length int64, sum, who string) (library.Received, error)
	DeleteImage(ctx context.Context, path string, destroy []string, who string) error
	Snapshots(ctx context.Context) ([]snapshot.Snapshot, error)
	TakeSnapshot(ctx context.Context, devices []string, name, who string) ([]snapshot.Snapshot, error)
	DeleteSnapshot(ctx context.Context, device, name string, destroy []string, who string) error
	NVMeControllers(ctx context.Context) (all []nvmet.Controller, known bool, err error)
	Links() ([]networking.Link, error)
	Unconfirmed() *appliance.Unconfirmed
	ConfirmNetwork(ctx context.Context, revision int, who string) error
	UndoNetwork(ctx context.Context, who string) error
	RestartNetwork(ctx context.Context) error
	Storage(ctx context.Context) (appliance.Storage, error)
	FileSystems(ctx context.Context) ([]appliance.FileSystem, error)
	FilesOn(ctx context.Context, name string) ([]appliance.StoredFile, error)
	TrimFileSystem(ctx context.Context, name string) (string, error)
	CheckFileSystem(ctx context.Context, name string) (filesystem.Examined, error)
	Encrypted(ctx context.Context) ([]appliance.Encrypted, error)
	Unlock(ctx context.Context, name string, passphrase []byte, mayMake bool) error
	Lock(ctx context.Context, name string) error
	RecoveryKey(ctx context.Context, name string) (string, error)
	LocateDisk(ctx context.Context, name string, on bool) error
	Arrays
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// description is the head of the OpenAPI description.
func description(version string) huma.Config {
	c := huma.DefaultConfig("ESOS", "1")
	c.Info.Description = "REST API of an Enterprise Storage OS array. Over its Unix socket the local root is an administrator, and users of an appliance have the roles of its document; " +
		"over TCP (TLS 1.3) a bearer token says who asks. Changes carry the ETag of what they are based on in If-Match. " +
		"They return an operation to follow."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Servers = []*huma.Server{{URL: "/", Description: "this array"}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "A token from POST /users/{name}/tokens, or a session's from POST /login."},
	}
	// Served by ourselves, to those who may see it. The pages that show it
	// load programs from elsewhere: not on an array.
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.Components.Schemas = registry()
	c.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat,
		"application/yaml": yamlFormat(), "yaml": yamlFormat()}
	c.RejectUnknownQueryParameters = true
	c.Transformers = append(c.Transformers, transformProblem)
	return c
}

// OpenAPI is the API's description, OpenAPI 3.1 in YAML.
func (s *Server) OpenAPI() ([]byte, error) { return s.huma.OpenAPI().YAML() }

// operation describes a route: it is what a role may do.
func operation(role Role, method, path, id, tag, summary string) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: v1.Prefix + path, Tags: []string{tag}, Summary: summary,
		Metadata:     map[string]any{roleKey: role},
		MaxBodyBytes: maxBody, BodyReadTimeout: time.Minute, Parameters: pathParameters(path),
	}
	if role > Nobody {
		op.Security = []map[string][]string{{"bearer": {}}}
		op.Description = "For " + role.String() + "s"
		if role < Admin {
			op.Description += " and above"
		}
		op.Description += "."
	}
	return op
}

const roleKey = "role"

// maxBody bounds what a request may take in memory; a document of a thousand
// devices has a quarter of a megabyte.
const maxBody = 8 << 20
