// SPDX-License-Identifier: Apache-2.0
//! The scenarios of cases.json in Rust: driver SCENARIO.
#[path = "../../../trace/process/libraries/rust/loom_trace.rs"]
mod loom_trace;

use loom_trace::{bind, span, trace_future, trace_result, trace_span, tracer, Status, Value};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

struct ValueError(&'static str);

impl fmt::Display for ValueError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.0)
    }
}

fn nested() {
    let _outer = span("outer", attrs!["a" => 1]);
    trace_span("middle", attrs![], |_| trace_span("inner", attrs!["deep" => true], |_| ()));
    drop(span("sibling", attrs![]));
}

fn manual() {
    let span = tracer().start_span("process_data", attrs!["input_size" => 3]);
    trace_span("inside", attrs![], |_| ());
    tracer().end_span(span, Status::Ok);
    tracer().end_span(tracer().start_span("failed", attrs![]), Status::Error);
    tracer().end_span(tracer().start_span("open", attrs![]), Status::Unset);
}

fn exception() {
    let result: Result<(), ValueError> =
        trace_result("outer", attrs![], |_| trace_result("inner", attrs![], |_| Err(ValueError("boom"))));
    if let Err(error) = result {
        println!("caught {}", error);
    }
    trace_span("after", attrs![], |_| ());
}

fn values() {
    trace_span(
        "values",
        attrs!["text" => "plain", "empty" => "", "largest" => i64::MAX, "smallest" => i64::MIN, "yes" => true, "no" => false,
               "half" => 1.5, "unicode" => "h\u{e9}llo \u{4e16}\u{754c} \u{1f600}", "escapes" => "a\"b\\c\n\t\x01\x7f",
               "with.dots" => "x", "list" => vec!["a", "b"], "numbers" => vec![1, 2, 3]],
        |_| (),
    );
}

fn special() {
    let mut deep = Value::from("bottom");
    for _ in 0..12 {
        deep = Value::Array(vec![deep]);
    }
    let inner = Value::Object(vec![("b".to_string(), Value::Null)]);
    let object = Value::Object(vec![("a".to_string(), Value::Array(vec![1.into(), inner]))]);
    trace_span(
        "special",
        attrs!["nan" => f64::NAN, "inf" => f64::INFINITY, "minus" => f64::NEG_INFINITY, "bytes" => &b"\x00\xff"[..],
               "nothing" => None::<i64>, "object" => object, "huge" => 1i128 << 70, "deep" => deep],
        |_| (),
    );
}

fn own_tenant() {
    trace_span("own", attrs!["tenant_id" => "mine"], |_| ());
    trace_span("theirs", attrs![], |_| ());
}

fn events() {
    trace_span("work", attrs![], |span| {
        span.set_attribute("n", 1).add_event("cache miss", attrs!["key" => "k"]).add_event("bare", attrs![]);
    });
}

fn status() {
    trace_span("refused", attrs![], |span| {
        span.set_status(Status::Error, Some("no such user"));
    });
}

struct Idle;

impl Wake for Idle {
    fn wake(self: Arc<Self>) {}
}

/// A future whose span is current only while it runs.
fn function() {
    let mut add = Box::pin(trace_future("add", attrs!["kind_of" => "sum"], async { 1 + 2 }));
    match add.as_mut().poll(&mut Context::from_waker(&Arc::new(Idle).into())) {
        Poll::Ready(sum) => println!("{}", sum),
        Poll::Pending => unreachable!("it waits for nothing"),
    }
}

fn thread() {
    let _outer = span("outer", attrs![]);
    let worker = std::thread::spawn(bind(|| trace_span("in thread", attrs![], |_| ())));
    worker.join().expect("the thread ends");
}

fn many() {
    let _root = span("root", attrs![]);
    for i in 0..10000 {
        trace_span("step", attrs!["i" => i], |_| ());
    }
}

fn roots() {
    for i in 0..4000 {
        trace_span("root", attrs!["i" => i], |_| trace_span("child", attrs![], |_| ()));
    }
}

fn long() {
    let text = "x".repeat(20000);
    trace_span("long", (0..200).map(|i| (format!("key{}", i), (&text).into())).collect(), |span| {
        for _ in 0..200 {
            span.add_event("event", attrs!["text" => &text]);
        }
    });
    trace_span(&"n".repeat(100000), attrs![], |_| ());
}

fn exits() {
    let _never_ends = span("never ends", attrs![]);
    for i in 0..3 {
        trace_span("ended", attrs!["i" => i], |_| ());
    }
    std::process::exit(3);
}

fn uncaught() {
    trace_span("fails", attrs![], |_| panic!("not caught"));
}

fn twice() {
    span("once", attrs![]).end(Status::Ok);
}

fn environment() {
    let _parent = span("parent", attrs![]);
    let told = tracer().child_environment();
    for name in ["TRACEPARENT", "TRACESTATE", "LOOM_TRACE_ID", "LOOM_SPAN_ID", "BAGGAGE", "LOOM_TRACE_BAGGAGE"] {
        let value = told.iter().find(|(other, _)| *other == name).and_then(|(_, value)| value.as_deref());
        println!("{}={}", name, value.unwrap_or("-"));
    }
}

fn main() {
    let scenarios: [(&str, fn()); 17] = [
        ("nested", nested), ("manual", manual), ("exception", exception), ("values", values), ("special", special),
        ("own_tenant", own_tenant), ("events", events), ("status", status), ("function", function), ("thread", thread),
        ("many", many), ("roots", roots), ("long", long), ("exits", exits), ("uncaught", uncaught), ("twice", twice),
        ("environment", environment),
    ];
    let wanted = std::env::args().nth(1).unwrap_or_default();
    match scenarios.iter().find(|(name, _)| *name == wanted) {
        Some((_, run)) => run(),
        None => std::process::exit(2),
    }
}
