// SPDX-License-Identifier: Apache-2.0
//! Nested spans in every form:  LOOM_TRACE=1 cargo run --example example_traced
use loom_trace::{attrs, bind, span, trace_result, trace_span, tracer, Status};
use std::num::ParseIntError;
use std::thread;

fn parse(line: &str) -> Result<Vec<i64>, ParseIntError> {
    trace_result("parse", attrs!["line" => line], |_| line.split(' ').map(str::parse).collect())
}

fn main() {
    let _report = span("report", attrs!["source" => "example"]);
    let lines = trace_span("query_database", attrs!["query_type" => "SELECT"], |span| {
        let found = vec!["1 2 3", "4 5", "6"];
        span.set_attribute("rows_returned", found.len());
        found
    });
    // threads do not inherit the current span: bind() hands it over
    let threads: Vec<_> = lines.into_iter().map(|line| thread::spawn(bind(move || parse(line)))).collect();
    let rows = threads.into_iter().filter_map(|thread| thread.join().ok()?.ok());
    let sums: Vec<i64> = rows.map(|row| row.iter().sum()).collect();

    let span = tracer().start_span("process_data", attrs!["input_size" => sums.len()]);
    println!("{}", sums.iter().sum::<i64>() / sums.len() as i64);
    tracer().end_span(span, Status::Ok);
}
