package storagefake

import (
	"context"
	"io/fs"

	"github.com/esos-project/esos/internal/host"
)

// Run runs a program, as somebody at the console does.
func (m *Machine) Run(name string, args ...string) error {
	_, err := m.Input(name, "", args...)
	return err
}

// Input is Run with something to read for the program.
func (m *Machine) Input(name, input string, args ...string) (string, error) {
	out, err := m.Output(context.Background(), host.Call{Name: name, Args: args, Input: input})
	return string(out), err
}

// Mode is who may read a file that was saved.
func (m *Machine) Mode(p string) fs.FileMode {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.modes[p]
}
