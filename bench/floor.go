package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
)

// floorEnv makes this program a peer that does the least of what is measured: it verifies a
// command's signature, acknowledges it, and answers with one message.
const floorEnv = "BENCH_FLOOR"

func serveFloor() error {
	key := []byte(os.Getenv("SLACK_SIGNING_SECRET"))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "v0:%s:%s", r.Header.Get("X-Slack-Request-Timestamp"), body) // never fails
		form, formErr := url.ParseQuery(string(body))
		if err != nil || formErr != nil || !hmac.Equal([]byte("v0="+hex.EncodeToString(mac.Sum(nil))), []byte(r.Header.Get("X-Slack-Signature"))) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		go func() {
			answer, err := client.Post(form.Get("response_url"), "application/json", bytes.NewReader([]byte(`{"response_type":"ephemeral","text":"No meetings here"}`)))
			if err != nil {
				return // it is missed in the count
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}()
	}))
}
