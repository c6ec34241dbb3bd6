// SPDX-License-Identifier: Apache-2.0

// The work of `loom-bench span` with the OpenTelemetry Go SDK. ../README.md says what it is and what is printed.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	burst  = 1024 // spans; the queue of the batch processor holds 2048
	batch  = 512
	warmUp = 200 * time.Millisecond
)

// Throws batches away and counts.
type discard struct{ spans atomic.Int64 }

func (d *discard) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	d.spans.Add(int64(len(spans)))
	return nil
}
func (d *discard) Shutdown(context.Context) error { return nil }

// Keeps one batch.
type keep struct{ spans []sdktrace.ReadOnlySpan }

func (k *keep) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	k.spans = append(k.spans, spans...)
	return nil
}
func (k *keep) Shutdown(context.Context) error { return nil }

// What stands between otlptrace's transformation and the network.
type marshal struct{ spans, bytes int }

func (m *marshal) Start(context.Context) error { return nil }
func (m *marshal) Stop(context.Context) error  { return nil }
func (m *marshal) UploadTraces(_ context.Context, spans []*tracepb.ResourceSpans) error {
	out, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: spans})
	m.bytes += len(out)
	for _, r := range spans {
		for _, s := range r.ScopeSpans {
			m.spans += len(s.Spans)
		}
	}
	return err
}

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "loom-bench-span-go:", err)
		os.Exit(1)
	}
}

func provider(sampler sdktrace.Sampler, exporter sdktrace.SpanExporter) *sdktrace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithResource(resource.Default()),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxExportBatchSize(batch)))
}

func one(ctx context.Context, tracer trace.Tracer) {
	_, span := tracer.Start(ctx, "GET /orders/{id}")
	span.SetAttributes(
		attribute.String("http.request.method", "GET"),
		attribute.String("url.path", "/orders/42"),
		attribute.Int("http.response.status_code", 200),
		attribute.Float64("order.total", 129.95),
		attribute.Bool("order.express", true))
	span.End()
}

func many(tracer trace.Tracer, n int) {
	ctx := context.Background()
	for i := 0; i < n; i++ {
		one(ctx, tracer)
	}
}

type work struct {
	run   func() // one burst
	after func() // out of the timing
	check func(spans int64) error
	size  int64
}

func nothing() {}

func sampled() work {
	d := &discard{}
	p := provider(sdktrace.AlwaysSample(), d)
	tracer := p.Tracer("bench")
	return work{
		run:   func() { many(tracer, burst) },
		after: func() { die(p.ForceFlush(context.Background())) },
		check: func(spans int64) error {
			if d.spans.Load() != spans {
				return fmt.Errorf("%d spans ended, %d exported", spans, d.spans.Load())
			}
			return nil
		},
		size: burst,
	}
}

func plain(tracer trace.Tracer) work {
	return work{run: func() { many(tracer, burst) }, after: nothing, check: func(int64) error { return nil }, size: burst}
}

func encode() work {
	k, m := &keep{}, &marshal{}
	p := provider(sdktrace.AlwaysSample(), k)
	many(p.Tracer("bench"), batch)
	die(p.ForceFlush(context.Background()))
	exporter := otlptrace.NewUnstarted(m)
	return work{
		run:   func() { die(exporter.ExportSpans(context.Background(), k.spans)) },
		after: nothing,
		check: func(spans int64) error {
			if int64(m.spans) != spans || m.bytes == 0 {
				return fmt.Errorf("%d spans given, %d encoded", spans, m.spans)
			}
			return nil
		},
		size: batch,
	}
}

func choose(name string) (work, bool) {
	switch name {
	case "sampled":
		return sampled(), true
	case "unsampled":
		return plain(provider(sdktrace.NeverSample(), &discard{}).Tracer("bench")), true
	case "disabled":
		return plain(noop.NewTracerProvider().Tracer("bench")), true
	case "encode":
		return encode(), true
	}
	return work{}, false
}

func cpu() time.Duration {
	var u syscall.Rusage
	die(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// Bursts until so much time has passed; the time spent in them, and the spans.
func bursts(w work, length time.Duration) (time.Duration, int64) {
	var spent time.Duration
	var spans int64
	for begin := time.Now(); time.Since(begin) < length; spans += w.size {
		start := time.Now()
		w.run()
		spent += time.Since(start)
		w.after()
	}
	return spent, spans
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "Usage: loom-bench-span-go sampled|unsampled|disabled|encode SECONDS")
		os.Exit(2)
	}
	w, known := choose(os.Args[1])
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	if !known || err != nil || !(seconds > 0) {
		fmt.Fprintln(os.Stderr, "loom-bench-span-go: no such work, or no such time")
		os.Exit(2)
	}
	_, warm := bursts(w, warmUp)
	allocated, used := mallocs(), cpu()
	spent, spans := bursts(w, time.Duration(seconds*float64(time.Second)))
	used, allocated = cpu()-used, mallocs()-allocated
	die(w.check(warm + spans))
	fmt.Printf("spans %d ns %d cpu_ns %d allocations %d\n", spans, spent.Nanoseconds(), used.Nanoseconds(), allocated)
}
