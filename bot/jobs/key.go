package jobs

import (
	"errors"
	"fmt"

	"meetbot/bot/jobs/internal/engine"
)

// Kinds of records: the first segment of every key.
const (
	kindJob   = "job"
	kindDoc   = "doc"
	kindTimer = "timer"
	kindMeta  = "meta"
)

const (
	maxID     = 200 // bytes
	maxDocKey = 300 // bytes, all segments together
)

func jobKey(id string) (string, error) {
	if id == "" || len(id) > maxID {
		return "", fmt.Errorf("a job's ID has 1 to %d bytes, not %d", maxID, len(id))
	}
	return engine.JoinKey(kindJob, id), nil
}

func docKey(segments []string) (string, error) {
	n := 0
	for _, s := range segments {
		if s == "" {
			return "", errors.New("a document's key has no empty segment")
		}
		n += len(s)
	}
	if len(segments) == 0 || n > maxDocKey {
		return "", fmt.Errorf("a document's key has 1 to %d bytes, not %d", maxDocKey, n)
	}
	return engine.JoinKey(kindDoc, segments...), nil
}

func timerKey(key string) (string, error) {
	if key == "" || len(key) > maxDocKey {
		return "", fmt.Errorf("a timer's key has 1 to %d bytes, not %d", maxDocKey, len(key))
	}
	return engine.JoinKey(kindTimer, key), nil
}
