package network

import (
	"context"
	"os"
)

// temporary: not for the tree
func (a *array) swap(ctx context.Context) {
	file := os.Getenv("ESOS_SWAP")
	if file == "" {
		return
	}
	data, err := os.ReadFile(file)
	if err != nil {
		a.t.Fatal(err)
	}
	if out, err := a.r.Pipe(ctx, "cat >/usr/bin/esos.new && chmod 755 /usr/bin/esos.new && mv /usr/bin/esos.new /usr/bin/esos && systemctl restart esos.service && sleep 3", string(data)); err != nil {
		a.t.Fatal(out, err)
	}
}
