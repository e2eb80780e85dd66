package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	syncTimes = 200
	syncLimit = time.Second // for all of them
)

// syncs measures how long the disk under dir takes to have 4 KiB for good.
func syncs(dir string) ([]time.Duration, error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	page := make([]byte, 4096)
	for began := time.Now(); len(took) < syncTimes && time.Since(began) < syncLimit; {
		if _, err := f.WriteAt(page, int64(len(took)*len(page))); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, max(1, time.Since(start)))
	}
	return took, nil
}

// askRedis finds out before anything is measured: without a store every request is refused, and quickly.
func askRedis(ctx context.Context, url string) error {
	if url == "" {
		return nil
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return errors.New("--redis is not a URL of Redis, as redis://127.0.0.1:6379")
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	client := redis.NewClient(o)
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("the Redis of --redis does not answer: %w", err)
	}
	return nil
}

// clearRedis deletes what a run has left there, as far as that takes little time: the server that
// it was for has been ended.
func clearRedis(url, prefix string) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return
	}
	client := redis.NewClient(o)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		_ = client.Unlink(ctx, keys.Val()).Err() // whatever stays does no harm
	}
}
