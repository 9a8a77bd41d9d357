package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

type nvmeConnectionsOutput struct {
	Body v1.NVMeConnections
}

// nvme are the routes of what is served over NVMe-oF.
func (s *Server) nvme() {
	register(s, collection[config.NVMePort]{
		path: "/nvme/ports", tag: "NVMe", one: "NVMePort", word: "NVMe port", role: Operator,
		list:   func(doc *config.Document, _ place) ([]config.NVMePort, error) { return doc.NVMe.Ports, nil },
		find:   func(doc *config.Document, p place) (*config.NVMePort, error) { return doc.FindNVMePort(p.name) },
		name:   func(v *config.NVMePort) string { return v.Name },
		add:    func(doc *config.Document, _ place, v config.NVMePort) error { return doc.AddNVMePort(v) },
		remove: func(doc *config.Document, p place) error { return doc.RemoveNVMePort(p.name) },
	})
	register(s, collection[config.NVMeSubsystem]{
		path: "/nvme/subsystems", tag: "NVMe", one: "NVMeSubsystem", word: "NVMe subsystem", role: Operator,
		list: func(doc *config.Document, _ place) ([]config.NVMeSubsystem, error) { return doc.NVMe.Subsystems, nil },
		find: func(doc *config.Document, p place) (*config.NVMeSubsystem, error) {
			return doc.FindNVMeSubsystem(p.name)
		},
		name:   func(v *config.NVMeSubsystem) string { return v.NQN },
		add:    func(doc *config.Document, _ place, v config.NVMeSubsystem) error { return doc.AddNVMeSubsystem(v) },
		remove: func(doc *config.Document, p place) error { return doc.RemoveNVMeSubsystem(p.name) },
	})
	register(s, collection[config.NVMeHost]{
		path: "/nvme/subsystems/{subsystem}/hosts", tag: "NVMe", one: "NVMeHost", word: "host of an NVMe subsystem", role: Operator,
		list: func(doc *config.Document, p place) ([]config.NVMeHost, error) {
			sub, err := doc.FindNVMeSubsystem(p.subsystem)
			if err != nil {
				return nil, err
			}
			return sub.Hosts, nil
		},
		find: func(doc *config.Document, p place) (*config.NVMeHost, error) {
			return doc.FindNVMeHost(p.subsystem, p.name)
		},
		name:   func(v *config.NVMeHost) string { return v.NQN },
		add:    func(doc *config.Document, p place, v config.NVMeHost) error { return doc.AddNVMeHost(p.subsystem, v) },
		remove: func(doc *config.Document, p place) error { return doc.RemoveNVMeHost(p.subsystem, p.name) },
	})
	register(s, namespaces())
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/nvme/connections", "listNVMeConnections", "NVMe", "List the NVMe hosts that are connected"),
		func(ctx context.Context, _ *nothing) (*nvmeConnectionsOutput, error) {
			doc, _, err := s.document(ctx)
			if err != nil {
				return nil, err
			}
			all, known, err := s.app.NVMeControllers(ctx)
			if err != nil {
				return nil, answer(err)
			}
			names := map[int]string{}
			for _, p := range doc.NVMe.Ports {
				names[p.ID] = p.Name
			}
			out := v1.NVMeConnections{Known: known, Connections: []v1.NVMeConnection{}}
			for _, c := range all {
				port, ok := names[c.Port]
				if !ok {
					port = strconv.Itoa(c.Port)
				}
				out.Connections = append(out.Connections, v1.NVMeConnection{Subsystem: c.Subsystem, Controller: c.ID, Host: c.Host, Address: c.Address, Port: port, State: c.State})
			}
			return &nvmeConnectionsOutput{out}, nil
		})
}

// namespaces are those of a subsystem, by their numbers.
func namespaces() collection[config.NVMeNamespace] {
	find := func(doc *config.Document, p place) (*config.NVMeNamespace, error) {
		nsid, err := strconv.Atoi(p.name)
		if err != nil {
			return nil, fmt.Errorf("namespace %q of NVMe subsystem %s: %w", p.name, p.subsystem, config.ErrNotFound)
		}
		return doc.FindNVMeNamespace(p.subsystem, nsid)
	}
	return collection[config.NVMeNamespace]{
		path: "/nvme/subsystems/{subsystem}/namespaces", tag: "NVMe", one: "NVMeNamespace", word: "namespace of an NVMe subsystem", role: Operator,
		list: func(doc *config.Document, p place) ([]config.NVMeNamespace, error) {
			sub, err := doc.FindNVMeSubsystem(p.subsystem)
			if err != nil {
				return nil, err
			}
			return sub.Namespaces, nil
		},
		find: find,
		name: func(v *config.NVMeNamespace) string { return strconv.Itoa(v.NSID) },
		add: func(doc *config.Document, p place, v config.NVMeNamespace) error {
			return doc.AddNVMeNamespace(p.subsystem, v)
		},
		remove: func(doc *config.Document, p place) error {
			ns, err := find(doc, p)
			if err != nil {
				return err
			}
			return doc.RemoveNVMeNamespace(p.subsystem, ns.NSID)
		},
	}
}
