// Command probe confines itself and then tries what it must not be able to do.
// It prints what held, then a line for each attempt.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"

	"github.com/esos-project/esos/internal/engine/native/sandbox"
)

func main() {
	dir, outside := os.Args[1], os.Args[2]
	keep, err := os.OpenFile(outside, os.O_RDWR, 0)
	if err != nil {
		fmt.Println("setup:", err)
		os.Exit(1)
	}
	held, err := sandbox.Confine(sandbox.Confinement{Dir: dir, Files: 4096})
	if err != nil {
		fmt.Println("confine:", err)
		os.Exit(1)
	}
	fmt.Printf("held %q\n", held)
	try := func(name string, err error) { fmt.Printf("%s: %v\n", name, err == nil) }
	try("write-state", os.WriteFile("kept", []byte("x"), 0o600))
	try("rename-state", os.Rename("kept", "kept2"))
	_, err = os.ReadFile(outside)
	try("open-outside", err)
	_, err = keep.WriteAt([]byte("y"), 0)
	try("write-handed", err)
	try("truncate-handed", keep.Truncate(100))
	// Landlock does not see MPTCP, which Go listens with by default.
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	_, err = lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	try("listen", err)
	try("run-program", exec.Command("/bin/true").Run())
	fmt.Println("uid:", os.Getuid())
}
