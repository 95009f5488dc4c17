/**
 * The chart in envoy/helm/layotto, read by Helm's own code (test/helm, a Go module of its own): its linter, and its
 * templates, which must make what `layotto envoy manifests` prints. Ends with one line, `N passed, N failed`.
 */
import { goTest } from './lib/go-test.mjs';

goTest('test/helm');
