package upkeep

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/lio"
	"github.com/esos-project/esos/internal/engine/native"
	"github.com/esos-project/esos/internal/engine/scst"
)

// TestAbilities: what is said of the engines is what they say themselves.
func TestAbilities(t *testing.T) {
	t.Parallel()
	for name, supports := range map[string]func(*config.Document) []error{"native": native.Supports, "lio": lio.Supports, "scst": scst.Supports} {
		can := abilityOf(name)
		for _, h := range []config.Handler{config.FileIO, config.BlockIO, config.NullIO, config.Memory, config.CDROM, config.PassDisk, config.PassTape,
			config.PassChanger, config.PassCDROM, config.PassMODisk, config.PassProcessor, config.PassRAID} {
			d := config.Device{Name: "d", Handler: h, Identity: config.Identity{Serial: "12345678", NAA: "60014051234567800000000000000000"}}
			switch {
			case h.PassThrough():
				d.Path, d.Identity = "0:0:1:0", config.Identity{}
			case h == config.BlockIO:
				d.Path = "/dev/sdb"
			case h == config.FileIO:
				d.Path, d.Size = "d.img", 1<<30
			case h != config.CDROM:
				d.Size = 1 << 30
			}
			said := false
			for _, have := range can.handlers {
				said = said || have == h
			}
			if errs := supports(&config.Document{Devices: []config.Device{d}}); said != (len(errs) == 0) {
				t.Errorf("%s: it is said to have %s: %v; it says itself: %v", name, h, said, errs)
			}
		}
		for driver, target := range map[config.Driver]string{config.DriverISCSI: "iqn.2026-11.com.example:a", config.DriverSRP: "fe80:0000:0000:0000:0002:c903:0005:f34b",
			config.DriverFC: "21:00:00:24:ff:05:7b:1a", config.DriverFCoE: "21:00:00:24:ff:05:7b:1a", config.DriverLocal: "naa.5001405e1b2a3c4d"} {
			said := strings.Contains(strings.Join(can.transports(), ","), driver.Human())
			errs := supports(&config.Document{Targets: []config.Target{{Name: target, Driver: driver}}})
			if said != (len(errs) == 0) {
				t.Errorf("%s: it is said to have %s: %v; it says itself: %v", name, driver, said, errs)
			}
		}
		errs := supports(&config.Document{ISCSI: config.ISCSI{Portals: []config.Portal{{Name: "p", Address: "192.0.2.1:3260", ISER: true}}}})
		if can.iser != (len(errs) == 0) {
			t.Errorf("%s: it is said to have iSER: %v; it says itself: %v", name, can.iser, errs)
		}
	}
}
