package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/livepush"
	"meetbot/meeting/sandbox"
)

// nginxModule is where Debian's libnginx-mod-rtmp puts it.
const nginxModule = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

// arrived is what an RTMP server says of a stream that is published there.
type arrived struct{ App, Name, Args string }

// ingest is a real RTMP server, which reports what is published and what has ended.
type ingest struct {
	plain, sealed string // host and port; sealed is for rtmps

	mu   sync.Mutex
	on   []arrived
	done []arrived
	dial []string
}

// startIngest starts nginx with the applications, and what takes TLS off in front of it. It
// skips the test where there is none.
func startIngest(t *testing.T, apps []string) *ingest {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx" // not in everybody's PATH
	}
	for _, file := range []string{nginx, nginxModule} {
		if _, err := os.Stat(file); err != nil {
			t.Skipf("no RTMP server: apt-get install nginx libnginx-mod-rtmp (%v)", err)
		}
	}
	in := &ingest{}
	hooks := httptest.NewServer(http.HandlerFunc(in.hear))
	t.Cleanup(hooks.Close)

	// The port is free when nginx is told of it, and may be somebody's when it listens.
	dir := t.TempDir()
	for range 5 {
		ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		in.plain = ln.Addr().String()
		require.NoError(t, ln.Close())
		var conf strings.Builder
		fmt.Fprintf(&conf, "load_module %s;\ndaemon off; master_process off; pid %s/pid; error_log %s/log warn;\nevents { worker_connections 256; }\nrtmp { server { listen %s; notify_method post;\n", nginxModule, dir, dir, in.plain)
		for _, app := range apps {
			fmt.Fprintf(&conf, "application %s { live on; on_publish %s/on; on_publish_done %s/done; }\n", app, hooks.URL, hooks.URL)
		}
		conf.WriteString("} }\n")
		file := filepath.Join(dir, "nginx.conf")
		require.NoError(t, os.WriteFile(file, []byte(conf.String()), 0o600))
		cmd := exec.Command(nginx, "-e", "stderr", "-c", file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the test is killed
		require.NoError(t, cmd.Start())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait() // it is killed
		}()
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // it may have ended
			<-ended
		})
		if listens(t, in.plain, ended) {
			in.sealed = sealed(t, in.plain)
			return in
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	require.Failf(t, "nginx does not start", "%s", log)
	return nil
}

// listens reports whether something listens there before the process has ended.
func listens(t *testing.T, addr string, ended <-chan struct{}) bool {
	t.Helper()
	for {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			require.NoError(t, conn.Close())
			select {
			case <-ended:
				return false
			case <-time.After(100 * time.Millisecond):
				return true
			}
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// sealed takes the TLS off what is meant for an address.
func sealed(t *testing.T, addr string) string {
	t.Helper()
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	t.Cleanup(cert.Close)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: cert.TLS.Certificates, MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				to, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				defer to.Close()
				go func() {
					defer from.Close()
					_, _ = io.Copy(from, to) // either side may end it
				}()
				_, _ = io.Copy(to, from)
			}()
		}
	}()
	return ln.Addr().String()
}

// hear takes nginx's word. What came with the stream's name stands behind its own fields, as
// it came.
func (in *ingest) hear(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	field := func(name string) string {
		m := regexp.MustCompile(`(?:^|&)` + name + `=([^&]*)`).FindStringSubmatch(string(body))
		if m == nil {
			return ""
		}
		value, _ := url.QueryUnescape(m[1]) // of its own making
		return value
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if r.URL.Path == "/on" {
		_, args, _ := strings.Cut(string(body), "&type=live&")
		in.on = append(in.on, arrived{field("app"), field("name"), args})
		return
	}
	in.done = append(in.done, arrived{App: field("app")})
}

// Dial implements [sandbox.Encoder].
func (in *ingest) Dial(scheme, hostport string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.dial = append(in.dial, scheme+"://"+hostport)
	if scheme == "rtmps" {
		return in.sealed
	}
	return in.plain
}

func (in *ingest) take() (on []arrived, dialled []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	on, dialled = in.on, in.dial
	in.on, in.done, in.dial = nil, nil, nil
	slices.Sort(dialled)
	return on, dialled
}

func (in *ingest) count() (on, done int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.on), len(in.done)
}

// shape is a way in which people have an address and its key, and what the platform's server
// has to see of it.
type shape struct {
	preset string
	lines  []string
	host   string // as it is connected to
	want   arrived
}

// shows are all presets in all shapes. Two streams without a name would be one to the server,
// so each of these has a show of its own.
var shows = [][]shape{
	{
		{
			preset: "bilibili", host: "rtmp://live-push.bilivideo.com:1935",
			lines: []string{`/livepush save b --preset bilibili --key "?streamname=live_1_2&key=0a1b&schedule=rtmp&pflag=1"`, `/livepush to b`},
			want:  arrived{"live-bvc", "", "streamname=live_1_2&key=0a1b&schedule=rtmp&pflag=1"},
		},
		{
			preset: "douyin", host: "rtmp://push-rtmp-l6.douyincdn.com:1935",
			lines: []string{`/livepush --name dy --url rtmp://push-rtmp-l6.douyincdn.com/third --key "stream-4012345678901234567?expire=4070908800&sign=a%2Bb"`},
			want:  arrived{"third", "stream-4012345678901234567", "expire=4070908800&sign=a%2Bb"},
		},
		{
			preset: "kuaishou", host: "rtmp://open-push.voip.yximgs.com:1935",
			lines: []string{`/livepush save ks --preset kuaishou --key "ks_1234567890?sourceType=26&ks_fix_ts&ts=1"`, `/livepush to ks`},
			want:  arrived{"gifshow", "ks_1234567890", "sourceType=26&ks_fix_ts&ts=1"},
		},
		{
			preset: "wechat", host: "rtmp://111.livepush.myqcloud.com:1935",
			lines: []string{`/livepush --name wx --url rtmp://111.livepush.myqcloud.com/trtc_1400000000/ --key "live_1_ab?txSecret=0f&txTime=FFFFFFF0"`},
			want:  arrived{"trtc_1400000000", "live_1_ab", "txSecret=0f&txTime=FFFFFFF0"},
		},
		{
			preset: "youtube", host: "rtmp://a.rtmp.youtube.com:1935",
			lines: []string{`/livepush save yt --preset youtube --key ab1c-de2f-gh3i-jk4l-mn5o`, `/livepush to yt`},
			want:  arrived{"live2", "ab1c-de2f-gh3i-jk4l-mn5o", ""},
		},
		{
			preset: "twitch", host: "rtmp://live.twitch.tv:1935",
			lines: []string{`/livepush save ttv --preset twitch --key live_123456_aBcD`, `/livepush to ttv`},
			want:  arrived{"app", "live_123456_aBcD", ""},
		},
		{
			preset: "facebook", host: "rtmps://live-api-s.facebook.com:443",
			lines: []string{`/livepush save fb --preset facebook --key "FB-1234567890-0-AbCd?s_bl=1&s_psm=1&a=Ab-_1"`, `/livepush to fb`},
			want:  arrived{"rtmp", "FB-1234567890-0-AbCd", "s_bl=1&s_psm=1&a=Ab-_1"},
		},
		{
			preset: "tiktok", host: "rtmp://push-rtmp-l1-va01.tiktokcdn.com:1935",
			lines: []string{`/livepush --name tt --url rtmp://push-rtmp-l1-va01.tiktokcdn.com/game --key "stream-112345678901234567?expire=4070908800&sign=c"`},
			want:  arrived{"game", "stream-112345678901234567", "expire=4070908800&sign=c"},
		},
		{
			preset: livepush.GenericPreset, host: "rtmp://ingest.example.com:1936",
			lines: []string{`/livepush --name own --url rtmp://ingest.example.com:1936/live --key "a b"`, `/livepush --name own --url rtmp://ingest.example.com:1936/live --key "Key+/=~"`},
			want:  arrived{"live", "Key+/=~", ""},
		},
	},
	{ // pasted in one piece, as platforms also show it
		{
			preset: "bilibili", host: "rtmp://live-push.bilivideo.com:1935",
			lines: []string{`/livepush --name b --url "rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_3_4&key=0a1b"`},
			want:  arrived{"live-bvc", "", "streamname=live_3_4&key=0a1b"},
		},
		{
			preset: "douyin", host: "rtmp://push-rtmp-l6.douyincdn.com:1935",
			lines: []string{`/livepush --name dy --url "rtmp://push-rtmp-l6.douyincdn.com/third/stream-5012345678901234567?expire=4070908800&sign=d"`},
			want:  arrived{"third", "stream-5012345678901234567", "expire=4070908800&sign=d"},
		},
		{
			preset: "wechat", host: "rtmp://111.livepush.myqcloud.com:1935",
			lines: []string{`/livepush --name wx --url "rtmp://111.livepush.myqcloud.com/trtc_1400000000/live_2_cd?txSecret=0f&txTime=FFFFFFF0"`},
			want:  arrived{"trtc_1400000000", "live_2_cd", "txSecret=0f&txTime=FFFFFFF0"},
		},
		{
			preset: "youtube", host: "rtmps://a.rtmps.youtube.com:443",
			lines: []string{`/livepush --name yt --url rtmps://a.rtmps.youtube.com:443/live2/ab1c-de2f-gh3i-jk4l-zz5z`},
			want:  arrived{"live2", "ab1c-de2f-gh3i-jk4l-zz5z", ""},
		},
		{ // YouTube's second server: what follows its application's name belongs to the address
			preset: "youtube", host: "rtmp://b.rtmp.youtube.com:1935",
			lines: []string{`/livepush --name yt2 --url "rtmp://b.rtmp.youtube.com/live2?backup=1" --key ab1c-de2f-gh3i-jk4l-yy5y`},
			want:  arrived{"live2", "ab1c-de2f-gh3i-jk4l-yy5y", ""},
		},
		{
			preset: "facebook", host: "rtmps://live-api-s.facebook.com:443",
			lines: []string{`/livepush --name fb --url "rtmps://live-api-s.facebook.com:443/rtmp/FB-2234567890-0-AbCd?s_bl=1&a=e"`},
			want:  arrived{"rtmp", "FB-2234567890-0-AbCd", "s_bl=1&a=e"},
		},
		{ // an application of two words
			preset: livepush.GenericPreset, host: "rtmp://rtmp-auto.millicast.com:1935",
			lines: []string{`/livepush --name two --url "rtmp://rtmp-auto.millicast.com/v2/pub/stream1?token=0f"`},
			want:  arrived{"v2/pub", "stream1", "token=0f"},
		},
		{ // full-width, as an input method leaves it
			preset: livepush.GenericPreset, host: "rtmp://wide.example.com:1935",
			lines: []string{`/livepush --name 全角 --url rtmp：／／wide.example.com／live --key AB12？token＝0f`},
			want:  arrived{"live", "AB12", "token=0f"},
		},
	},
	{ // without the slash that others end with
		{
			preset: "bilibili", host: "rtmp://live-push.bilivideo.com:1935",
			lines: []string{`/livepush --name b --url rtmp://live-push.bilivideo.com/live-bvc --key "?streamname=live_5_6&key=0a1b" --standby`, `/livepush on b`},
			want:  arrived{"live-bvc", "", "streamname=live_5_6&key=0a1b"},
		},
		{
			preset: "wechat", host: "rtmp://111.livepush.myqcloud.com:1935",
			lines: []string{`/livepush --name wx --url rtmp://111.livepush.myqcloud.com/trtc_1400000000 --key "live_3_ef?txSecret=0f&txTime=FFFFFFF0"`},
			want:  arrived{"trtc_1400000000", "live_3_ef", "txSecret=0f&txTime=FFFFFFF0"},
		},
		{
			preset: "twitch", host: "rtmp://live.twitch.tv:1935",
			lines: []string{`/livepush --name ttv --url rtmp://live.twitch.tv/app/ --key live_223456_aBcD`},
			want:  arrived{"app", "live_223456_aBcD", ""},
		},
	},
}

// TestTheStreamArrivesAsThePlatformWantsIt sets every preset in every shape from chat, has a
// meeting go live, and asks a real RTMP server what arrived there.
func TestTheStreamArrivesAsThePlatformWantsIt(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("no encoder: apt-get install ffmpeg")
	}
	var apps []string
	tried := map[string]bool{}
	for _, show := range shows {
		for _, s := range show {
			tried[s.preset] = true
			if !slices.Contains(apps, s.want.App) {
				apps = append(apps, s.want.App)
			}
		}
	}
	for _, p := range livepush.Presets() {
		assert.True(t, tried[p.ID], "%s is not tried", p.ID)
	}
	server := startIngest(t, apps)

	in, lines := io.Pipe()
	out := &screen{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	env := map[string]string{"DATA_DIR": private(t), "TENCENT_USERS": ""}
	go func() {
		done <- run(ctx, process{
			args: []string{"console"}, lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
			stdin: in, stdout: out, stderr: out,
			sandbox: func(c *sandbox.Config) { c.Encoder = &sandbox.Encoder{FFmpeg: ffmpeg, Dial: server.Dial} },
		})
	}()
	defer func() {
		cancel()
		assert.NoError(t, <-done) // the sandbox's programs end with it
	}()
	say := func(line string) {
		_, err := io.WriteString(lines, line+"\n")
		require.NoError(t, err)
	}

	for i, show := range shows {
		out.clear()
		say(fmt.Sprintf("/meet --provider tencent --live Show %d", i))
		page := out.await(t, `Join +(http://127\.0\.0\.1:\d+/dm/\S+)\s`)[1]
		key := out.await(t, `Host key +(\d{6})\s`)[1]
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		act := func(action string) {
			resp, err := (&http.Client{Jar: jar}).PostForm(page, url.Values{"action": {action}, "name": {"host"}, "host_key": {key}})
			require.NoError(t, err)
			_ = resp.Body.Close() // only its status is looked at
			require.Equal(t, http.StatusOK, resp.StatusCode, action)
		}
		var want []arrived
		var hosts []string
		for _, s := range show {
			out.clear()
			for _, line := range s.lines {
				say(line)
			}
			say("/meet list") // follows the answers
			out.await(t, `1 of 1 (set|turned on)[^$]*Meetings here`)
			want, hosts = append(want, s.want), append(hosts, s.host)
		}
		slices.Sort(hosts)
		act("enter")
		act("live")
		out.await(t, `Status +Live since`)
		assert.Eventually(t, func() bool { on, _ := server.count(); return on >= len(want) }, 30*time.Second, 20*time.Millisecond)
		on, dialled := server.take()
		assert.ElementsMatch(t, want, on)
		assert.Equal(t, hosts, dialled)

		if i == 0 { // one is taken off the air and put there again, and nobody else is disturbed
			say("/livepush off yt")
			assert.Eventually(t, func() bool { _, ended := server.count(); return ended == 1 }, 20*time.Second, 20*time.Millisecond)
			say("/livepush on yt")
			assert.Eventually(t, func() bool { on, _ := server.count(); return on == 1 }, 20*time.Second, 20*time.Millisecond)
			on, _ := server.take()
			assert.Equal(t, []arrived{{"live2", "ab1c-de2f-gh3i-jk4l-mn5o", ""}}, on)
		}
		act("end")
		out.await(t, `Status +Ended at`)
		assert.Eventually(t, func() bool { _, ended := server.count(); return ended == len(want) }, 20*time.Second, 20*time.Millisecond, "all of it ends")
		again, _ := server.count()
		assert.Zero(t, again)
		server.take()
	}
	require.NoError(t, lines.Close())
}
