// Package storetest is the conformance suite of every store: what pinflow's interfaces to a store promise,
// held against plain models of the same records.
package storetest

import (
	"context"
	"testing"

	"github.com/pinflow/pinflow"
)

// Store is all halves of a store.
type Store interface {
	pinflow.LiveStore
	pinflow.BatchStore
	pinflow.GenerationStore
	pinflow.AuditStore
	pinflow.StoreReader
	// ReportInfo returns what is known of the reports stored in a generation, by name.
	ReportInfo(ctx context.Context, generation string) ([]pinflow.ReportInfo, error)
	Close() error
}

// Env is one place for a store, empty at first.
type Env struct {
	// Open opens the store of that place. It is called again after Close, which must have kept everything.
	Open func(t testing.TB) Store
	// Native returns rows as a relation that the store reads in a way of its own, faster than Scan. nil if there is no such way.
	Native func(t testing.TB, columns []pinflow.Column, rows [][]any) pinflow.Relation
	// Part writes rows into a file that the store can read. nil if the store keeps no rows of models that keep recent ones only.
	Part func(t testing.TB, columns []pinflow.Column, rows [][]any) pinflow.Part
}

// Run holds the stores that newEnv gives to the contract. Each call of newEnv is another place.
func Run(t *testing.T, newEnv func(t testing.TB) Env) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, env Env)
	}{
		{"DeltasMergeAsInModel", testModel},
		{"ExtremesComeBackExact", testExtremes},
		{"FenceLetsOneIn", testFence},
		{"FailedCommitLeavesNothing", testFailedCommit},
		{"SnapshotsAreExact", testConcurrency},
		{"PrepareAndClaimTwice", testTwice},
		{"Refusals", testRefusals},
		{"OtherGenerationLeavesViews", testOtherGeneration},
		{"ChangesWakeReaders", testChanges},
		{"ViewQueries", testViewQueries},
		{"ViewQueriesTakeNoMore", testViewRefusals},
		{"SQLQueries", testSQLQueries},
		{"SQLQueriesOnlyRead", testSQLRefusals},
		{"Limits", testLimits},
		{"FailedChangeLeavesNothing", testFailedChange},
		{"OneRowByKey", testByKey},
		{"InstallOvertakesLiveHalf", testOvertaken},
		{"InstallAgainKeepsNewer", testAgain},
		{"ClockBeyondTheGrace", testClock},
		{"EmptyPeriods", testEmptyPeriods},
		{"FailedInstallLeavesNothing", testFailedInstall},
		{"InstallRefusals", testInstallRefusals},
		{"ComparisonsAreKept", testComparisons},
		{"CompareReplacesNothing", testCompare},
		{"Counts", testCounts},
		{"Reports", testReports},
		{"TwoInstallsAtOnce", testTwoInstalls},
		{"GenerationsSwitch", testSwitch},
		{"HoldLetsNobodyAhead", testHold},
		{"DropGeneration", testDrop},
		{"TwoSwitchesAtOnce", testTwoSwitches},
		{"EverythingAtOnce", testEverythingAtOnce},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newEnv(t)) })
	}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, newEnv func(testing.TB) Env)
	}{
		{"EntitiesAsInModel", testEntities},
		{"InstallsAsInModel", testInstalls},
		{"DifferencesAreFound", testDifferences},
		{"InstallBesideCommit", testInstallBesideCommit},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newEnv) })
	}
}

// rows is a relation of Go values.
type rows [][]any

// Scan implements pinflow.Relation.
func (r rows) Scan(ctx context.Context, f func(row []any) error) error {
	for _, row := range r {
		if err := f(append([]any(nil), row...)); err != nil {
			return err
		}
	}
	return ctx.Err()
}
