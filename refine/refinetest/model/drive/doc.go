// Package drive lets the real parts of Pinflow do what the model does: the same schedule goes through both, step by step, and after each step
// that changes something they must hold the same.
//
//	store   a store: claims, commits, installs, holds and switches
//	plan    the tables of the model's world as a store has them
//	delta   a live batch of the model as a store takes it
//	period  and a period that goes into it
//	expect  what the store must hold
//
// Its tests let the store on DuckDB do so, and the writers and sealers of the lake.
package drive
