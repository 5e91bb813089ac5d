package faults

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/pinflow/pinflow/web/client"
)

// watchReaders reads how many posts are counted, by turns from all that serve it, and sees to it that readers never see fewer than before. What cannot be read
// is asked again. It ends when what it returns is called.
func (w *world) watchReaders() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var watching sync.WaitGroup
	read, failed, most := 0, 0, int64(0)
	watching.Go(func() {
		for n := 0; rest(ctx, 200*time.Millisecond); n++ {
			all := append(w.of("web"), w.of("up")...)
			p := all[n%len(all)]
			if p.hasEnded() || p.at() == "" {
				continue
			}
			total, err := readTotal(ctx, p.at())
			switch {
			case err != nil:
				failed++
			case total < most:
				w.t.Errorf("readers saw %d posts, and then %s told %d", most, p.name, total)
			default:
				read, most = read+1, total
			}
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		watching.Wait()
		w.t.Logf("readers asked %d times, and %d times in vain; the last saw %d posts", read+failed, failed, most)
		if read == 0 {
			w.t.Error("nothing could be read at all")
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// readTotal reads how many posts are counted.
func readTotal(ctx context.Context, at string) (total int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	result, err := client.Client{Base: at}.SQL(ctx, "SELECT CAST(coalesce(sum(number_of_records), 0) AS BIGINT) AS n FROM category_popularity", url.Values{})
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(fmt.Sprint(result.Rows[0][0]), 10, 64)
}
