// Package config turns text into settings: flags, environment, a file, defaults, in this order of precedence.
//
// Settings and its parts (Places, Listen, Timing, Limits, Logging) are structs for kong: a command embeds what it takes.
// Kong() is the option that makes them work; the root of the commands embeds File, which has --config:
//
//	var commands struct {
//		config.File
//		Up struct{ config.Settings } `cmd:""`
//	}
//	parser, err := kong.New(&commands, config.Kong())
//
// For every setting there is one name: --log-period, PINFLOW_LOG_PERIOD, and log-period in pinflow.yaml. A flag on the
// command line wins; else the variable, if it is there; else the file; else the default. Kong by itself would let a file win
// over the environment, so the file's resolver has no answer for a flag whose variable is there. Nor has it one for
// a flag that has a setting's name but not its variable: what --http means to a command that asks a running
// Pinflow is not where that one listens.
//
// A setting without a default (LogPeriod, Lake, Store, Pipeline) is zero unless somebody gave it, be it
// by flag, variable or file. That is how "given explicitly" is told from "the default".
//
// Secrets are never in a flag, where every user of the machine can see them: a URL with a password comes from the
// environment or the file. No error shows a password.
package config
