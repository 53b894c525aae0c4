package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/meeting"
)

// reads is a store that can be read and not written to any more.
type reads struct {
	records.Store
	broken bool
	listed int
	tried  int // to delete
}

func (s *reads) DeleteDoc(ctx context.Context, revision uint64, key ...string) error {
	if s.broken {
		s.tried++
		return errors.New("no quorum")
	}
	return s.Store.DeleteDoc(ctx, revision, key...)
}

func (s *reads) Docs(ctx context.Context, limit int, prefix ...string) ([]jobs.Doc, error) {
	if s.listed++; s.listed > 100 {
		return nil, errors.New("it is read over and over")
	}
	return s.Store.Docs(ctx, limit, prefix...)
}

// What is over and cannot be taken from a list stands in nobody's way.
func TestAListThatCannotBeTidiedIsRead(t *testing.T) {
	s, err := jobs.OpenMemory(jobs.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	store := &reads{Store: s}
	kinds := meeting.Kinds{{ID: "acme", IsID: func(string) bool { return true }}}
	began := time.Now()
	g := New(store, kinds, time.Hour, slog.New(slog.DiscardHandler), time.Now)
	here := chat.Place{Platform: "slack", Team: "T1", Channel: "C1"}
	for i := range MaxHere + 5 {
		reg := Registration{
			Meeting: meeting.Meeting{Ref: meeting.Ref{Provider: "acme", ID: fmt.Sprint(i)}, State: meeting.StateReady},
			Job:     fmt.Sprint("job", i), Place: here, Created: began.Add(time.Duration(i) * time.Second),
		}
		if i > MaxHere { // the newest are over
			reg.Meeting.State = meeting.StateEnded
		}
		_, err := g.Add(t.Context(), reg)
		require.NoError(t, err)
	}
	store.broken = true
	regs, err := g.Here(t.Context(), here, MaxHere)
	require.NoError(t, err)
	require.Len(t, regs, MaxHere)
	assert.Equal(t, fmt.Sprint(MaxHere), regs[0].Ref().ID)
	assert.Equal(t, 1, store.tried, "which may take long")
}
