/**
 * What `make oci` made, read by other people's code: the specification's schemas, the registry library that most tools
 * are made with, and the module cache of Istio's agent (test/oci, a Go module of its own). Ends with one line,
 * `N passed, N failed`.
 */
import { goTest } from './lib/go-test.mjs';

goTest('test/oci');
