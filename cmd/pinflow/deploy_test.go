package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// deployed is the folder of what users deploy with.
const deployed = "../../deploy"

// parses holds a command line, with an environment, to what pinflow takes; nothing is run.
func parses(t *testing.T, where string, environment map[string]string, args ...string) {
	t.Helper()
	known := variables(t)
	for name, value := range environment {
		if strings.HasPrefix(name, "PINFLOW_") && !known[name] {
			t.Errorf("%s: nobody reads %s", where, name)
		}
		t.Setenv(name, value)
	}
	var commands cli
	parser, err := kong.New(&commands, options(t.Context(), terminal{&bytes.Buffer{}, &bytes.Buffer{}})...)
	must(t, err)
	if _, err := parser.Parse(args); err != nil {
		t.Errorf("%s: pinflow %s: %v", where, strings.Join(args, " "), err)
	}
	for name := range environment {
		must(t, os.Unsetenv(name))
	}
}

// variables are those of the environment that pinflow reads.
func variables(t *testing.T) map[string]bool {
	t.Helper()
	parser, err := kong.New(&cli{}, options(context.Background(), terminal{&bytes.Buffer{}, &bytes.Buffer{}})...)
	must(t, err)
	known := map[string]bool{keysVariable: true, kafkaPassword: true}
	for _, leaf := range parser.Model.Leaves(false) {
		for _, flag := range leaf.AllFlags(false) {
			for _, group := range flag {
				for _, name := range group.Envs {
					known[name] = true
				}
			}
		}
	}
	return known
}

func TestDeployedSettings(t *testing.T) {
	for _, role := range []string{"up", "ingest", "lake", "stream", "schedule", "web", "batch", "doctor"} {
		parses(t, "pinflow.yaml", nil, role, "--config", filepath.Join(deployed, "pinflow.yaml"))
	}
	text, err := os.ReadFile(filepath.Join(deployed, "secrets.env.example"))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && value != "" && !strings.HasPrefix(name, "#") {
			t.Errorf("secrets.env.example has a value of %s: no default secrets", name)
		}
	}
}

// TestUnits holds each unit of systemd to what pinflow takes.
func TestUnits(t *testing.T) {
	units, err := filepath.Glob(filepath.Join(deployed, "systemd", "*.service"))
	must(t, err)
	if len(units) < 6 {
		t.Fatalf("there are %d units", len(units))
	}
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/pinflow (.+)$`)
	variable := regexp.MustCompile(`(?m)^Environment=(\w+)=(.+)$`)
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		must(t, err)
		command := start.FindSubmatch(text)
		if command == nil {
			t.Errorf("%s starts no pinflow", unit)
			continue
		}
		environment := map[string]string{}
		for _, v := range variable.FindAllSubmatch(text, -1) {
			environment[string(v[1])] = strings.ReplaceAll(string(v[2]), "%i", "1")
		}
		environment["PINFLOW_CONFIG"] = filepath.Join(deployed, "pinflow.yaml")
		parses(t, unit, environment, strings.Fields(string(command[1]))...)
	}
}

// TestCompose holds the services of the compose file to what pinflow takes, and the file to itself.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deployed, "compose.yaml"))
	must(t, err)
	var file struct {
		Services map[string]struct {
			Image       string
			Command     []string
			Environment map[string]string
			Secrets     []string
			Ports       []string
		}
		Secrets map[string]any
	}
	must(t, yaml.UnmarshalWithOptions(text, &file, yaml.AllowDuplicateMapKey())) // what is merged may be said again
	roles := 0
	for name, s := range file.Services {
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s is published to everybody: %s", name, port)
			}
		}
		for _, secret := range s.Secrets {
			if file.Secrets[secret] == nil {
				t.Errorf("%s: there is no secret %s", name, secret)
			}
		}
		if s.Image == "pinflow" {
			roles++
			parses(t, "compose.yaml: "+name, s.Environment, s.Command...)
		}
	}
	if roles != 5 {
		t.Errorf("%d services are pinflow's", roles)
	}
}
