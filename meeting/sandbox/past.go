package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// What remains of meetings: recordings and replays, from
// https://cloud.tencent.com/document/product/1095/51189 (list), /51180 (addresses), /49245
// (replays), /53230 and /121282 (events).

// FileAddress is in every address of a recording's file, as opposed to its page. No client may
// show it to anybody.
const FileAddress = "canary-download-address"

// maxRecordsSpan is the longest time that a request for recordings may be about.
const maxRecordsSpan = 31 * 24 * time.Hour

// FinishRecording says that another file of the recording of a meeting can be watched.
func (s *Server) FinishRecording(id string) error {
	return s.control(id, func(r *record) error { s.finishRecording(r); return nil })
}

// FinishTranscript says that the transcript of a meeting's recording is there.
func (s *Server) FinishTranscript(id string) error {
	return s.control(id, func(r *record) error { s.finish(r, "smart.transcripts"); return nil })
}

// FinishSummary says that the summary of a meeting is there.
func (s *Server) FinishSummary(id string) error {
	return s.control(id, func(r *record) error { s.finish(r, "smart.minutes"); return nil })
}

// finishRecording is called with s.mu held, as everything below.
func (s *Server) finishRecording(r *record) {
	r.recorded = append(r.recorded, s.newNumber(1e18, 9e18))
	s.finish(r, "recording.completed")
}

// finish reports what there is of a recording.
func (s *Server) finish(r *record, event string) {
	files := []object{}
	for _, id := range r.recorded {
		files = append(files, object{"record_file_id": id, "lang": "zh"})
	}
	s.notify(r, event, "", object{"recording_files": files})
}

// finishLater has the recording be finished some time after the meeting, if it is recorded.
func (s *Server) finishLater(r *record) {
	after := s.cfg.RecordingAfter
	if after == 0 || !r.records() {
		return
	}
	time.AfterFunc(after, func() { s.ready(func() { s.finishRecording(r) }) })
	time.AfterFunc(2*after, func() { s.ready(func() { s.finish(r, "smart.transcripts"); s.finish(r, "smart.minutes") }) })
}

func (s *Server) ready(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		do()
	}
}

// records reports whether it was asked for that the meeting be recorded in the cloud.
func (r *record) records() bool {
	var set struct {
		Tencent string `json:"auto_record_type"`
		Zoom    string `json:"auto_recording"`
	}
	_ = json.Unmarshal(r.Settings, &set)
	return set.Tencent == "cloud" || set.Zoom == "cloud"
}

// recordingPage is where the provider shows a recording.
func (r *record) recordingPage(file string) string {
	return r.base + "/rec/" + r.watchSlug + "?file=" + url.QueryEscape(file)
}

// recordings lists a meeting's recordings.
func (s *Server) recordings(query url.Values) (any, *tencentError) {
	if fail := s.args(query, "userid", "meeting_id", "page", "page_size", "start_time", "end_time"); fail != nil {
		return nil, fail
	}
	size, fail := number(query, "page_size", 10)
	if fail != nil || size < 1 || size > 20 {
		return nil, failf(codeIllegal, "参数非法: page_size")
	}
	from, fail := number(query, "start_time", 0)
	if fail != nil {
		return nil, fail
	}
	until, fail := number(query, "end_time", from)
	if fail != nil || until-from > int64(maxRecordsSpan/time.Second) {
		return nil, failf(codeIllegal, "参数非法: end_time")
	}
	user, fail := s.registered(query.Get("userid"))
	if fail != nil {
		return nil, fail
	}
	r := s.byID[query.Get("meeting_id")] // also of a meeting that is over
	switch {
	case r == nil || r.Provider != Tencent:
		return nil, errNotExist()
	case user.ID != r.Creator && !user.Admin, s.cfg.Quirks.RecordingsForbidden:
		return nil, failf(codeForbidden, "无权限进行该操作")
	}
	list := []object{}
	if r.records() || len(r.recorded) > 0 {
		state, files := 2, []object{} // being transcoded
		for _, id := range r.recorded {
			state = 3
			files = append(files, object{"record_file_id": id, "record_start_time": r.Start.UnixMilli(), "record_size": 1 << 20})
		}
		list = append(list, object{
			"meeting_record_id": "R" + r.ID, "meeting_id": r.ID, "meeting_code": r.Code, "subject": r.Topic,
			"state": state, "record_type": 0, "media_start_time": r.Start.UnixMilli(), "record_files": files,
		})
	}
	return object{"total_count": len(list), "current_size": len(list), "current_page": 1, "total_page": 1, "record_meetings": list}, nil
}

// recordingAddresses tells the pages of a recording, and where its files are.
func (s *Server) recordingAddresses(query url.Values) (any, *tencentError) {
	if fail := s.args(query, "userid", "meeting_record_id", "page", "page_size"); fail != nil {
		return nil, fail
	}
	user, fail := s.registered(query.Get("userid"))
	if fail != nil {
		return nil, fail
	}
	id := query.Get("meeting_record_id")
	if id == "" {
		return nil, failf(codeIllegal, "参数非法: meeting_record_id")
	}
	r := s.byID[id[1:]]
	switch {
	case r == nil || r.Provider != Tencent:
		return nil, errNotExist()
	case user.ID != r.Creator && !user.Admin, s.cfg.Quirks.RecordingsForbidden:
		return nil, failf(codeForbidden, "无权限进行该操作")
	}
	file := func(kind string) string { return r.base + "/" + FileAddress + "/" + kind }
	files := []object{}
	for _, id := range r.recorded {
		files = append(files, object{
			"record_file_id": id, "view_address": r.recordingPage(id), "download_address": file("v.mp4"), "download_address_file_type": "mp4",
			"audio_address": file("a.m4a"), "audio_address_file_type": "m4a", "meeting_summary": []object{{"download_address": file("s.txt"), "file_type": "txt"}},
		})
	}
	return object{"meeting_record_id": id, "meeting_id": r.ID, "meeting_code": r.Code, "subject": r.Topic, "total_count": len(files), "record_files": files}, nil
}

// replays lists where a meeting's live can be watched again.
func (s *Server) replays(id string, query url.Values) (any, *tencentError) {
	if fail := s.args(query, "userid", "instanceid"); fail != nil {
		return nil, fail
	}
	if fail := terminal(query); fail != nil {
		return nil, fail
	}
	user, fail := s.registered(query.Get("userid"))
	if fail != nil {
		return nil, fail
	}
	r := s.byID[id]
	switch {
	case r == nil || r.Provider != Tencent:
		return nil, errNotExist()
	case user.ID != r.Creator:
		return nil, failf(codeForbidden, "仅会议创建者可查询直播回看")
	}
	list := []object{}
	if r.wasLive && !r.Live && r.LiveEnabled {
		list = append(list, object{"live_room_id": strconv.FormatInt(r.Created.Unix(), 10), "live_subject": r.Topic, "video_url": r.watchURL()})
	}
	return object{"meeting_number": 1, "meeting_info_list": []object{{
		"meeting_id": r.ID, "meeting_code": r.Code, "subject": r.Topic, "live_replay_list": list,
	}}}, nil
}

// zoomRecording is what an event says of a recording.
func (r *record) zoomRecording() object {
	return object{
		"share_url": r.recordingPage(r.joinSlug), "password": "canary-passcode", "total_size": 1 << 20, "recording_count": 1,
		"recording_files": []object{{"id": slug(), "file_type": "MP4", "play_url": r.base + "/" + FileAddress, "download_url": fmt.Sprintf("%s/%s/v.mp4", r.base, FileAddress)}},
	}
}
