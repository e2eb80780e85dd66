package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/client"
)

// move is what replay and drop have in common: both go through dead letters in steps.
type move struct {
	a      *app
	verb   string // replay
	done   string // replayed
	delete bool   // for good
	step   func(*client.Client, context.Context, admin.Filter) (client.Done, error)

	c      connection
	d      deadFlags
	all    bool
	yes    bool
	dryRun bool
	asJSON bool
}

func (a *app) replayCommand() *cobra.Command {
	m := &move{a: a, verb: "replay", done: "replayed", step: (*client.Client).Replay}
	return m.command(`Put dead letters back at the end of their lanes, in the order in which they died. They keep
their ids, and begin a new series of attempts. Name them by KEY, as webhook-repeater dead lists them, or by an id for all
messages of a request, or select them by flags. Named keys that exist are replayed; if any is missing,
the exit status is 1.`, `  webhook-repeater replay --lane http://jira.intranet:8080 --since 2h
  webhook-repeater replay --status 404 --dry-run
  webhook-repeater replay 33lik262mpis6tcbagamevpgl0.0
  webhook-repeater replay --all`)
}

func (a *app) dropCommand() *cobra.Command {
	m := &move{a: a, verb: "drop", done: "dropped", delete: true, step: (*client.Client).Drop}
	return m.command(`Delete dead letters for good. Name them by KEY, as webhook-repeater dead lists them, or by an id for all
messages of a request, or select them by flags. It asks first, unless --yes is given. Named keys that exist
are dropped; if any is missing, the exit status is 1.`, `  webhook-repeater drop --lane http://jira.intranet:8080 --until 2026-01-31 --dry-run
  webhook-repeater drop --status 410 --yes
  webhook-repeater drop 33lik262mpis6tcbagamevpgl0.0 --yes`)
}

func (m *move) command(long, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: m.verb + " [KEY...]", Short: m.short(), Long: long, Example: example,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              m.run,
	}
	m.d.flags(m.a, cmd, &m.c)
	fl := cmd.Flags()
	fl.BoolVar(&m.all, "all", false, "all dead letters of all lanes")
	fl.BoolVarP(&m.dryRun, "dry-run", "n", false, "only print how many are selected")
	if m.delete {
		fl.BoolVarP(&m.yes, "yes", "y", false, "do not ask")
	}
	fl.BoolVar(&m.asJSON, "json", false, "print what the API returns: how many were "+m.done)
	m.c.flags(cmd)
	return cmd
}

func (m *move) short() string {
	if m.delete {
		return "delete dead letters for good"
	}
	return "put dead letters back into their lanes"
}

func (m *move) run(cmd *cobra.Command, keys []string) error {
	switch meant := m.d.given(); {
	case len(keys) == 0 && !meant && !m.all:
		return misused("say which dead letters are meant: by KEY, by --lane, --status, --since or --until, or --all")
	case m.all && (meant || len(keys) > 0):
		return misused("--all contradicts what else is said of which dead letters are meant")
	case m.delete && !m.yes && !m.dryRun && !onTerminal(m.a.in):
		return misused("it deletes for good, and nobody is there to be asked; add --yes")
	}
	ctx := cmd.Context()
	cl, err := m.c.dial()
	if err != nil {
		return err
	}
	f, err := m.d.filter(ctx, cl, m.a.now())
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return m.move(ctx, cl, f)
	}
	var missing []string
	if f.Keys, missing, err = allKeys(ctx, cl, keys); err != nil {
		return err
	}
	if len(f.Keys) == 0 {
		return noLetters(missing)
	}
	if len(missing) == 0 {
		return m.move(ctx, cl, f)
	}
	// What is missing is no reason to leave the others.
	fmt.Fprintf(m.a.err, "webhook-repeater: %v\n", clean(noLetters(missing).Error()))
	if err := m.move(ctx, cl, f); err != nil {
		return err
	}
	return exit(exitFailed)
}

// move does it to what the filter means, or only tells.
func (m *move) move(ctx context.Context, cl *client.Client, f admin.Filter) (err error) {
	if m.delete && f.To.IsZero() {
		f.To = m.a.now() // what dies from now on was not counted
	}
	total := -1
	if m.dryRun || m.delete && !m.yes || onTerminal(m.a.err) {
		if total, err = countDead(ctx, cl, f); err != nil {
			return err
		}
	}
	if m.dryRun {
		return m.tellDry(total)
	}
	if m.delete && !m.yes && total > 0 {
		if err := m.a.confirm(ctx, fmt.Sprintf("Delete %s for good?", letters(total))); err != nil {
			return err
		}
	}
	return m.steps(ctx, cl, f, total)
}

// allKeys takes ids for all dead messages of a request. What is no dead letter is missing.
func allKeys(ctx context.Context, cl *client.Client, args []string) (keys, missing []string, err error) {
	var named []string
	for _, arg := range args {
		if _, _, ok := admin.SplitKey(arg); ok {
			named = append(named, arg)
			continue
		}
		messages, err := cl.Explain(ctx, arg)
		if err != nil && !client.IsNotFound(err) {
			return nil, nil, err
		}
		n := len(keys)
		for i := range messages {
			if messages[i].Status == admin.Dead {
				keys = append(keys, key(&messages[i]))
			}
		}
		if len(keys) == n {
			missing = append(missing, arg)
		}
	}
	there, err := deadAmong(ctx, cl, named)
	for _, k := range named {
		id, dest, _ := admin.SplitKey(k)
		if there[repeater.Key{ID: id, Dest: dest}] {
			keys = append(keys, k)
		} else {
			missing = append(missing, k)
		}
	}
	return keys, missing, err
}

// keysAtOnce fit into the address of a request.
const keysAtOnce = 100

// deadAmong looks which keys are those of dead letters, in the list of these: a story is not told by every store.
func deadAmong(ctx context.Context, cl *client.Client, keys []string) (map[repeater.Key]bool, error) {
	there := make(map[repeater.Key]bool)
	for some := range slices.Chunk(keys, keysAtOnce) {
		_, err := eachDead(ctx, cl, admin.Filter{Keys: some}, 0, func(page []admin.Message) {
			for i := range page {
				there[repeater.Key{ID: page[i].ID, Dest: page[i].Dest}] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return there, nil
}

func noLetters(missing []string) error {
	quoted := make([]string, len(missing))
	for i, k := range missing {
		quoted[i] = strconv.Quote(k)
	}
	what := "is no dead letter "
	if len(missing) > 1 {
		what = "are no dead letters "
	}
	return errors.New("there " + what + strings.Join(quoted, ", ") + "; webhook-repeater dead lists them")
}

// countDead asks for no more than it must.
func countDead(ctx context.Context, cl *client.Client, f admin.Filter) (n int, err error) {
	_, err = eachDead(ctx, cl, f, 0, func(page []admin.Message) { n += len(page) })
	return n, err
}

func (m *move) tellDry(total int) error {
	if m.asJSON {
		return m.a.json(map[string]any{"done": 0, "meant": total})
	}
	fmt.Fprintf(m.a.out, "%s would be %s.\n", letters(total), m.done)
	return nil
}

// stepSize lets a progress bar move, and each step be short.
func stepSize(total int) int {
	return min(max(total/20, 1000), client.StepMost)
}

// steps goes on until nothing is left or the user has had enough. A step that has begun is waited for,
// so that what was done is known.
func (m *move) steps(ctx context.Context, cl *client.Client, f admin.Filter, total int) error {
	f.Max = stepSize(total)
	bar := m.a.newProgress(m.verb, total)
	var sum client.Done
	for {
		d, err := m.step(cl, context.WithoutCancel(ctx), f)
		sum.Done, sum.More, sum.To = sum.Done+d.Done, d.More, d.To
		if err != nil {
			bar.end()
			return fmt.Errorf("%s were %s, then: %w", letters(sum.Done), m.done, err)
		}
		bar.show(sum.Done)
		if !d.More {
			break
		}
		if ctx.Err() != nil {
			bar.end()
			_ = m.tell(sum)
			fmt.Fprintf(m.a.err, "webhook-repeater: interrupted; the same command goes on with the rest\n")
			return exit(exitFailed)
		}
		f.To = d.To
	}
	bar.end()
	return m.tell(sum)
}

func (m *move) tell(sum client.Done) error {
	if m.asJSON {
		return m.a.json(sum)
	}
	if sum.Done == 0 {
		fmt.Fprintln(m.a.out, "There are no such dead letters.")
		return nil
	}
	fmt.Fprintf(m.a.out, "%s %s.\n", letters(sum.Done), m.done)
	return nil
}
