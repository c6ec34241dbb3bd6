// SPDX-License-Identifier: Apache-2.0

//! The work of `loom-bench span` with the OpenTelemetry Rust SDK. ../../README.md says what it is and what is printed.

use opentelemetry::trace::{noop::NoopTracerProvider, Span, Tracer, TracerProvider};
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use opentelemetry_sdk::Resource;
use prost::Message;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const BURST: usize = 1024; // spans; the queue of the batch processor holds 2048
const BATCH: usize = 512;
const WARM_UP: Duration = Duration::from_millis(200);

/// Counts in a pass of its own, so that the timed one pays nothing for it.
struct Counting;
static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
        }
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout)
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if COUNTS.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
        }
        System.realloc(at, layout, size)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Throws batches away and counts; keeps the first one if asked to.
#[derive(Debug, Default, Clone)]
struct Discard {
    spans: Arc<AtomicUsize>,
    kept: Option<Arc<Mutex<Vec<SpanData>>>>,
}

impl SpanExporter for Discard {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.spans.fetch_add(batch.len(), Relaxed);
        if let Some(kept) = &self.kept {
            kept.lock().unwrap().extend(batch);
        }
        Ok(())
    }
}

fn provider(sampler: Sampler, exporter: Discard) -> SdkTracerProvider {
    let config = BatchConfigBuilder::default().with_max_queue_size(2048).with_max_export_batch_size(BATCH).build();
    SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(config).build())
        .build()
}

fn one<T: Tracer>(tracer: &T) {
    let mut span = tracer.start("GET /orders/{id}");
    span.set_attribute(KeyValue::new("http.request.method", "GET"));
    span.set_attribute(KeyValue::new("url.path", "/orders/42"));
    span.set_attribute(KeyValue::new("http.response.status_code", 200));
    span.set_attribute(KeyValue::new("order.total", 129.95));
    span.set_attribute(KeyValue::new("order.express", true));
    span.end();
}

/// One burst: what is timed. `prepare` and `after` are not.
trait Work {
    fn size(&self) -> usize {
        BURST
    }
    fn prepare(&mut self) {}
    fn run(&mut self);
    fn after(&mut self) {}
    fn exported(&self) -> Option<usize> {
        None
    }
}

struct Sampled {
    provider: SdkTracerProvider,
    tracer: opentelemetry_sdk::trace::SdkTracer,
    exporter: Discard,
}

impl Work for Sampled {
    fn run(&mut self) {
        for _ in 0..BURST {
            one(&self.tracer);
        }
    }
    fn after(&mut self) {
        self.provider.force_flush().expect("flush");
    }
    fn exported(&self) -> Option<usize> {
        Some(self.exporter.spans.load(Relaxed))
    }
}

struct Plain<T: Tracer> {
    tracer: T,
    _provider: Option<SdkTracerProvider>,
}

impl<T: Tracer> Work for Plain<T> {
    fn run(&mut self) {
        for _ in 0..BURST {
            one(&self.tracer);
        }
    }
}

/// As opentelemetry-otlp does it: a batch comes by value, is turned into messages, and those into bytes.
struct Encode {
    spans: Vec<SpanData>,
    resource: ResourceAttributesWithSchema,
    batch: Vec<SpanData>,
    encoded: usize,
}

impl Work for Encode {
    fn size(&self) -> usize {
        BATCH
    }
    fn prepare(&mut self) {
        self.batch = self.spans.clone();
    }
    fn run(&mut self) {
        let resource_spans = group_spans_by_resource_and_scope(std::mem::take(&mut self.batch), &self.resource);
        let bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        assert!(bytes.len() > BATCH * 100, "a span has more than 100 bytes");
        self.encoded += BATCH;
    }
    fn exported(&self) -> Option<usize> {
        Some(self.encoded)
    }
}

fn sampled() -> Sampled {
    let exporter = Discard::default();
    let provider = provider(Sampler::AlwaysOn, exporter.clone());
    let tracer = provider.tracer("bench");
    Sampled { provider, tracer, exporter }
}

fn encode() -> Encode {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let provider = provider(Sampler::AlwaysOn, Discard { kept: Some(kept.clone()), ..Default::default() });
    let tracer = provider.tracer("bench");
    (0..BATCH).for_each(|_| one(&tracer));
    provider.force_flush().expect("flush");
    let spans = kept.lock().unwrap().clone();
    assert_eq!(spans.len(), BATCH);
    Encode { spans, resource: (&Resource::builder().build()).into(), batch: Vec::new(), encoded: 0 }
}

fn choose(name: &str) -> Option<Box<dyn Work>> {
    match name {
        "sampled" => Some(Box::new(sampled())),
        "unsampled" => {
            let provider = provider(Sampler::AlwaysOff, Discard::default());
            Some(Box::new(Plain { tracer: provider.tracer("bench"), _provider: Some(provider) }))
        }
        "disabled" => Some(Box::new(Plain { tracer: NoopTracerProvider::new().tracer("bench"), _provider: None })),
        "encode" => Some(Box::new(encode())),
        _ => None,
    }
}

/// Of all threads, in nanoseconds: user and system time in /proc/self/stat, in ticks of 10 ms.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() * 10_000_000
}

/// Bursts until so much time has passed; the time spent in them, and the spans.
fn bursts(work: &mut dyn Work, length: Duration) -> (Duration, usize) {
    let (begin, mut spent, mut spans) = (Instant::now(), Duration::ZERO, 0);
    while begin.elapsed() < length {
        work.prepare();
        let start = Instant::now();
        work.run();
        spent += start.elapsed();
        work.after();
        spans += work.size();
    }
    (spent, spans)
}

/// Allocations of one burst, for each of its spans, times `spans`.
fn allocations(work: &mut dyn Work, spans: usize) -> u64 {
    work.prepare();
    COUNTS.store(true, Relaxed);
    work.run();
    COUNTS.store(false, Relaxed);
    work.after();
    ALLOCATIONS.load(Relaxed) * spans as u64 / work.size() as u64
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments.get(2).and_then(|s| s.parse::<f64>().ok()).filter(|s| *s > 0.0 && *s <= 86400.0);
    let work = arguments.get(1).and_then(|name| choose(name));
    let (Some(mut work), Some(seconds), 3) = (work, seconds, arguments.len()) else {
        eprintln!("Usage: loom-bench-span-rust sampled|unsampled|disabled|encode SECONDS");
        std::process::exit(2);
    };
    let (_, warm) = bursts(work.as_mut(), WARM_UP);
    let used = cpu_ns();
    let (spent, spans) = bursts(work.as_mut(), Duration::from_secs_f64(seconds));
    let used = cpu_ns() - used;
    let allocated = allocations(work.as_mut(), spans);
    let due = warm + spans + work.size();
    if let Some(exported) = work.exported().filter(|n| *n != due) {
        eprintln!("loom-bench-span-rust: {due} spans were due, {exported} exported");
        std::process::exit(1);
    }
    println!("spans {spans} ns {} cpu_ns {used} allocations {allocated}", spent.as_nanos());
}
