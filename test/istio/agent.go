package main

import (
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	"istio.io/istio/pkg/util/sets"
	"istio.io/istio/pkg/wasm"
)

// agent is the process beside Envoy in a sidecar, which fetches modules before Envoy hears of them.
type agent struct {
	// Folder the modules are kept in.
	Folder string `json:"folder"`
	// InsecureHosts are registries and servers that are asked without TLS, as host:port.
	InsecureHosts []string `json:"insecureHosts"`
}

// fetch replaces addresses by files, as the agent does on a push: what cannot be fetched becomes a filter that refuses
// every call.
func (a *agent) fetch(extensions []*anypb.Any, timeout time.Duration) error {
	cache := wasm.NewLocalFileCache(a.Folder, wasm.Options{
		InsecureRegistries:    sets.New(a.InsecureHosts...),
		HTTPRequestTimeout:    timeout,
		HTTPRequestMaxRetries: wasm.DefaultHTTPRequestMaxRetries,
	})
	defer cache.Cleanup()
	return wasm.MaybeConvertWasmExtensionConfig(extensions, cache)
}
