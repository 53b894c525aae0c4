package systec

import (
	"context"
	"testing"

	"meetbot/meeting/clienttest"
)

func TestOutcomes(t *testing.T) {
	clienttest.Wire[*Client]{
		Open: clientOf, Calls: calls(),
		End: func(ctx context.Context, c *Client) error { return c.End(ctx, number) },
		Odd: []clienttest.Odd{
			{Name: "NoStatus", Status: 200, Body: `{"data":{"meeting_id":"1"}}`},
			{Name: "StatusThatNoNumberHolds", Status: 200, Body: `{"status":99999999999999999999,"message":"x"}`},
			{Name: "StatusNull", Status: 200, Body: `{"status":null}`},
			{Name: "FrameworksOwnErrorPage", Status: 500, Body: `{"timestamp":1700000000,"status":500,"error":"Internal Server Error","message":"x","path":"/share/instant"}`},
		},
		Secrets: []string{apiKey, apiSecret, "canary"},
		Config:  func(c *Client) any { return c.cfg },
		Refusals: map[string]clienttest.Answered{
			"refusal": {Status: 500, Format: `{"status":500,"message":%q}`},
			"odd":     {Status: 200, Format: `{"status":%q}`},
		},
	}.Run(t)
}
