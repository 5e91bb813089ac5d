package main

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow/config"
)

// TestTheAddressIsThatOfTheServer, also once it has served, and is one that this machine can open.
func TestTheAddressIsThatOfTheServer(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		g, err := openGuard(address, &config.Settings{Places: config.Places{Data: t.TempDir()}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		monitor(g, newMetrics(), nil)
		l, err := g.listen(t.Context())
		if err != nil {
			t.Skip("no such address here: ", err)
		}
		s := g.serve(l, func() {})
		for range 2 {
			if !strings.HasPrefix(s.url(), "http://") {
				t.Error(s.url())
			}
			answer, err := http.Get(s.url() + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			if said, err := io.ReadAll(answer.Body); err != nil || string(said) != "ok\n" {
				t.Errorf("%s %v", said, err)
			}
			answer.Body.Close()
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
}
