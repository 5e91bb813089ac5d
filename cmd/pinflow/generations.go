package main

import (
	"context"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/web"
	"github.com/pinflow/pinflow/web/client"
)

// generationCmd manages generations.
type generationCmd struct {
	List   generationList   `cmd:"" help:"List the generations that the store has."`
	Build  generationBuild  `cmd:"" help:"Build the generation of the definition as it is now, and let it take over."`
	Switch generationSwitch `cmd:"" help:"Let another generation that the store has take over: a rollback."`
	Drop   generationDrop   `cmd:"" help:"Remove a generation, from the store and from the lake's derived files."`
}

// Help is shown by --help.
func (generationCmd) Help() string {
	return `Tables are kept per generation, which is named by the definition's hash. A changed definition gets a new one: its closed periods come from the lake, the rest from the journal, and then readers see it instead of the old one, in one step. pinflow up does so by itself when it starts with a changed definition.

Examples:

  pinflow generation list
  pinflow generation build
  pinflow generation switch gen_0123456789abcdef`
}

// generationList lists them.
type generationList struct{ worker }

// Run shows the list.
func (c *generationList) Run(ctx context.Context, t terminal) error {
	return c.ask(ctx, t, func(api client.Client) error {
		all, err := api.Generations(ctx)
		if err != nil {
			return err
		}
		return printGenerations(t, c.Output, all)
	})
}

// generationBuild builds the definition's.
type generationBuild struct {
	worker
	OnlyBuild bool `help:"Do not let it take over."`
}

// Help is shown by --help.
func (generationBuild) Help() string {
	return `The Pinflow that holds the data reads the definition anew from the folder that it was started with.

Example:

  pinflow generation build --only-build`
}

// Run builds it.
func (c *generationBuild) Run(ctx context.Context, t terminal) error {
	return c.ask(ctx, t, func(api client.Client) error {
		bar := newWorkBar(t.err)
		info, err := api.BuildGeneration(ctx, web.BuildRequest{Switch: !c.OnlyBuild}, bar.show)
		bar.end()
		if err != nil {
			return err
		}
		return printGenerations(t, c.Output, []web.GenerationInfo{*info})
	})
}

// generationSwitch lets one take over.
type generationSwitch struct {
	worker
	Generation string `arg:"" help:"Its name."`
}

// Help is shown by --help.
func (generationSwitch) Help() string {
	return `It first gets what it lacks. Readers see the old one, then the new one, never fewer records. The choice stands until the definition changes again, or is built by hand.

Example:

  pinflow generation switch gen_0123456789abcdef`
}

// Run switches.
func (c *generationSwitch) Run(ctx context.Context, t terminal) error {
	return c.ask(ctx, t, func(api client.Client) error {
		bar := newWorkBar(t.err)
		info, err := api.SwitchGeneration(ctx, c.Generation, bar.show)
		bar.end()
		if err != nil {
			return err
		}
		return printGenerations(t, c.Output, []web.GenerationInfo{*info})
	})
}

// generationDrop removes one.
type generationDrop struct {
	worker
	Generation string `arg:"" help:"Its name."`
}

// Help is shown by --help.
func (generationDrop) Help() string {
	return `The current one cannot be dropped. What is dropped can be built again: records are never touched.

Example:

  pinflow generation drop gen_0123456789abcdef`
}

// Run drops it.
func (c *generationDrop) Run(ctx context.Context, t terminal) error {
	return c.ask(ctx, t, func(api client.Client) error { return api.DropGeneration(ctx, c.Generation) })
}

func printGenerations(t terminal, output string, all []web.GenerationInfo) error {
	result := &pinflow.Result{Columns: []pinflow.Column{{Name: "generation", Type: "VARCHAR"}, {Name: "current", Type: "BOOLEAN"}, {Name: "made_at", Type: "TIMESTAMPTZ"},
		{Name: "installed_periods", Type: "BIGINT"}, {Name: "positions", Type: "VARCHAR"}, {Name: "behind", Type: "BIGINT"}}}
	for _, g := range all {
		var at []string
		for _, p := range g.Positions {
			at = append(at, pinflow.Position{TopicPartition: pinflow.TopicPartition{Topic: p.Topic, Partition: p.Partition}, Offset: p.NextOffset}.String())
		}
		result.Rows = append(result.Rows, []any{g.Name, g.Current, g.MadeAt, int64(g.Installed), strings.Join(at, ", "), g.Behind})
	}
	return printResult(t.out, output, result)
}
