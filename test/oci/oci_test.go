// Package oci reads the layouts that `make oci` made with other people's code: the image specification's schemas, the
// registry library that most tools for images are made with, and the module cache of Istio's agent.
package oci

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/image-spec/schema"
	"istio.io/istio/pkg/wasm"
)

type checksums struct {
	Modules map[string]string
	Images  map[string]struct{ Name, Digest string }
}

func dist() string { return filepath.Join("..", "..", "dist") }

func read(t *testing.T) checksums {
	t.Helper()
	var found checksums
	text, err := os.ReadFile(filepath.Join(dist(), "oci", "checksums.json"))
	if err != nil {
		t.Fatalf("%v; run 'make oci' first", err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Images) < 3 {
		t.Fatalf("only %d images", len(found.Images))
	}
	return found
}

// image is the one image of a layout.
func image(t *testing.T, folder string) (v1.ImageIndex, v1.Image) {
	t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join(dist(), "oci", folder))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("%d images in %s", len(manifest.Manifests), folder)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index, image
}

func TestLayoutsByTheSchemas(t *testing.T) {
	for folder := range read(t).Images {
		t.Run(folder, func(t *testing.T) {
			marker, err := os.ReadFile(filepath.Join(dist(), "oci", folder, "oci-layout"))
			if err != nil {
				t.Fatal(err)
			}
			index, image := image(t, folder)
			indexText, err := index.RawManifest()
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := image.RawManifest()
			if err != nil {
				t.Fatal(err)
			}
			texts := map[schema.Validator][]byte{
				schema.ValidatorMediaTypeLayoutHeader: marker,
				schema.ValidatorMediaTypeImageIndex:   indexText,
				schema.ValidatorMediaTypeManifest:     manifest,
			}
			if !strings.HasSuffix(folder, "-artifact") {
				config, err := image.RawConfigFile()
				if err != nil {
					t.Fatal(err)
				}
				texts[schema.ValidatorMediaTypeImageConfig] = config
			}
			for validator, text := range texts {
				if err := validator.Validate(bytes.NewReader(text)); err != nil {
					t.Errorf("%s: %v", validator, err)
				}
			}
		})
	}
}

func TestImagesByTheRegistryLibrary(t *testing.T) {
	for folder, said := range read(t).Images {
		t.Run(folder, func(t *testing.T) {
			_, image := image(t, folder)
			digest, err := image.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if digest.String() != said.Digest {
				t.Errorf("digest %s, not %s", digest, said.Digest)
			}
			// An artifact has no layers in the sense of an image: the contents of its blobs are checked when it is pushed.
			if strings.HasSuffix(folder, "-artifact") {
				return
			}
			if err := validate.Image(image); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestModulesByTheCacheOfIstiosAgent(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	found := read(t)
	for folder, said := range found.Images {
		module := strings.TrimSuffix(folder, "-artifact")
		if folder == "bridge" {
			continue
		}
		t.Run(folder, func(t *testing.T) {
			_, image := image(t, folder)
			address := host + "/" + said.Name
			reference, err := name.ParseReference(address, name.Insecure)
			if err != nil {
				t.Fatal(err)
			}
			if err := remote.Write(reference, image); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(dist(), "modules", module+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			digest := strings.TrimPrefix(said.Digest, "sha256:")

			get := func(url, checksum string) (string, error) {
				options := wasm.Options{PurgeInterval: time.Hour, ModuleExpiry: time.Hour, HTTPRequestTimeout: 10 * time.Second}
				cache := wasm.NewLocalFileCache(t.TempDir(), options)
				defer cache.Cleanup()
				path, err := cache.Get(url, wasm.GetOptions{Checksum: checksum, ResourceName: "layotto", RequestTimeout: 10 * time.Second})
				if err != nil {
					return "", err
				}
				got, err := os.ReadFile(path)
				return string(got), err
			}
			repository := strings.Split(address, ":0.")[0]
			for _, url := range []string{"oci://" + address, "oci://" + repository + "@" + said.Digest} {
				got, err := get(url, digest)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s brings %d other bytes", url, len(got))
				}
			}
			// What is asked for by the checksum of the file, as for https addresses, is not found.
			if _, err := get("oci://"+address, found.Modules[module+".wasm"]); err == nil || !strings.Contains(err.Error(), "does not match") {
				t.Errorf("the checksum of the file was taken: %v", err)
			}
		})
	}
}
