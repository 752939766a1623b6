package top

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/grange-network/grange/internal/cliout"
)

// refresh is how often the screen asks.
const refresh = 3 * time.Second

var (
	bold   = lipgloss.NewStyle().Bold(true)
	dim    = lipgloss.NewStyle().Faint(true)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	poor   = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	accent = lipgloss.NewStyle().Foreground(lipgloss.Color("6"))
)

// Model is the screen. Feed it messages; it asks through read.
type Model struct {
	read          func(context.Context) (Picture, error)
	ctx           context.Context //nolint:containedctx // bubbletea's commands take none
	now           func() time.Time
	owner         string
	picture       *Picture
	at            time.Time // of the picture
	problem       string    // why there is no newer one
	width, height int
	first         int  // device shown first
	once          bool // no screen: nobody presses keys
}

// New is a screen over a source.
func New(ctx context.Context, s *Source) Model {
	return Model{read: s.Read, ctx: ctx, now: time.Now, owner: s.owner, width: 80, height: 24}
}

type answered struct {
	picture Picture
	err     error
	at      time.Time
}

type again struct{}

// Init asks for the first picture.
func (m Model) Init() tea.Cmd { return m.ask }

func (m Model) ask() tea.Msg {
	p, err := m.read(m.ctx)
	return answered{p, err, m.now()}
}

// Update takes keys, sizes and answers.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case answered:
		m.problem = ""
		if msg.err != nil {
			m.problem = msg.err.Error() // the last picture stays
		} else {
			m.picture, m.at = &msg.picture, msg.at
		}
		return m, tea.Tick(refresh, func(time.Time) tea.Msg { return again{} })
	case again:
		return m, m.ask
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "esc", "ctrl+c":
			return m, tea.Quit
		case "down", "j":
			m.first++
		case "up", "k":
			m.first = max(0, m.first-1)
		case "home", "g":
			m.first = 0
		}
	}
	if m.picture != nil {
		m.first = min(m.first, max(0, len(m.picture.Devices)-1))
	}
	return m, nil
}

// View draws the screen.
func (m Model) View() tea.View {
	v := tea.NewView(m.text())
	v.AltScreen = true
	v.WindowTitle = "grange top"
	return v
}

func (m Model) text() string {
	if m.picture == nil {
		if m.problem != "" {
			return poor.Render("No answer yet: ") + plain(m.problem) + "\n" + dim.Render("asking again; q ends")
		}
		return "Asking the explorer…\n" + dim.Render("q ends")
	}
	lines := append(m.head(), "")
	lines = append(lines, m.totals()...)
	bottom := m.problems()
	room := max(1, m.height-len(lines)-len(bottom)-3)
	lines = append(lines, "")
	lines = append(lines, m.devices(room)...)
	lines = append(lines, bottom...)
	for i := range lines {
		lines[i] = lipgloss.NewStyle().MaxWidth(max(20, m.width)).Render(lines[i])
	}
	return strings.Join(lines, "\n")
}

func (m Model) head() []string {
	s := m.picture.Status
	who := "all providers"
	if m.owner != "" {
		who = m.owner
	}
	line := bold.Render("grange top") + "  " + accent.Render(plain(s.Chain)) + "  block " + strconv.FormatInt(s.Height, 10)
	if s.Epoch != nil {
		line += fmt.Sprintf("  epoch %d %s", s.Epoch.Number, plain(s.Epoch.Status))
		if s.Epoch.Ends != nil {
			line += ", ends in " + max(0, s.Epoch.Ends.Sub(m.now())).Round(time.Second).String()
		}
	}
	keys := "   ↑↓ scroll   q end"
	if m.once {
		keys = ""
	}
	out := []string{line, dim.Render(plain(who) + keys)}
	switch {
	case m.problem != "":
		out = append(out, poor.Render(fmt.Sprintf("as of %s ago: ", m.now().Sub(m.at).Round(time.Second)))+plain(m.problem))
	case s.Index.Message != nil:
		out = append(out, poor.Render(plain(*s.Index.Message)))
	case s.Index.State != "following":
		out = append(out, dim.Render("the index is "+plain(strings.ReplaceAll(s.Index.State, "_", " "))))
	}
	return out
}

// totals add up what is shown.
func (m Model) totals() []string {
	p := m.picture
	net, slashed := new(big.Int), new(big.Int)
	proven, faulted := 0, 0
	for _, d := range p.Devices {
		sum(net, d.Net)
		sum(slashed, d.Slashed)
		if d.Outcome != nil && *d.Outcome == "proven" {
			proven++
		}
		if d.Outcome != nil && *d.Outcome == "faulted" {
			faulted++
		}
	}
	open, grace := 0, 0
	for _, l := range p.Leases {
		switch l.State {
		case "open":
			open++
		case "grace":
			grace++
		}
	}
	health := good.Render(fmt.Sprintf("%d proven", proven))
	if faulted > 0 {
		health += "  " + poor.Render(fmt.Sprintf("%d faulted", faulted))
	}
	line := bold.Render("Earned ") + cliout.Credits(net.Uint64()) + "   " + bold.Render("Leases ") + fmt.Sprintf("%d open", open)
	if grace > 0 {
		line += "  " + poor.Render(fmt.Sprintf("%d in grace", grace))
	}
	line += "   " + bold.Render("Devices ") + strconv.Itoa(len(p.Devices)) + "  " + health
	if slashed.Sign() > 0 {
		line += "   " + poor.Render("slashed "+cliout.Grains(slashed.Uint64()))
	}
	return append([]string{line}, m.lastEpochs())
}

// lastEpochs draws the earnings of the newest epochs, oldest first.
func (m Model) lastEpochs() string {
	const bars = "▁▂▃▄▅▆▇█"
	sums := map[int64]*big.Int{}
	newest := int64(0)
	for _, r := range m.picture.Rewards {
		if sums[r.Epoch] == nil {
			sums[r.Epoch] = new(big.Int)
		}
		sum(sums[r.Epoch], r.Net)
		newest = max(newest, r.Epoch)
	}
	if newest == 0 {
		return dim.Render("nothing was paid yet")
	}
	most := big.NewInt(1)
	from := max(1, newest-19)
	for e := from; e <= newest; e++ {
		if s := sums[e]; s != nil && s.Cmp(most) > 0 {
			most = s
		}
	}
	var b strings.Builder
	for e := from; e <= newest; e++ {
		s := sums[e]
		if s == nil || s.Sign() == 0 {
			b.WriteString(" ")
			continue
		}
		n := new(big.Int).Mul(s, big.NewInt(7))
		b.WriteRune([]rune(bars)[n.Quo(n, most).Int64()])
	}
	last := "$0"
	if s := sums[newest]; s != nil {
		last = cliout.Credits(s.Uint64())
	}
	return dim.Render(fmt.Sprintf("epochs %d to %d ", from, newest)) + accent.Render(b.String()) + dim.Render("  in the newest "+last)
}

func (m Model) devices(room int) []string {
	out := []string{dim.Render(fmt.Sprintf("%-14s %-8s %12s %6s %10s %10s %10s  %s", "DEVICE", "LAST", "EARNED", "LEASES", "PROVEN", "SOLD", "CLAIMED", "STATUS"))} // a narrow screen cuts the last
	all := m.picture.Devices
	if len(all) == 0 {
		return append(out, "no device: grange device list shows all of the ledger")
	}
	for i := m.first; i < len(all) && i < m.first+room-1; i++ {
		d := all[i]
		last, style := "–", dim
		if d.Outcome != nil {
			last = plain(*d.Outcome)
			switch last {
			case "proven":
				style = good
			case "faulted":
				style = poor
			}
		}
		out = append(out, fmt.Sprintf("%-14s %s %12s %6d %10s %10s %10s  %s", cliout.Short(plain(d.ID)), style.Render(fmt.Sprintf("%-8s", last)),
			cliout.Credits(number(d.Net)), d.Leases, size(d.Proven), size(&d.Sold), size(&d.Claimed), plain(d.Status)))
	}
	if hidden := len(all) - m.first - (len(out) - 1); hidden > 0 || m.picture.More {
		more := strconv.Itoa(hidden)
		if m.picture.More {
			more = "many"
		}
		out = append(out, dim.Render("… "+more+" more"))
	}
	return out
}

// shownProblems is how many there is room for.
const shownProblems = 5

func (m Model) problems() []string {
	out := []string{"", bold.Render("Last problems")}
	if len(m.picture.Problems) == 0 {
		return append(out, dim.Render("none"))
	}
	for i, p := range m.picture.Problems {
		if i == shownProblems {
			break
		}
		who := ""
		if p.Device != nil {
			who = cliout.Short(plain(*p.Device)) + "  "
		}
		out = append(out, p.Time.Local().Format("Jan 2 15:04:05")+"  "+who+plain(p.What))
	}
	return out
}

// plain takes out what would move the cursor or change colours: texts come from
// strangers.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0 // a negative sum: nothing is owed to whom
	}
	return n
}

func sum(to *big.Int, s string) {
	if n, ok := new(big.Int).SetString(s, 10); ok {
		to.Add(to, n)
	}
}

func size(s *string) string {
	if s == nil {
		return "–"
	}
	return cliout.Bytes(number(*s))
}

// Text draws a picture once, without colours, for where there is no terminal.
func Text(p Picture) string {
	m := Model{now: time.Now, once: true, picture: &p, at: time.Now(), width: 140, height: len(p.Devices) + 30}
	return ansi.Strip(m.text())
}
