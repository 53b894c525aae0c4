package tencent

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

// What is read of a recording are its pages. Its answers have the addresses of its files as
// well, which nobody is told.

const (
	// recordsBack is how long ago a recording may be: a request may ask for 31 days.
	recordsBack = 30 * 24 * time.Hour
	// recorded is the state of a recording that can be watched.
	recorded   = 3
	maxRecords = 20 // one page
)

// Recordings returns the pages of the meeting's recordings that can be watched, by their files.
// They have the transcript and the minutes too. Its creator may ask, and who may manage the
// enterprise's recordings. With an error it returns what could be read besides.
//
// API docs: https://cloud.tencent.com/document/product/1095/51189,
// https://cloud.tencent.com/document/product/1095/51180
func (c *Client) Recordings(ctx context.Context, account, id string) ([]meeting.Page, error) {
	if err := c.refuseID(opRecords, id); err != nil {
		return nil, err
	}
	now := c.cfg.Now()
	r := c.request(opRecords, "", url.Values{
		"userid": {c.account(account)}, "meeting_id": {id}, "page": {"1"}, "page_size": {strconv.Itoa(maxRecords)},
		"start_time": {strconv.FormatInt(now.Add(-recordsBack).Unix(), 10)}, "end_time": {strconv.FormatInt(now.Unix(), 10)},
	}, nil)
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var w struct {
		Records []struct {
			Meeting lenient.Text `json:"meeting_id"`
			ID      lenient.Text `json:"meeting_record_id"`
			State   lenient.Text `json:"state"`
		} `json:"record_meetings"`
	}
	if a.Decode(&w) != nil {
		return nil, c.http.Unusable(r, a)
	}
	var all []meeting.Page
	var unread error
	for _, rec := range w.Records[:min(len(w.Records), maxRecords)] {
		if rec.Meeting.Digits() != id || rec.State.Int() != recorded || rec.ID == "" {
			continue
		}
		pages, err := c.record(ctx, account, string(rec.ID))
		if unread = cmp.Or(unread, err); ctx.Err() != nil {
			break
		}
		all = append(all, pages...)
	}
	return all, unread
}

// record returns the pages of one recording.
func (c *Client) record(ctx context.Context, account, record string) ([]meeting.Page, error) {
	r := c.request(opRecord, "", url.Values{"userid": {c.account(account)}, "meeting_record_id": {record}}, nil)
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var w struct {
		Files []struct {
			ID   lenient.Text `json:"record_file_id"`
			Page lenient.Text `json:"view_address"`
		} `json:"record_files"`
	}
	if a.Decode(&w) != nil {
		return nil, c.http.Unusable(r, a)
	}
	var pages []meeting.Page
	for _, f := range w.Files[:min(len(w.Files), maxFiles)] {
		if id := string(f.ID); id != "" && len(id) <= maxFileID {
			pages = append(pages, meeting.Page{Made: meeting.MadeRecording, File: id, URL: Kind.OwnPage(f.Page.Link(), c.cfg.BaseURL)})
		}
	}
	return pages, nil
}

// Replays returns the pages on which the meeting's lives can be watched again. Its creator may
// ask.
//
// API docs: https://cloud.tencent.com/document/product/1095/49245
func (c *Client) Replays(ctx context.Context, account, id string) ([]meeting.Page, error) {
	if err := c.refuseID(opReplays, id); err != nil {
		return nil, err
	}
	r := c.request(opReplays, id, url.Values{"userid": {c.account(account)}, "instanceid": {c.instance()}}, nil)
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var w struct {
		Meetings []struct {
			Replays []struct {
				Room lenient.Text `json:"live_room_id"`
				Page lenient.Text `json:"video_url"`
			} `json:"live_replay_list"`
		} `json:"meeting_info_list"`
	}
	if a.Decode(&w) != nil {
		return nil, c.http.Unusable(r, a)
	}
	var pages []meeting.Page
	for _, m := range w.Meetings {
		for _, l := range m.Replays {
			page := Kind.OwnPage(l.Page.Link(), c.cfg.BaseURL)
			if room := string(l.Room); page != "" && room != "" && len(room) <= maxFileID && len(pages) < maxFiles {
				pages = append(pages, meeting.Page{Made: meeting.MadeReplay, File: room, URL: page})
			}
		}
	}
	return pages, nil
}

const peoplePages = 10 // of a hundred each

// Participants returns the names of those who were in the meeting, each once, in the order in
// which they came; more says that there were others. Its creator and the enterprise's
// administrators may ask.
//
// API docs: https://cloud.tencent.com/document/product/1095/42701
func (c *Client) Participants(ctx context.Context, account, id string) (names []string, more bool, err error) {
	if err := c.refuseID(opPeople, id); err != nil {
		return nil, false, err
	}
	seen := map[string]bool{}
	pos := "0"
	for range peoplePages { // however few are on a page
		r := c.request(opPeople, id, url.Values{"operator_id": {c.account(account)}, "operator_id_type": {"1"}, "pos": {pos}, "size": {"100"}}, nil)
		a, err := c.do(ctx, r)
		if err != nil {
			return nil, false, err
		}
		var w struct {
			People []struct {
				Name   lenient.Text `json:"user_name"` // base64
				Open   lenient.Text `json:"ms_open_id"`
				UserID lenient.Text `json:"userid"`
			} `json:"participants"`
			More lenient.Text `json:"has_remaining"`
			Next lenient.Text `json:"next_pos"`
		}
		if a.Decode(&w) != nil {
			return nil, false, c.http.Unusable(r, a)
		}
		for _, p := range w.People {
			name, who := decodeName(string(p.Name)), string(p.UserID)+"/"+string(p.Open)
			if who == "/" {
				who = name
			}
			if name != "" && !seen[who] && utf8.ValidString(name) {
				seen[who] = true
				names = append(names, name)
			}
		}
		next := w.Next.Digits()
		if !w.More.Bool() || len(w.People) == 0 || next == "" || next == pos {
			return names, false, nil
		}
		pos = next
	}
	return names, true, nil
}
