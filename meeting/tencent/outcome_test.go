package tencent

import (
	"context"
	"testing"

	"meetbot/meeting/clienttest"
)

func TestOutcomes(t *testing.T) {
	clienttest.Wire[*Client]{
		Open: clientOf, Calls: calls(),
		End: func(ctx context.Context, c *Client) error { return c.Dismiss(ctx, "", meetingID) },
		Odd: []clienttest.Odd{
			{Name: "CodeThatNoNumberHolds", Status: 500, Body: `{"error_info":{"error_code":99999999999999999999,"message":"x"}}`},
		},
		Secrets: []string{secretKey, "canary", "918273", "live_1_2"},
		Config:  func(c *Client) any { return c.cfg },
		Refusals: map[string]clienttest.Answered{
			"refusal": {Status: 500, Format: `{"error_info":{"error_code":400004,"message":%q}}`},
			"odd":     {Status: 200, Format: `{"error_info":{"error_code":%q}}`},
		},
	}.Run(t)
}
