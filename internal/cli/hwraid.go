package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/hwraid"
	"github.com/esos-project/esos/internal/image/raidcli"
)

// controllers are those that one vendor's program speaks to.
type controllers interface {
	Controllers(ctx context.Context) ([]hwraid.Controller, error)
	AddVolume(ctx context.Context, controller int, v hwraid.NewVolume) error
	RemoveVolume(ctx context.Context, controller, volume int) error
	AddSpare(ctx context.Context, controller int, place string) error
	RemoveSpare(ctx context.Context, controller int, place string) error
}

// adapters make the adapters of the programs that there are some for.
func adapters() map[string]func(path string) controllers {
	storcli := func(name, word string) func(string) controllers {
		return func(path string) controllers {
			return hwraid.Storcli{Name: name, Path: path, Word: word, Run: host.Linux{}}
		}
	}
	return map[string]func(string) controllers{
		"storcli64": storcli("storcli64", "mega"),
		"perccli64": storcli("perccli64", "perc"),
		"arcconf": func(path string) controllers {
			return hwraid.Arcconf{Path: path, Word: "arc", Run: host.Linux{}}
		},
	}
}

// hardwareRAID is about the RAID controllers of the machine that it runs on. It
// asks the daemon only who uses a volume that is to go.
func (a *app) hardwareRAID() *cobra.Command {
	c := &cobra.Command{
		Use: "hwraid", Short: "Volumes and hot spares of hardware RAID controllers",
		Long: `Volumes and hot spares of the hardware RAID controllers in this machine, through
their vendors' programs (esos raid-cli): storcli64, perccli64 and arcconf. A volume is
a disk to this machine, and can be used as any other (esos disk list).`,
	}
	h := &hardware{app: a}
	c.PersistentFlags().StringVar(&h.root, "root", "/", "`directory` of the system that the programs are in")
	c.AddCommand(h.listCommand(), h.addVolumeCommand(), h.removeVolumeCommand(),
		h.spareCommand("add-spare", "Make a drive a hot spare", `Make a free drive a hot spare: it takes the place of one that fails in any volume of
its controller, by itself.`, hwraid.Controller.CheckFree, controllers.AddSpare, "stands by"),
		h.spareCommand("remove-spare", "Make a hot spare a free drive again", "", hwraid.Controller.CheckSpare, controllers.RemoveSpare, "is free"))
	return c
}

// hardware is what the commands share.
type hardware struct {
	*app
	root string
}

// hardwareState is what `esos hwraid list` tells in JSON and YAML.
type hardwareState struct {
	Programs    []hardwareProgram   `json:"programs"`
	Controllers []hwraid.Controller `json:"controllers"`
}

// hardwareProgram is a vendor's program that is here, and that there is an
// adapter for.
type hardwareProgram struct {
	Name  string `json:"name"`
	Error string `json:"error,omitempty"` // why it cannot be asked
}

// read asks all programs. Two of them may know the same controller: the first
// one has it.
func (h *hardware) read(ctx context.Context) (hardwareState, map[string]controllers, error) {
	now, of := hardwareState{Programs: []hardwareProgram{}, Controllers: []hwraid.Controller{}}, map[string]controllers{}
	if h.url != "" || h.socket == "" && os.Getenv("ESOS_API") != "" {
		return now, nil, usageError{errors.New("esos hwraid is about the controllers of the machine that it runs on: run it there, without --api")}
	}
	programs, err := raidcli.List(h.root)
	if err != nil {
		return now, nil, err
	}
	make, serials := adapters(), map[string]string{} // which program has which
	for _, p := range programs {
		if !p.Installed || make[p.Name] == nil {
			continue
		}
		program := make[p.Name](filepath.Join(h.root, p.Dir, p.Name))
		list, err := program.Controllers(ctx)
		one := hardwareProgram{Name: p.Name}
		if err != nil {
			one.Error = err.Error()
		}
		now.Programs = append(now.Programs, one)
		for _, c := range list {
			if by := serials[c.Model+" "+c.Serial]; by != "" && by != p.Name {
				continue
			}
			serials[c.Model+" "+c.Serial] = p.Name
			now.Controllers, of[c.ID] = append(now.Controllers, c), program
		}
	}
	return now, of, nil
}

// find finds a controller by its ID, or by its number if only one has that.
func (h *hardware) find(ctx context.Context, name string) (hwraid.Controller, controllers, error) {
	now, of, err := h.read(ctx)
	if err != nil {
		return hwraid.Controller{}, nil, err
	}
	var found []hwraid.Controller
	for _, c := range now.Controllers {
		if c.ID == name {
			return c, of[c.ID], nil
		}
		if strconv.Itoa(c.Number) == name {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], of[found[0].ID], nil
	case len(found) > 1:
		return hwraid.Controller{}, nil, usageError{fmt.Errorf("%d controllers have the number %s: write %s or %s", len(found), name, found[0].ID, found[1].ID)}
	}
	for _, p := range now.Programs {
		if p.Error != "" {
			return hwraid.Controller{}, nil, errors.New(p.Error)
		}
	}
	if len(now.Programs) == 0 {
		return hwraid.Controller{}, nil, notFound(errors.New(noProgram))
	}
	return hwraid.Controller{}, nil, notFound(fmt.Errorf("there is no controller %q; 'esos hwraid list' shows those that are there", name))
}

const noProgram = "no program that speaks to RAID controllers is here: put in that of the controller's vendor, storcli64, perccli64 or arcconf (esos raid-cli add)"

func (h *hardware) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List controllers, their drives and volumes", Args: cobra.NoArgs,
		Long: `List the controllers, their volumes and drives: in which state each is, and why a
drive cannot be chosen for something new.`,
		RunE: func(c *cobra.Command, _ []string) error {
			now, _, err := h.read(c.Context())
			if err != nil {
				return err
			}
			if h.output == asTable {
				for _, p := range now.Programs {
					if p.Error != "" {
						fmt.Fprintf(h.err, "warning: %s\n", clean(p.Error))
					}
				}
				if len(now.Programs) == 0 {
					fmt.Fprintln(h.err, noProgram)
				}
			}
			return h.print(now, func(t *table) {
				t.head("controller", "object", "is", "size", "state", "model", "serial", "note")
				for _, c := range now.Controllers {
					note := c.Why
					if note == "" && c.Firmware != "" {
						note = "firmware " + c.Firmware
					}
					t.row(c.ID, "", "controller", "", c.State, c.Model, c.Serial, note)
					for _, v := range c.Volumes {
						t.row(c.ID, fmt.Sprintf("volume %d", v.Number), volumeIs(v), v.Size, v.State, v.Disk, "", strings.Join(v.Drives, " "))
					}
					for _, d := range c.Drives {
						t.row(c.ID, d.Place, d.Interface+" "+d.Medium, d.Size, d.State, d.Model, d.Serial, d.Why)
					}
				}
			})
		},
	}
}

// volumeIs is a volume's level and caches.
func volumeIs(v hwraid.Volume) string {
	s := strings.TrimSpace(v.Level + " " + v.WriteCache)
	if v.ReadAhead {
		s += " read-ahead"
	}
	return s
}

func (h *hardware) addVolumeCommand() *cobra.Command {
	v := hwraid.NewVolume{}
	dry := false
	c := &cobra.Command{
		Use: "add-volume CONTROLLER", Short: "Make drives into a volume", Args: cobra.ExactArgs(1),
		Long: `Make free drives of a controller into a volume, which is then among the disks of this
machine. Level 0 takes 1 drive or more, 1 takes 2, 5 takes 3 or more, 6 takes 4 or
more, 10 an even number from 4 on.

With --write-cache wb the controller says that it has written what is still in its
memory: only for a controller whose memory outlives a loss of power (a battery, a
capacitor).`,
		Example: "  esos hwraid add-volume mega0 --level 5 --drive 252:0,252:1,252:2\n  esos hwraid add-volume mega0 --level 1 --drive 252:3 --drive 252:4 --write-cache wb --read-ahead",
		RunE: func(c *cobra.Command, args []string) error {
			if v.Level == "" || len(v.Drives) == 0 {
				return usageError{errors.New("say of what: --level and --drive are needed")}
			}
			on, program, err := h.find(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := on.Check(v); err != nil {
				return h.wrong(err)
			}
			what := fmt.Sprintf("a volume of RAID %s on controller %s, of the drives %s", v.Level, on.ID, strings.Join(v.Drives, ", "))
			if dry {
				fmt.Fprintf(h.notes(), "would make %s; nothing was changed\n", what)
				return nil
			}
			if err := program.AddVolume(c.Context(), on.Number, v); err != nil {
				return err
			}
			fmt.Fprintf(h.notes(), "made %s\n", what)
			h.tellNew(c.Context(), program, on)
			return nil
		},
	}
	c.Flags().StringVar(&v.Level, "level", "", "RAID `level`: "+strings.Join(hwraid.Levels(), ", "))
	c.Flags().StringSliceVar(&v.Drives, "drive", nil, "`place` of a drive, ENCLOSURE:SLOT (more than once, or with commas)")
	c.Flags().StringVar(&v.WriteCache, "write-cache", hwraid.WriteThrough, "`mode` of the write cache: wt (write-through) or wb (write-back)")
	c.Flags().BoolVar(&v.ReadAhead, "read-ahead", false, "read more than is asked for, for streams")
	c.Flags().BoolVarP(&dry, "dry-run", "n", false, "check it and change nothing")
	return c
}

// wrong gives an error of a check its exit code.
func (*hardware) wrong(err error) error {
	var gone *hwraid.NotThereError
	if errors.As(err, &gone) {
		return notFound(err)
	}
	return codeError{err, exitInvalid}
}

// tellNew tells which volumes a controller has that it did not have before. The
// volume is there, whatever comes of that.
func (h *hardware) tellNew(ctx context.Context, program controllers, before hwraid.Controller) {
	now, err := program.Controllers(ctx)
	if err != nil {
		fmt.Fprintf(h.err, "warning: %s\n", clean(err.Error()))
		return
	}
	for _, c := range now {
		if c.ID != before.ID {
			continue
		}
		for _, v := range c.Volumes {
			if _, err := before.Volume(v.Number); err != nil {
				fmt.Fprintf(h.notes(), "it is volume %d, %s, %s %s\n", v.Number, v.State, v.Size, v.Disk)
			}
		}
	}
}

// spareCommand makes a command about one drive.
func (h *hardware) spareCommand(use, short, long string, check func(hwraid.Controller, string) error,
	do func(controllers, context.Context, int, string) error, done string) *cobra.Command {
	if long == "" {
		long = short + "."
	}
	return &cobra.Command{
		Use: use + " CONTROLLER DRIVE", Short: short, Long: long, Args: cobra.ExactArgs(2),
		Example: "  esos hwraid " + use + " mega0 252:6",
		RunE: func(c *cobra.Command, args []string) error {
			on, program, err := h.find(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := check(on, args[1]); err != nil {
				return h.wrong(err)
			}
			if err := do(program, c.Context(), on.Number, args[1]); err != nil {
				return err
			}
			fmt.Fprintf(h.notes(), "drive %s of controller %s %s\n", args[1], on.ID, done)
			return nil
		},
	}
}
