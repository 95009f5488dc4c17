package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
)

// parse reads resources strictly, unknown fields being problems, and validates each.
func parse(documents string) (configs []config.Config, problems, warnings []string) {
	decoder := kubeyaml.NewYAMLOrJSONDecoder(strings.NewReader(documents), 512*1024)
	for {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return configs, problems, warnings
		}
		if err != nil {
			return configs, append(problems, fmt.Sprintf("cannot be parsed: %v", err)), warnings
		}
		if string(raw) == "null" || len(raw) == 0 {
			continue
		}
		cfg, warning, err := one(raw)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		if warning != nil {
			warnings = append(warnings, warning.Error())
		}
		configs = append(configs, *cfg)
	}
}

func one(raw json.RawMessage) (cfg *config.Config, warning, err error) {
	var object crd.IstioKind
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&object); err != nil {
		return nil, nil, err
	}
	gvk := object.GroupVersionKind()
	name := fmt.Sprintf("%s %s/%s", gvk.Kind, object.Namespace, object.Name)
	schema, known := collections.PilotGatewayAPI().FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
	if !known {
		return nil, nil, fmt.Errorf("%s: Istio does not know %s", name, gvk)
	}
	cfg, err = crd.ConvertObjectInternal(schema, &object, "cluster.local", strictJSON)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	warning, err = schema.ValidateConfig(*cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	if warning != nil {
		warning = fmt.Errorf("%s: %w", name, warning)
	}
	return cfg, warning, nil
}

// strictJSON is crd.FromJSON with unknown fields as errors.
func strictJSON(schema resource.Schema, text string) (config.Spec, error) {
	spec, err := schema.NewInstance()
	if err != nil {
		return nil, err
	}
	return spec, config.ApplyJSONStrict(spec, text)
}
