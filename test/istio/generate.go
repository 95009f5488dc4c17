package main

import (
	"encoding/json"
	"sort"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"istio.io/istio/pilot/pkg/config/kube/extensions"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pilot/pkg/xds/endpoints"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/kube/krt"
	"istio.io/istio/pkg/test"
)

// sidecar is the proxy of one pod.
type sidecar struct {
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels"`
	// IstioVersion of the proxy, such as 1.31.0.
	IstioVersion string `json:"istioVersion"`
}

// generated is what istiod would send to a sidecar.
type generated struct {
	listeners  []proto.Message
	clusters   []proto.Message
	endpoints  []proto.Message
	routes     []proto.Message
	extensions []*anypb.Any
}

// generate runs istiod's own config generator.
func generate(configs []config.Config, pod *sidecar) (made *generated, err error) {
	err = test.Wrap(func(t test.Failer) {
		made = &generated{}
		gen := core.NewConfigGenTest(t, core.TestOptions{
			Configs: configs,
			// istiod turns WasmPlugins into TrafficExtensions before they reach the generator.
			CreateConfigStore: func(store model.ConfigStoreController) model.ConfigStoreController {
				return extensions.NewController(store, nil, krt.GlobalDebugHandler)
			},
		})
		proxy := gen.SetupProxy(&model.Proxy{
			ConfigNamespace: pod.Namespace,
			Labels:          pod.Labels,
			Metadata: &model.NodeMetadata{
				Namespace: pod.Namespace, Labels: pod.Labels, IstioVersion: pod.IstioVersion,
			},
		})
		listeners := gen.Listeners(proxy)
		var texts []string
		for _, listener := range listeners {
			made.listeners = append(made.listeners, listener)
			text, err := protojson.Marshal(listener)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(text))
		}
		for _, cluster := range gen.Clusters(proxy) {
			made.clusters = append(made.clusters, cluster)
			if cluster.GetEdsClusterConfig() != nil {
				builder := endpoints.NewEndpointBuilder(cluster.Name, proxy, gen.PushContext())
				made.endpoints = append(made.endpoints, builder.BuildClusterLoadAssignment(gen.Env().EndpointIndex))
			}
		}
		for _, route := range gen.RoutesFromListeners(proxy, listeners) {
			made.routes = append(made.routes, route)
		}
		names := discovered(texts)
		for _, extension := range gen.ConfigGen.BuildExtensionConfiguration(proxy, gen.PushContext(), names, nil) {
			wrapped, err := anypb.New(extension)
			if err != nil {
				t.Fatal(err)
			}
			made.extensions = append(made.extensions, wrapped)
		}
	})
	return made, err
}

// discovered lists the extension configs that listeners ask for, as Envoy would.
func discovered(listeners []string) []string {
	found := map[string]bool{}
	for _, text := range listeners {
		var value any
		if json.Unmarshal([]byte(text), &value) == nil {
			collect(value, found)
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func collect(value any, found map[string]bool) {
	switch value := value.(type) {
	case []any:
		for _, inner := range value {
			collect(inner, found)
		}
	case map[string]any:
		if name, ok := value["name"].(string); ok && value["configDiscovery"] != nil {
			found[name] = true
		}
		for _, inner := range value {
			collect(inner, found)
		}
	}
}

func (made *generated) into(res *response) error {
	var err error
	if res.Listeners, err = toJSON(made.listeners); err != nil {
		return err
	}
	if res.Clusters, err = toJSON(made.clusters); err != nil {
		return err
	}
	if res.Endpoints, err = toJSON(made.endpoints); err != nil {
		return err
	}
	if res.Routes, err = toJSON(made.routes); err != nil {
		return err
	}
	var extensions []proto.Message
	for _, wrapped := range made.extensions {
		extension := &corev3.TypedExtensionConfig{}
		if err := wrapped.UnmarshalTo(extension); err != nil {
			return err
		}
		extensions = append(extensions, extension)
	}
	res.Extensions, err = toJSON(extensions)
	return err
}

func toJSON(messages []proto.Message) ([]json.RawMessage, error) {
	// Envoy's own names: what is compared with printed resources reads the same.
	options := protojson.MarshalOptions{UseProtoNames: true}
	texts := make([]json.RawMessage, 0, len(messages))
	for _, message := range messages {
		text, err := options.Marshal(message)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}
