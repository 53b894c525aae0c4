package sandbox

import (
	"net/http"
	"strings"
)

// Provider is one of the APIs.
type Provider string

// The providers.
const (
	Systec  Provider = "systec"
	Tencent Provider = "tencent"
	Zoom    Provider = "zoom"
)

// Endpoint names an operation of one of the APIs.
type Endpoint string

// SYSTEC's endpoints.
const (
	SystecInstant     Endpoint = "systec /share/instant"
	SystecGet         Endpoint = "systec /share/get"
	SystecList        Endpoint = "systec /share/list"
	SystecHistory     Endpoint = "systec /share/history"
	SystecEnd         Endpoint = "systec /share/end"
	SystecDelete      Endpoint = "systec /share/delete"
	SystecGetStartURL Endpoint = "systec /share/getStartUrl"
	SystecToken       Endpoint = "systec /share/token"
	SystecLicensing   Endpoint = "systec /licensing"
	SystecFreeRooms   Endpoint = "systec /share/freeRooms"
	SystecUnknown     Endpoint = "systec unknown"
)

// Tencent Meeting's endpoints.
const (
	TencentCreate       Endpoint = "tencent POST /v1/meetings"
	TencentList         Endpoint = "tencent GET /v1/meetings"
	TencentGetByCode    Endpoint = "tencent GET /v1/meetings?meeting_code"
	TencentGet          Endpoint = "tencent GET /v1/meetings/{id}"
	TencentDismiss      Endpoint = "tencent POST /v1/meetings/{id}/dismiss"
	TencentCancel       Endpoint = "tencent POST /v1/meetings/{id}/cancel"
	TencentParticipants Endpoint = "tencent GET /v1/meetings/{id}/participants"
	TencentSetPush      Endpoint = "tencent POST /v1/meetings/{id}/live_play/live-stream-address"
	TencentQueryPush    Endpoint = "tencent GET /v1/meetings/{id}/live-play/push-stream-info"
	TencentViewers      Endpoint = "tencent GET /v1/meetings/{id}/live_play/live-view-info"
	TencentReplays      Endpoint = "tencent GET /v1/meetings/{id}/live_play/replays"
	TencentRecords      Endpoint = "tencent GET /v1/records"
	TencentAddresses    Endpoint = "tencent GET /v1/addresses"
	TencentUnknown      Endpoint = "tencent unknown"
)

// Zoom's endpoints.
const (
	ZoomToken      Endpoint = "zoom POST /oauth/token"
	ZoomCreate     Endpoint = "zoom POST /users/{userId}/meetings"
	ZoomList       Endpoint = "zoom GET /users/{userId}/meetings"
	ZoomGet        Endpoint = "zoom GET /meetings/{id}"
	ZoomDelete     Endpoint = "zoom DELETE /meetings/{id}"
	ZoomEnd        Endpoint = "zoom PUT /meetings/{id}/status"
	ZoomSetPush    Endpoint = "zoom PATCH /meetings/{id}/livestream"
	ZoomGetPush    Endpoint = "zoom GET /meetings/{id}/livestream"
	ZoomLiveStatus Endpoint = "zoom PATCH /meetings/{id}/livestream/status"
	ZoomUnknown    Endpoint = "zoom unknown"
)

// Page is every page that a browser opens.
const Page Endpoint = "page"

// Provider returns whose endpoint e is; it is empty for [Page].
func (e Endpoint) Provider() Provider {
	if p, _, ok := strings.Cut(string(e), " "); ok {
		return Provider(p)
	}
	return ""
}

const systecPrefix = "/umeeting"

var systecEndpoints = map[string]Endpoint{
	"/share/instant":     SystecInstant,
	"/share/get":         SystecGet,
	"/share/list":        SystecList,
	"/share/history":     SystecHistory,
	"/share/end":         SystecEnd,
	"/share/delete":      SystecDelete,
	"/share/getStartUrl": SystecGetStartURL,
	"/share/token":       SystecToken,
	"/licensing":         SystecLicensing,
	"/share/freeRooms":   SystecFreeRooms,
}

// zoomRoutes tell an endpoint by its method and path, of which {} is a user or a meeting.
var zoomRoutes = map[string]Endpoint{
	"POST users/{}/meetings": ZoomCreate, "GET users/{}/meetings": ZoomList,
	"GET meetings/{}": ZoomGet, "DELETE meetings/{}": ZoomDelete, "PUT meetings/{}/status": ZoomEnd,
	"PATCH meetings/{}/livestream": ZoomSetPush, "GET meetings/{}/livestream": ZoomGetPush, "PATCH meetings/{}/livestream/status": ZoomLiveStatus,
}

func route(r *http.Request) Endpoint {
	path := r.URL.EscapedPath()
	if path == zoomOAuth {
		return ZoomToken
	}
	if op, ok := strings.CutPrefix(path, zoomPrefix+"/"); ok {
		parts := strings.Split(op, "/")
		if len(parts) > 1 {
			parts[1] = "{}"
		}
		if e, ok := zoomRoutes[r.Method+" "+strings.Join(parts, "/")]; ok {
			return e
		}
		return ZoomUnknown
	}
	if op, ok := strings.CutPrefix(path, systecPrefix+"/"); ok {
		if e, ok := systecEndpoints["/"+op]; ok {
			return e
		}
		return SystecUnknown
	}
	op, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return Page
	}
	if op == "meetings" {
		switch {
		case r.Method == http.MethodPost:
			return TencentCreate
		case r.Method == http.MethodGet && r.URL.Query().Has("meeting_code"):
			return TencentGetByCode
		case r.Method == http.MethodGet:
			return TencentList
		}
		return TencentUnknown
	}
	switch r.Method + " " + op {
	case "GET records":
		return TencentRecords
	case "GET addresses":
		return TencentAddresses
	}
	op, ok = strings.CutPrefix(op, "meetings/")
	if !ok {
		return TencentUnknown
	}
	_, op, _ = strings.Cut(op, "/")
	// The API spells live_play in the one path and live-play in the other.
	switch r.Method + " " + op {
	case "GET ":
		return TencentGet
	case "POST dismiss":
		return TencentDismiss
	case "POST cancel":
		return TencentCancel
	case "GET participants":
		return TencentParticipants
	case "POST live_play/live-stream-address":
		return TencentSetPush
	case "GET live-play/push-stream-info":
		return TencentQueryPush
	case "GET live_play/live-view-info":
		return TencentViewers
	case "GET live_play/replays":
		return TencentReplays
	}
	return TencentUnknown
}
