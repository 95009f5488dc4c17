// Command istio says what Istio itself makes of resources, without a cluster: it validates them as istiod's webhook
// does, runs istiod's config generator on them for one sidecar, and fetches modules as the agent in the sidecar does.
//
// It reads a request (JSON) on standard input and writes a response (JSON) on standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"istio.io/istio/pkg/log"
)

// request is what is asked.
type request struct {
	// Resources as YAML documents.
	Resources string `json:"resources"`
	// Sidecar the config is generated for; without it the resources are only validated.
	Sidecar *sidecar `json:"sidecar"`
	// Agent fetches the modules that the extension configs name; without it they stay addresses.
	Agent *agent `json:"agent"`
}

// response is what came of it.
type response struct {
	// Problems of resources, one line each. With any, nothing is generated.
	Problems []string `json:"problems"`
	// Warnings that Istio prints when the resources are applied.
	Warnings []string `json:"warnings"`
	// Listeners, clusters, endpoints, routes and extension configs as istiod would send them, in protobuf's JSON.
	Listeners  []json.RawMessage `json:"listeners"`
	Clusters   []json.RawMessage `json:"clusters"`
	Endpoints  []json.RawMessage `json:"endpoints"`
	Routes     []json.RawMessage `json:"routes"`
	Extensions []json.RawMessage `json:"extensions"`
}

func main() {
	quiet()
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// quiet sends Istio's own log to standard error, errors only: standard output is the answer's.
func quiet() {
	options := log.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	options.SetDefaultOutputLevel(log.OverrideScopeName, log.ErrorLevel)
	_ = log.Configure(options)
}

func answer() error {
	var req request
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&req); err != nil {
		return fmt.Errorf("the request cannot be read: %w", err)
	}
	configs, problems, warnings := parse(req.Resources)
	res := response{Problems: problems, Warnings: warnings}
	if len(problems) == 0 && req.Sidecar != nil {
		made, err := generate(configs, req.Sidecar)
		if err != nil {
			return err
		}
		if req.Agent != nil {
			if err := req.Agent.fetch(made.extensions, time.Minute); err != nil {
				return err
			}
		}
		if err := made.into(&res); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(res)
}
