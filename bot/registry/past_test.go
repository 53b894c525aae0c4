package registry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"meetbot/meeting"
)

func at(minute int) time.Time { return time.Date(2026, 11, 30, 15, minute, 0, 0, time.UTC) }

func TestHowLongAMeetingRan(t *testing.T) {
	type word struct {
		said   meeting.State
		minute int
		told   bool
	}
	for _, tt := range []struct {
		name  string
		words []word
		want  Ran
	}{
		{"NobodyCame", []word{{meeting.StateReady, 0, false}, {meeting.StateDeleted, 30, false}}, Ran{}},
		{"Told", []word{{meeting.StateRunning, 2, true}, {meeting.StateEnded, 40, true}}, Ran{From: at(2), Until: at(40)}},
		{"Seen", []word{{meeting.StateRunning, 3, false}, {meeting.StateEnded, 40, false}}, Ran{From: at(3), Seen: true}},
		{"TheBeginningIsToldLate", []word{{meeting.StateRunning, 3, false}, {meeting.StateRunning, 2, true}, {meeting.StateEnded, 40, true}}, Ran{From: at(2), Until: at(40)}},
		{"OneMorePersonIsNoBeginning", []word{{meeting.StateRunning, 3, false}, {meeting.StateRunning, 9, true}}, Ran{From: at(3), Seen: true}},
		{"TheEndIsToldFirst", []word{{meeting.StateEnded, 40, true}, {meeting.StateRunning, 2, true}}, Ran{From: at(2), Until: at(40)}},
		{"TheEndIsToldTwice", []word{{meeting.StateRunning, 2, true}, {meeting.StateEmpty, 30, true}, {meeting.StateEnded, 40, true}}, Ran{From: at(2), Until: at(30)}},
		{"TheEndIsSeenAndThenTold", []word{{meeting.StateRunning, 2, true}, {meeting.StateEnded, 41, false}, {meeting.StateEnded, 40, true}}, Ran{From: at(2), Until: at(40)}},
		{"WithABreak", []word{{meeting.StateRunning, 2, true}, {meeting.StateEmpty, 10, true}, {meeting.StateRunning, 20, true}, {meeting.StateEnded, 40, true}}, Ran{From: at(2), Until: at(40), Breaks: true}},
		{"ALateArrivalIsNoBreak", []word{{meeting.StateRunning, 2, true}, {meeting.StateEmpty, 10, true}, {meeting.StateRunning, 5, true}, {meeting.StateEnded, 40, true}}, Ran{From: at(2), Until: at(10)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg, state := Registration{}, meeting.StateReady
			for _, w := range tt.words {
				reg.Ran.note(state, w.said, at(w.minute), w.told)
				state = state.Next(w.said)
			}
			assert.Equal(t, tt.want, reg.Ran)
		})
	}
}

func TestWhenALiveWasOnAir(t *testing.T) {
	type word struct {
		on     bool
		minute int
	}
	for _, tt := range []struct {
		name  string
		words []word
		want  []Span
	}{
		{"Once", []word{{true, 5}, {false, 30}}, []Span{{at(5), at(30)}}},
		{"Twice", []word{{true, 5}, {false, 30}, {true, 40}, {false, 50}}, []Span{{at(5), at(30)}, {at(40), at(50)}}},
		{"InTheWrongOrder", []word{{false, 30}, {true, 5}}, []Span{{at(5), at(30)}}},
		{"SaidAgain", []word{{true, 5}, {true, 5}, {false, 30}, {false, 30}}, []Span{{at(5), at(30)}}},
		{"TheEndIsLost", []word{{true, 5}}, []Span{{From: at(5)}}},
		{"TheEndOfTheFirstIsLost", []word{{true, 5}, {true, 40}, {false, 50}}, []Span{{From: at(5)}, {at(40), at(50)}}},
		{"TheBeginningIsLost", []word{{false, 30}}, []Span{{Until: at(30)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var reg Registration
			for _, w := range tt.words {
				reg.OnAir(w.on, at(w.minute))
			}
			assert.Equal(t, tt.want, reg.Lives)
		})
	}
}
