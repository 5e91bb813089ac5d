package config

import (
	"errors"
	"os"
	"reflect"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/pinflow/pinflow"
)

// DefaultFile is the file of settings that is read if it is there and no other is named.
const DefaultFile = "pinflow.yaml"

// File is the flag that names the file of settings. The root of the commands embeds it.
type File struct {
	Config string `help:"The file of settings. By default pinflow.yaml in this folder, if it is there." env:"PINFLOW_CONFIG" placeholder:"FILE"`
}

// Kong is the option with which the parts of Settings that commands embed take their values from the file too
// and are checked, all at once, before the command runs. What is wrong makes kong's Parse fail with an Invalid error.
func Kong() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		return errors.Join(kong.WithBeforeResolve(useFile).Apply(k), kong.WithAfterApply(checkParts).Apply(k))
	})
}

// useFile adds the resolver of the file of settings.
func useFile(ctx *kong.Context, at *kong.Path) error {
	if at.App == nil { // the hook is called for everything on the command line
		return nil
	}
	path := ""
	for _, flag := range ctx.Flags() {
		if slices.Contains(flag.Tag.Envs, "PINFLOW_CONFIG") {
			path, _ = ctx.FlagValue(flag).(string)
		}
	}
	named := path != ""
	if !named {
		path = DefaultFile
	}
	resolver, err := Resolver(path)
	if !named && pinflow.KindOf(err) == pinflow.NotFound {
		return nil
	}
	if err == nil {
		ctx.AddResolver(resolver)
	}
	return err
}

// Resolver reads a file of settings and returns what it says to kong: of settings that have not been given by
// a flag or by the environment. A missing file is a NotFound error, a wrong one an Invalid one.
func Resolver(path string) (kong.Resolver, error) {
	settings, err := flags()
	if err != nil {
		return nil, err
	}
	f, err := readFile(path, settings)
	if err != nil {
		return nil, err
	}
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		text, said := f[flag.Name]
		if !said || !isSetting(flag, settings) || inEnvironment(flag) {
			return nil, nil
		}
		return text, nil
	}), nil
}

// isSetting tells whether a flag is a setting, and not just called like one.
func isSetting(flag *kong.Flag, settings []*kong.Flag) bool {
	return slices.ContainsFunc(settings, func(s *kong.Flag) bool {
		return s.Name == flag.Name && slices.Equal(s.Tag.Envs, flag.Tag.Envs)
	})
}

func inEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Tag.Envs, func(name string) bool {
		_, ok := os.LookupEnv(name)
		return ok
	})
}

// flags returns the flags that Settings makes, in its order.
func flags() ([]*kong.Flag, error) {
	var s Settings
	parser, err := kong.New(&s, kong.NoDefaultHelp())
	if err != nil {
		return nil, &pinflow.Error{Op: "read the tags of the settings", Err: err}
	}
	return parser.Model.Flags, nil
}

// checkParts checks the parts of Settings in the command that was chosen and those above it.
func checkParts(ctx *kong.Context, at *kong.Path) error {
	if at.App == nil {
		return nil
	}
	given := map[string]bool{}
	for _, p := range ctx.Path {
		if p.Flag != nil && !p.Resolved {
			given[p.Flag.Name] = true
		}
	}
	var faults []error
	for _, p := range ctx.Path {
		switch {
		case p.App != nil:
			faults = append(faults, faultsIn(p.App.Target, given)...)
		case p.Command != nil:
			faults = append(faults, faultsIn(p.Command.Target, given)...)
		}
	}
	return joined(faults)
}

// faultsIn returns the faults of the parts that a struct is or embeds.
func faultsIn(v reflect.Value, given map[string]bool) []error {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || !v.CanAddr() {
		return nil
	}
	switch p := v.Addr().Interface().(type) { // not "implements part": a struct that embeds one part does that too
	case *Places, *Listen, *Timing, *Limits:
		return p.(part).faults(func(name string) bool { return given[name] })
	}
	var faults []error
	for i := range v.NumField() {
		field := v.Type().Field(i)
		_, embedded := field.Tag.Lookup("embed")
		if field.IsExported() && (field.Anonymous || embedded) {
			faults = append(faults, faultsIn(v.Field(i), given)...)
		}
	}
	return faults
}
