package systec

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

// Billing is what SYSTEC counts.
type Billing string

const (
	BillingUnknown    Billing = ""
	BillingRooms      Billing = "1" // rooms by size
	BillingConcurrent Billing = "2" // people at once
	BillingTime       Billing = "3"
)

// Licence is what an account has bought.
type Licence struct {
	Billing Billing
	Expires time.Time   // zero if SYSTEC did not say
	Rooms   map[int]int // how many rooms of each size
}

// Licence asks what the account is licensed for.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API (licensing)
func (c *Client) Licence(ctx context.Context) (Licence, error) {
	data, a, err := c.do(ctx, opLicence, nil, false)
	if err != nil {
		return Licence{}, err
	}
	var w struct {
		PayType  lenient.Text            `json:"payType"`
		Expires  lenient.Text            `json:"expire_date"`
		Capacity map[string]lenient.Text `json:"capacity"`
	}
	if json.Unmarshal(data, &w) != nil {
		return Licence{}, c.answered(opLicence, a, false)
	}
	l := Licence{Billing: Billing(w.PayType), Expires: parseDate(string(w.Expires)), Rooms: map[int]int{}}
	for size, n := range w.Capacity {
		if s, err := strconv.Atoi(strings.TrimSpace(size)); err == nil && s > 0 {
			l.Rooms[s] = n.Int()
		}
	}
	return l, nil
}

// parseDate reads a time, or a day, which is taken to its end.
func parseDate(s string) time.Time {
	if t := parseTime(s); !t.IsZero() {
		return t
	}
	t, err := time.ParseInLocation(time.DateOnly, strings.TrimSpace(s), beijing)
	if err != nil {
		return time.Time{}
	}
	return t.AddDate(0, 0, 1)
}

// lookAhead is how long a meeting of no planned length is taken to be.
const lookAhead = time.Hour

// CanCreate asks whether a room is free for in at the given time, before it is made.
//
// It returns [meeting.ErrLimit] if SYSTEC has rooms of that size and none is free. An
// account that seems to have no such rooms is no refusal: what sizes in between mean is not
// documented, and Create will tell.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API (freeRooms)
func (c *Client) CanCreate(ctx context.Context, in meeting.Instant, at time.Time) error {
	if in.Capacity == 0 {
		in.Capacity = c.cfg.Capacity
	}
	if in.Duration == 0 {
		in.Duration = lookAhead
	}
	if reason, field := check(in); field != "" {
		return c.http.Refuse(opFreeRooms, reason, field)
	}
	data, a, err := c.do(ctx, opFreeRooms, url.Values{
		"meeting_capacity": {strconv.Itoa(in.Capacity)},
		"start_time":       {at.In(beijing).Format(time.DateTime)},
		"duration":         {strconv.Itoa(int(in.Duration / time.Minute))},
	}, false)
	if err != nil {
		return err
	}
	var w struct {
		Total lenient.Text `json:"total"`
		Free  lenient.Text `json:"free"`
	}
	if json.Unmarshal(data, &w) != nil || w.Total == "" || w.Free == "" {
		return c.answered(opFreeRooms, a, false)
	}
	if w.Total.AtLeast(1) && !w.Free.AtLeast(1) {
		return &meeting.APIError{Provider: Kind.ID, Op: opFreeRooms, Status: a.Status, Err: meeting.ErrLimit, Reason: meeting.ReasonRooms, Field: "capacity"}
	}
	return nil
}
