package vm

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ShellPort is the name of the virtio serial port that a guest's agent serves
// scripts on; the guest finds it as /dev/virtio-ports/ShellPort.
const ShellPort = "org.esos.shell"

// maxAnswer bounds one answer of the agent: its output comes base64 in a line.
const maxAnswer = 8 << 20

// Shell runs scripts in a guest. The agent behind it is a loop of a dozen
// lines of shell (see AgentScript); scripts run one after another.
type Shell struct {
	mu     sync.Mutex
	conn   net.Conn
	in     *bufio.Reader
	lastID int
	broken error
}

// AgentScript is the guest's end: it must run with a POSIX shell and base64
// (busybox has both). A request is "ID BASE64(script)", an answer
// "ID EXITCODE BASE64(output)", one line each.
const AgentScript = `port=$(grep -lx ` + ShellPort + ` /sys/class/virtio-ports/*/name)
port=${port%/name}
exec 3<>/dev/${port##*/}
while :; do # the port reads as ended while nobody is connected
	while read -r id script <&3; do
		[ -n "$script" ] || continue
		printf %s "$script" | base64 -d >/run/agent.sh
		sh /run/agent.sh >/run/agent.out 2>&1 </dev/null 3>&-
		printf '%s %s %s\n' "$id" "$?" "$(base64 /run/agent.out | tr -d '\n')" >&3
	done
	sleep 0.2
done
`

// Shell connects to the guest's agent. The guest may still be booting: the
// first Run waits for it.
func (m *Machine) Shell(ctx context.Context) (*Shell, error) {
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "unix", m.shellSocket())
		if err == nil {
			return &Shell{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
		}
		// QEMU makes the socket some milliseconds after its start.
		select {
		case <-m.done:
			return nil, m.failed(fmt.Errorf("connect to the shell of %s: %w", m.name, ErrEnded))
		case <-ctx.Done():
			return nil, m.failed(fmt.Errorf("connect to the shell of %s: %w", m.name, err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ExitError is a script that ended with another status than 0.
type ExitError struct {
	Script string
	Status int
	Output string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: exit status %d\n%s", strings.TrimSpace(e.Script), e.Status, e.Output)
}

// Run runs a script in the guest and returns what it printed, standard output
// and error together. An *ExitError tells of a status other than 0. When ctx
// ends first the script goes on in the guest, and the shell is of no more use.
func (s *Shell) Run(ctx context.Context, script string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return "", fmt.Errorf("run in the guest: an earlier script broke the shell: %w", s.broken)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	s.lastID++
	out, status, err := s.exchange(s.lastID, script)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		s.broken = err
		return "", fmt.Errorf("run in the guest: %s: %w", strings.TrimSpace(script), err)
	}
	if status != 0 {
		return out, &ExitError{Script: script, Status: status, Output: out}
	}
	return out, nil
}

func (s *Shell) exchange(id int, script string) (string, int, error) {
	request := strconv.Itoa(id) + " " + base64.StdEncoding.EncodeToString([]byte(script)) + "\n"
	if _, err := io.WriteString(s.conn, request); err != nil {
		return "", 0, err
	}
	line, err := readLine(s.in, maxAnswer)
	if err != nil {
		return "", 0, err
	}
	return parseAnswer(line, id)
}

func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return string(line), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		if len(line) > limit {
			return "", fmt.Errorf("answer of more than %d bytes", limit)
		}
	}
}

func parseAnswer(line string, id int) (string, int, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != strconv.Itoa(id) {
		return "", 0, fmt.Errorf("answer %.80q does not belong to request %d", line, id)
	}
	status, err := strconv.Atoi(fields[1])
	if err != nil {
		return "", 0, fmt.Errorf("answer %.80q: exit status: %w", line, err)
	}
	if len(fields) == 2 {
		return "", status, nil
	}
	out, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return "", 0, fmt.Errorf("answer %.80q: output: %w", line, err)
	}
	return string(out), status, nil
}

// Close closes the connection; the guest's agent goes on.
func (s *Shell) Close() error { return s.conn.Close() }
