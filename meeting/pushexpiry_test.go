package meeting_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
)

// jwt is a token with that payload. Nobody checks its signature here.
func jwt(payload string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64([]byte(payload)) + "." + b64([]byte("signature"))
}

func TestExpiredSignaturesAreRecognised(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	past, future := now.Add(-31*24*time.Hour), now.Add(time.Hour)
	const md5 = "80cd3862d699b7118eed99103f2a3a4f"
	for _, tt := range []struct {
		name string
		key  func(at time.Time) string
	}{
		{"TencentLive", func(at time.Time) string { return fmt.Sprintf("live_1?txSecret=%s&txTime=%X", md5, at.Unix()) }},
		{"TencentLiveSmallLetters", func(at time.Time) string { return fmt.Sprintf("live_1?txTime=%x&txSecret=%s", at.Unix(), md5) }},
		{"AlibabaAuthKey", func(at time.Time) string { return fmt.Sprintf("s?auth_key=%d-0-0-%s", at.Unix(), md5) }},
		{"AlibabaAuthKeyOfAnotherName", func(at time.Time) string { return fmt.Sprintf("s?sign=%d-rnd-0-%s", at.Unix(), md5) }},
		{"HuaweiHMAC", func(at time.Time) string { return fmt.Sprintf("s?hwSecret=%s&hwTime=%x", md5, at.Unix()) }},
		{"Volcengine", func(at time.Time) string { return fmt.Sprintf("s?volcSecret=%s&volcTime=%d", md5, at.Unix()) }},
		{"Wangsu", func(at time.Time) string { return fmt.Sprintf("s?wsSecret=%s&wsTime=%d", md5, at.Unix()) }},
		{"WangsuHex", func(at time.Time) string { return fmt.Sprintf("s?wsSecret=%s&wsTime=%x", md5, at.Unix()) }},
		{"WangsuAbsolute", func(at time.Time) string { return fmt.Sprintf("s?wsSecret=%s&wsABSTime=%x", md5, at.Unix()) }},
		{"Expire", func(at time.Time) string { return fmt.Sprintf("s?expire=%d&sign=%s", at.Unix(), md5) }},
		{"Expires", func(at time.Time) string { return fmt.Sprintf("s?Expires=%d&Signature=a&Key-Pair-Id=b", at.Unix()) }},
		{"ExpiresInMilliseconds", func(at time.Time) string { return fmt.Sprintf("s?expires=%d", at.UnixMilli()) }},
		{"ExpireTime", func(at time.Time) string { return fmt.Sprintf("s?expire_time=%d", at.Unix()) }},
		{"ExpiredAt", func(at time.Time) string { return fmt.Sprintf("s?expiresAt=%d", at.Unix()) }},
		{"Exp", func(at time.Time) string { return fmt.Sprintf("s?exp=%d&sig=a", at.Unix()) }},
		{"Qiniu", func(at time.Time) string { return fmt.Sprintf("s?e=%d&token=ak:c2lnbg==", at.Unix()) }},
		{"Deadline", func(at time.Time) string { return fmt.Sprintf("s?deadline=%d", at.Unix()) }},
		{"UCloud", func(at time.Time) string { return fmt.Sprintf("s?k=%s&t=%x", md5, at.Unix()) }},
		{"Wowza", func(at time.Time) string { return fmt.Sprintf("s?wowzatokenendtime=%d&wowzatokenhash=a", at.Unix()) }},
		{"Akamai", func(at time.Time) string { return fmt.Sprintf("s?hdnts=st=1~exp=%d~acl=/*~hmac=a", at.Unix()) }},
		{"Fastly", func(at time.Time) string { return fmt.Sprintf("s?token=%d_%s", at.Unix(), md5) }},
		{"AzureSAS", func(at time.Time) string {
			return "s?sv=2020-08-04&se=" + url.QueryEscape(at.Format(time.RFC3339)) + "&sig=a"
		}},
		{"BaiduISO", func(at time.Time) string { return "s?token=a&expire=" + at.Format(time.RFC3339) }},
		{"AmazonV4", func(at time.Time) string {
			return "s?X-Amz-Date=" + at.Add(-time.Hour).Format("20060102T150405Z") + "&X-Amz-Expires=3600&X-Amz-Signature=a"
		}},
		{"GoogleV4", func(at time.Time) string {
			return "s?X-Goog-Expires=3600&X-Goog-Date=" + at.Add(-time.Hour).Format("20060102T150405Z")
		}},
		{"VolcengineTOS", func(at time.Time) string {
			return "s?X-Tos-Date=" + at.Add(-time.Hour).Format("20060102T150405Z") + "&X-Tos-Expires=3600"
		}},
		{"JWT", func(at time.Time) string { return "s?token=" + jwt(fmt.Sprintf(`{"sub":"a","exp":%d}`, at.Unix())) }},
		{"JWTOfAnotherName", func(at time.Time) string { return "s?jwt=" + jwt(fmt.Sprintf(`{"exp": %d.5,"iat":1}`, at.Unix())) }},
		{"JWTIsTheKey", func(at time.Time) string { return jwt(fmt.Sprintf(`{"exp":%d}`, at.Unix())) }},
		{"SignedPolicy", func(at time.Time) string {
			return "s?policy=" + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"url_activate":1,"url_expire":%d}`, at.UnixMilli())) + "&signature=a"
		}},
		{"CloudFrontPolicy", func(at time.Time) string {
			p := fmt.Sprintf(`{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":%d},"DateGreaterThan":{"AWS:EpochTime":1577808000}}}]}`, at.Unix())
			return "s?Policy=" + base64.RawURLEncoding.EncodeToString([]byte(p)) + "&Signature=a"
		}},
		{"SecondQuestionMark", func(at time.Time) string { return fmt.Sprintf("s?a=b?expires=%d", at.Unix()) }},
		{"NoStreamName", func(at time.Time) string { return fmt.Sprintf("?streamname=a&expires=%d", at.Unix()) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, at := range []time.Time{past, future} {
				a, err := meeting.SplitPush("rtmp://h.example/app/", secret.New(tt.key(at)))
				require.NoError(t, err)
				assert.Equal(t, at.Equal(past), len(a.Warnings(now)) > 0, at)
				if at.Equal(past) {
					assert.Equal(t, []meeting.PushWarning{meeting.PushWarnExpired}, a.Warnings(now))
				}
			}
		})
	}
	t.Run("InTheAddress", func(t *testing.T) {
		a, err := meeting.SplitPush(fmt.Sprintf("rtmp://h.example/app?expires=%d", past.Unix()), secret.New("k"))
		require.NoError(t, err)
		assert.Contains(t, a.Warnings(now), meeting.PushWarnExpired)
	})
}

// What looks like a time and is none, or is no expiry, is nothing to warn of.
func TestWhatHasNotExpired(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, key := range []string{
		"live_1?start=1577808000", "s?t=1577808000", "s?ts=1577808000&timestamp=1577808000", "s?expire=3600", "s?expire=0", "s?expires=", "s?expires=never",
		"s?auth_key=abc-0-0-0", "s?auth_key=1577808000", "s?token=1577808000_short", "s?hwTime=" + fmt.Sprintf("%x", now.Add(-29*24*time.Hour).Unix()),
		"s?X-Amz-Expires=3600", "s?X-Amz-Date=20200101T000000Z", "s?policy=%%%", "s?token=a.b.c", "s?token=" + jwt(`{"iat":1577808000}`), "s?token=" + jwt(`{"exp":"x"}`),
		"1577808000", "stream-1577808000", "abcd-efgh-ijkl-mnop", "live_1577808000_abc", "s?expires=99999999999999999999",
	} {
		a, err := meeting.SplitPush("rtmp://h.example/app/", secret.New(key))
		require.NoError(t, err, key)
		assert.Empty(t, a.Warnings(now), key)
	}
}
