package vm

import "fmt"

// Card is a further network card of the guest, at one end of a cable. Two
// machines of one host with the two ends of a cable see each other and nobody
// else.
type Card struct {
	MAC string
	// Cable is the path of the cable, which both ends name; the sockets that it
	// is made of are beside it. It must be short, as Config.Dir.
	Cable string
	End   int // 0 or 1
}

// cardArgs puts the guest's cards onto their cables. A frame is one datagram;
// what is sent while the other machine is off is lost, as with a real cable.
func cardArgs(cards []Card) []string {
	var args []string
	for i, c := range cards {
		id := fmt.Sprintf("card%d", i)
		args = append(args,
			"-netdev", fmt.Sprintf("dgram,id=%s,local.type=unix,local.path=%s.%d,remote.type=unix,remote.path=%s.%d", id, c.Cable, c.End&1, c.Cable, 1-c.End&1),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=%s,mac=%s,romfile=", id, c.MAC))
	}
	return args
}
