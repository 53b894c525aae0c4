package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/peterh/liner"
	"golang.org/x/term"
)

const prompt = "› "

// Ctrl-C drops a line that was begun, as in a shell; on a line that was not, it is meant
// for the program.
var (
	errInterrupted = errors.New("interrupted")
	errDropped     = errors.New("the line was dropped")
)

// input is where lines come from. Its methods but above are called from one goroutine.
type input interface {
	// line returns the next line, or io.EOF, errInterrupted, errDropped, or the context's error.
	line(ctx context.Context, prompt string) (string, error)
	// secret is line without an echo.
	secret(ctx context.Context, prompt string) (string, error)
	remember(line string)
	// cover replaces a line that was just typed, as far as it can still be seen.
	cover(out io.Writer, typed, by string) error
	// above writes text where it does not disturb the line being typed.
	above(out io.Writer, text string) error
	close()
}

// maxLine is more than a command may have, so that the bot can say that it is too long.
const maxLine = 1 << 20

// pipe reads plain lines.
type pipe struct{ lines *bufio.Scanner }

func newPipe(in io.Reader) *pipe {
	s := bufio.NewScanner(in)
	s.Buffer(nil, maxLine)
	return &pipe{s}
}

func (p *pipe) line(ctx context.Context, _ string) (string, error) {
	return within(ctx, func() (string, error) {
		if p.lines.Scan() {
			return p.lines.Text(), nil
		}
		switch err := p.lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			return "", fmt.Errorf("a line is longer than %d bytes", maxLine)
		case err != nil:
			return "", err
		}
		return "", io.EOF
	})
}

func (p *pipe) secret(ctx context.Context, prompt string) (string, error) { return p.line(ctx, prompt) }
func (p *pipe) remember(string)                                           {}
func (p *pipe) close()                                                    {}

func (p *pipe) cover(io.Writer, string, string) error { return nil } // nothing was echoed

func (p *pipe) above(out io.Writer, text string) error {
	_, err := io.WriteString(out, text)
	return err
}

// within returns what read does, or the context's error when that comes first. A read of
// the terminal cannot be ended; it is left behind, and the process ends soon after.
func within(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// editor edits lines on the process's own terminal.
type editor struct {
	state *liner.State
	keys  keys
	dumb  bool // a terminal that cannot move its cursor

	mu     sync.Mutex
	typing bool   // a line is being typed
	hidden string // the prompt, where what is typed is not shown
}

// keys knows, of what is typed, whether a line was begun when Ctrl-C came: the editor does
// not tell.
type keys struct{ begun, dropped atomic.Bool }

const ctrlC = 3

// watch passes on what is typed.
func (k *keys) watch(from io.Reader, to io.WriteCloser) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		for _, c := range b[:n] {
			switch c {
			case ctrlC:
				k.dropped.Store(k.begun.Swap(false))
			case '\r', '\n':
				k.begun.Store(false)
			default:
				k.begun.Store(true)
			}
		}
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			_ = to.Close() // the editor sees the end
			return
		}
	}
}

func newEditor(complete liner.WordCompleter) *editor {
	e := &editor{}
	// The editor reads whatever os.Stdin is when it is made.
	stdin := os.Stdin
	if r, w, err := os.Pipe(); err == nil {
		os.Stdin = r
		go e.keys.watch(stdin, w)
	}
	s := liner.NewLiner()
	os.Stdin = stdin
	s.SetCtrlCAborts(true)
	s.SetBeep(false)
	s.SetMultiLineMode(true) // the other mode shows the wrong part of a long Chinese line
	s.SetTabCompletionStyle(liner.TabPrints)
	s.SetWordCompleter(complete)
	e.state, e.dumb = s, !liner.TerminalSupported()
	return e
}

func (e *editor) line(ctx context.Context, prompt string) (string, error) {
	return e.read(ctx, "", func() (string, error) { return e.state.Prompt(prompt) })
}

func (e *editor) secret(ctx context.Context, prompt string) (string, error) {
	return e.read(ctx, prompt, func() (string, error) { return e.state.PasswordPrompt(prompt) })
}

func (e *editor) read(ctx context.Context, hidden string, read func() (string, error)) (string, error) {
	e.set(true, hidden)
	defer e.set(false, "")
	line, err := within(ctx, read)
	if errors.Is(err, liner.ErrPromptAborted) {
		if err = errInterrupted; e.keys.dropped.Load() {
			err = errDropped
		}
	}
	return line, err
}

func (e *editor) set(typing bool, hidden string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.typing, e.hidden = typing, hidden
}

func (e *editor) remember(line string) { e.state.AppendHistory(line) }

// above clears the line being typed, writes, and lets the editor draw its line again,
// which it does when the window seems to have changed.
func (e *editor) above(out io.Writer, text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.typing && e.dumb:
		text = "\n" + text + "\n" + e.hidden
	case e.typing:
		// The editor clears the row above for a line that has two.
		text = "\r\x1b[J" + text + "\n" + e.hidden
	}
	_, err := io.WriteString(out, text)
	if e.typing && e.hidden == "" && err == nil {
		err = syscall.Kill(syscall.Getpid(), syscall.SIGWINCH)
	}
	return err
}

// cover goes up over the rows that the line took and writes in its place.
func (e *editor) cover(out io.Writer, typed, by string) error {
	if e.dumb {
		return nil
	}
	columns, _, err := term.GetSize(syscall.Stdout)
	if err != nil || columns <= 0 {
		return nil // its rows cannot be told
	}
	_, err = fmt.Fprintf(out, "\x1b[%dA\r\x1b[J%s\n", rowsOf(typed, columns), by)
	return err
}

// rowsOf is how many rows the editor takes for a line: a wide character that does not fit
// moves to the next row, and a cursor at the very end has a row of its own.
func rowsOf(line string, columns int) int {
	used := 0
	for _, r := range line {
		w := width(string(r))
		if w == 2 && used%columns == columns-1 {
			used++
		}
		used += w
	}
	return used/columns + 1
}

func (e *editor) close() { _ = e.state.Close() } // puts the terminal back as it was
