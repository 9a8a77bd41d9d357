package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// monitor is a connection to QEMU's control socket, which speaks QMP: a line
// of JSON for each command, answer and event.
type monitor struct {
	conn   net.Conn
	in     *bufio.Reader
	lastID int
	events []string // names of those that came while something else was awaited
}

const (
	maxMessage = 4 << 20
	maxEvents  = 1000

	// pressEvery is longer than a shutdown takes to begin.
	pressEvery = 20 * time.Second
)

// message is anything that QEMU sends: a greeting, an answer or an event.
type message struct {
	ID     int             `json:"id"`
	Return json.RawMessage `json:"return"`
	Event  string          `json:"event"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// Do has QEMU carry out a QMP command and returns its answer.
func (m *Machine) Do(ctx context.Context, command string, args map[string]any) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	answer, err := m.do(ctx, command, args)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", command, m.name, err)
	}
	return answer, nil
}

func (m *Machine) do(ctx context.Context, command string, args map[string]any) (json.RawMessage, error) {
	if err := m.connect(ctx); err != nil {
		return nil, err
	}
	answer, err := m.monitor.do(ctx, command, args)
	var refused *refusal
	if err != nil && !errors.As(err, &refused) {
		m.drop() // what comes next on it belongs to this command
	}
	return answer, err
}

// Unplug takes a drive off while the machine runs, as a hand pulls a stick: it
// returns when the device is gone. Only USB drives can be.
func (m *Machine) Unplug(ctx context.Context, drive int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.do(ctx, "device_del", map[string]any{"id": driveID(drive)})
	if err == nil {
		err = m.monitor.wait(ctx, "DEVICE_DELETED")
	}
	if err != nil {
		return fmt.Errorf("unplug drive %d of %s: %w", drive, m.name, err)
	}
	return nil
}

// PowerOff presses the power button until the guest has shut itself down: one
// that is still booting does not hear the first time.
func (m *Machine) PowerOff(ctx context.Context) error {
	for {
		if _, err := m.Do(ctx, "system_powerdown", nil); err != nil && !m.ended() {
			return err
		}
		select {
		case <-m.done:
			return m.Wait(ctx)
		case <-time.After(pressEvery):
		case <-ctx.Done():
			return m.failed(fmt.Errorf("press the power button of %s until it ends: %w", m.name, ctx.Err()))
		}
	}
}

func (m *Machine) ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// Reset presses the reset button. A machine without Reboots ends with it.
func (m *Machine) Reset(ctx context.Context) error {
	_, err := m.Do(ctx, "system_reset", nil)
	return err
}

func (m *Machine) monitorSocket() string { return filepath.Join(m.dir, m.name+".qmp") }

// connect makes the connection if there is none. QEMU makes the socket some
// milliseconds after its start.
func (m *Machine) connect(ctx context.Context) error {
	if m.monitor != nil {
		return nil
	}
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "unix", m.monitorSocket())
		if err == nil {
			mon := &monitor{conn: conn, in: bufio.NewReader(conn)}
			if err := mon.greet(ctx); err != nil {
				_ = conn.Close()
				return fmt.Errorf("greet QEMU: %w", err)
			}
			m.monitor = mon
			return nil
		}
		select {
		case <-m.done:
			return ErrEnded
		case <-ctx.Done():
			return fmt.Errorf("connect to QEMU: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (m *Machine) drop() {
	if m.monitor != nil {
		_ = m.monitor.conn.Close()
		m.monitor = nil
	}
}

func (m *Machine) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop()
}

// refusal is QEMU's answer to a command that it does not carry out.
type refusal struct{ class, text string }

func (r *refusal) Error() string { return r.text }

// greet reads the greeting and leaves negotiation mode (QMP specification 2.2).
func (mon *monitor) greet(ctx context.Context) error {
	defer mon.until(ctx)()
	if _, err := mon.read(); err != nil {
		return err
	}
	_, err := mon.exchange("qmp_capabilities", nil)
	return err
}

func (mon *monitor) do(ctx context.Context, command string, args map[string]any) (json.RawMessage, error) {
	defer mon.until(ctx)()
	answer, err := mon.exchange(command, args)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return answer, err
}

func (mon *monitor) exchange(command string, args map[string]any) (json.RawMessage, error) {
	mon.lastID++
	request := map[string]any{"execute": command, "id": mon.lastID}
	if args != nil {
		request["arguments"] = args
	}
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := mon.conn.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	for {
		msg, err := mon.read()
		switch {
		case err != nil:
			return nil, err
		case msg.Error != nil:
			return nil, &refusal{class: msg.Error.Class, text: msg.Error.Desc}
		case msg.ID == mon.lastID && msg.Return != nil:
			return msg.Return, nil
		}
	}
}

// wait returns when the event has come since the connection was made.
func (mon *monitor) wait(ctx context.Context, event string) error {
	defer mon.until(ctx)()
	for {
		for i, e := range mon.events {
			if e == event {
				mon.events = mon.events[i+1:]
				return nil
			}
		}
		if _, err := mon.read(); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return fmt.Errorf("wait for %s: %w", event, err)
		}
	}
}

// read returns the next message; events are remembered, too.
func (mon *monitor) read() (message, error) {
	line, err := readLine(mon.in, maxMessage)
	if err != nil {
		return message{}, err
	}
	var msg message
	if err := json.Unmarshal([]byte(line), &msg); err != nil {
		return message{}, fmt.Errorf("QEMU sent %.80q: %w", line, err)
	}
	if msg.Event != "" && len(mon.events) < maxEvents {
		mon.events = append(mon.events, msg.Event)
	}
	return msg, nil
}

// until ends reads and writes when ctx does; the function it returns ends
// that.
func (mon *monitor) until(ctx context.Context) func() {
	_ = mon.conn.SetDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { _ = mon.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}
