// Package helm checks the chart in envoy/helm/layotto with Helm's own code: its linter, and its templates, which must
// make what `layotto envoy manifests` prints.
package helm

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	k8syaml "sigs.k8s.io/yaml"
)

const chartDir = "../../envoy/helm/layotto"
const rendered = "../../envoy/rendered"

var forms = []struct{ form, namespace string }{
	{"daemonset", "layotto-system"},
	{"sidecar", "shop"},
}

func values(t *testing.T, form string) map[string]any {
	t.Helper()
	found, err := chartutil.ReadValuesFile(filepath.Join(rendered, "bridge-"+form+".values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLint(t *testing.T) {
	all := map[string]map[string]any{"defaults": {}}
	for _, it := range forms {
		all[it.form] = values(t, it.form)
	}
	for name, given := range all {
		t.Run(name, func(t *testing.T) {
			result := lint.All(chartDir, given, "layotto-system", true)
			for _, message := range result.Messages {
				// An icon is a matter of taste, and the only thing it may say.
				if message.Severity > support.InfoSev {
					t.Error(message)
				}
			}
		})
	}
}

func render(t *testing.T, given map[string]any, namespace string) (string, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	options := chartutil.ReleaseOptions{Name: "layotto", Namespace: namespace}
	full, err := chartutil.ToRenderValues(chart, given, options, chartutil.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(chart, full)
	if err != nil {
		return "", err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	var text bytes.Buffer
	for _, name := range names {
		fmt.Fprintf(&text, "---\n%s\n", files[name])
	}
	return text.String(), nil
}

func documents(t *testing.T, text []byte) []any {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var found []any
	for {
		var document any
		err := decoder.Decode(&document)
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if document != nil {
			found = append(found, document)
		}
	}
}

func TestRendersWhatTheCommandPrints(t *testing.T) {
	for _, it := range forms {
		t.Run(it.form, func(t *testing.T) {
			text, err := render(t, values(t, it.form), it.namespace)
			if err != nil {
				t.Fatal(err)
			}
			printed, err := os.ReadFile(filepath.Join(rendered, "bridge-"+it.form+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			want, got := documents(t, printed), documents(t, []byte(text))
			if len(want) == 0 {
				t.Fatal("nothing was printed")
			}
			if difference := cmp.Diff(want, got); difference != "" {
				t.Error(difference)
			}
		})
	}
}

// Kubernetes' own types, strictly: a field that they do not have is a slip.
func TestKubernetesKnowsEveryField(t *testing.T) {
	for _, it := range forms {
		t.Run(it.form, func(t *testing.T) {
			printed, err := os.ReadFile(filepath.Join(rendered, "bridge-"+it.form+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			for _, document := range bytes.Split(printed, []byte("\n---\n")) {
				var kind struct{ Kind string }
				if err := k8syaml.Unmarshal(document, &kind); err != nil {
					t.Fatal(err)
				}
				into := map[string]any{
					"ServiceAccount": &corev1.ServiceAccount{},
					"ConfigMap":      &corev1.ConfigMap{},
					"DaemonSet":      &appsv1.DaemonSet{},
					"Deployment":     &appsv1.Deployment{},
				}[kind.Kind]
				if into == nil {
					t.Fatalf("unexpected kind %q", kind.Kind)
				}
				if err := k8syaml.UnmarshalStrict(document, into); err != nil {
					t.Errorf("%s: %v", kind.Kind, err)
				}
			}
		})
	}
}

func TestRefusesWrongValues(t *testing.T) {
	for name, given := range map[string]map[string]any{
		"form":     {"form": "deployment"},
		"slip":     {"daemonset": map[string]any{"hostpath": "/run/x"}},
		"hostPath": {"daemonset": map[string]any{"hostPath": "/"}},
		"port":     {"adminPort": 70000},
	} {
		t.Run(name, func(t *testing.T) {
			if text, err := render(t, given, "default"); err == nil {
				t.Errorf("expected a refusal, found\n%s", text)
			}
		})
	}
}
