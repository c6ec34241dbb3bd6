// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins the Jaeger that the end-to-end tests ask, with everything it is built from.
package tools

import _ "github.com/jaegertracing/jaeger/cmd/jaeger"
