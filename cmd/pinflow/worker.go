package main

import (
	"context"
	"errors"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/web"
	"github.com/pinflow/pinflow/web/client"
)

// worker is where a command that works on the data finds who is to do it: the Pinflow that is named, else the one that holds the data, else this process.
type worker struct {
	config.Places
	config.Timing
	config.Limits
	config.Logging
	credentials
	At     string `name:"http" help:"Have the Pinflow at this address do it. By default the running one that holds --data, or else this process." placeholder:"URL"`
	Output string `help:"table, json or csv." enum:"table,json,csv" default:"table" short:"o" placeholder:"FORMAT"`
}

// ask runs f with a client of whoever does it.
func (w *worker) ask(ctx context.Context, t terminal, f func(client.Client) error) error {
	var c closers
	api, err := w.reach(ctx, t, &c)
	if err == nil {
		err = f(api)
	}
	return errors.Join(err, c.close())
}

func (w *worker) reach(ctx context.Context, t terminal, c *closers) (client.Client, error) {
	if w.At != "" {
		return w.credentials.client(w.At)
	}
	holder, err := datalock.Holder(w.Data)
	if err != nil {
		return client.Client{}, err
	}
	if holder != nil && holder.HTTP != "" {
		return clientOfHolder(holder)
	}
	return w.atRest(ctx, t, c)
}

// atRest opens all places in this process, which then does what is asked.
func (w *worker) atRest(ctx context.Context, t terminal, c *closers) (client.Client, error) {
	owns, err := ownsData(w.Places)
	if err != nil {
		return client.Client{}, err
	}
	if _, err := os.Stat(w.Data); owns && err != nil {
		return client.Client{}, &pinflow.Error{Op: "open data", On: w.Data, Kind: pinflow.NotFound, Err: err,
			Hint: "Name the folder that pinflow up --data has, or a running Pinflow with --http."}
	}
	limitMemory()
	s := &config.Settings{Places: w.Places, Timing: w.Timing, Limits: w.Limits, Logging: w.Logging,
		Listen: config.Listen{KafkaListen: "127.0.0.1:0"}} // nobody else is to connect
	core, err := openCore(ctx, s, newLog(w.Logging, t), prometheus.NewRegistry(), t, duty{})
	c.add(func() error { return core.closers.close() })
	if err != nil {
		return client.Client{}, err
	}
	o, err := newOperator(ctx, core, 1)
	if err != nil {
		return client.Client{}, err
	}
	c.add(o.close)
	return inProcessClient(web.Options{Store: core.store, Plan: core.plans.current, Operate: o, Journal: core.journal,
		Limits: web.Limits{SQLRows: w.SQLRows, SQLTime: w.SQLTime}}, c)
}

// differs is the error of a command that has found a difference.
func differs(what string) error {
	return &pinflow.Error{Op: what, Kind: pinflow.Difference, Err: errors.New("there is a difference"),
		Hint: "pinflow audit shows it, pinflow audit --deep finds where it comes from."}
}
