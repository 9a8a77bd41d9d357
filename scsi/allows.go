package scsi

// Allows says whether p's reservations, access state and write protection
// would let a command of access a through now. A third party copy asks this of
// the units that it reads and writes for its initiator, beside the one that
// it was sent to.
func (p *Path) Allows(a Access) bool {
	gate := p.gate.Load()
	switch {
	case gate&gateGone != 0:
		return false
	case gate&gateReservation != 0 && conflicts(a, gate):
		return false
	case gate&gateState != 0 && notReady(a, gate) != 0:
		return false
	}
	return gate&gateReadOnly == 0 || a&WritesMedium == 0
}
