// SPDX-License-Identifier: Apache-2.0
//! Spans of a Rust program that Loom started, as lines on standard error (FORMAT.md).
//!
//! ```ignore
//! let rows = loom_trace::trace_span("query_database", attrs!["query_type" => "SELECT"], |span| query(span));
//! ```
//!
//! One file, the standard library alone, Rust 1.63 and later; a crate (Cargo.toml) or a module (`mod loom_trace;`, edition
//! 2021). Nothing here panics, or waits for a reader that has stopped for longer than 50 ms. The current span
//! belongs to the thread: `bind()` hands it to another one, `trace_future()` keeps it with a future.
#![allow(dead_code)]

use std::any::type_name;
use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::env;
use std::fmt::{Display, Write as _};
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LINE_MAX: usize = 262_144; // bytes, marker and line feed included
const ATTRIBUTES_MAX: usize = 128;
const EVENTS_MAX: usize = 128;
const STRING_MAX: usize = 16_384; // characters
const ITEMS_MAX: usize = 1000; // of one value, nested ones included
const DEPTH_MAX: usize = 8;
const NAME_MAX: usize = 1024;
const KEY_MAX: usize = 256;
const ERRORS_MAX: u64 = 10; // complaints in the life of a process
const BUFFER_MAX: usize = 1 << 20; // bytes that may wait for a reader
const BUFFER_WRITE: usize = 32_768; // bytes at which they are written although a root span is open
const WRITE_AFTER: Duration = Duration::from_millis(10); // since the last write
const WRITE_MAX: usize = 4096; // PIPE_BUF of Linux: what a pipe keeps in one piece
const READER_WAIT_MS: i32 = 50;
const EXIT_WAIT_MS: i32 = 500;
const PIPE_MAX: i32 = 1 << 20; // bytes that a pipe may be made to hold on Linux; also what /proc/sys/fs/pipe-max-size usually is
const PAIR_MAX: Duration = Duration::from_nanos(1500); // between the two clocks of a span's start,
const PAIR_TRIES: usize = 5; // so often
const NESTED_MAX: u32 = 1000; // spans that nobody ends must not pile up
const CONTEXT_VARIABLES: [&str; 15] = [
    "TRACEPARENT", "TRACESTATE", "BAGGAGE", "B3", "X_B3_TRACEID", "X_B3_SPANID", "X_B3_PARENTSPANID", "X_B3_SAMPLED",
    "X_B3_FLAGS", "X_TRACE_ID", "X_SPAN_ID", "OTEL_TRACEPARENT", "LOOM_TRACE_ID", "LOOM_SPAN_ID", "LOOM_TRACE_BAGGAGE",
];

// ---- the system ----

#[cfg(unix)]
mod system {
    use std::os::raw::{c_int, c_short, c_ulong, c_void};

    #[repr(C)]
    struct PollFd {
        fd: c_int,
        events: c_short,
        revents: c_short,
    }

    extern "C" {
        fn atexit(function: extern "C" fn()) -> c_int;
        fn isatty(fd: c_int) -> c_int;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        fn poll(fds: *mut PollFd, count: std::os::raw::c_uint, timeout: c_int) -> c_int;
        fn write(fd: c_int, data: *const c_void, size: usize) -> isize;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    }

    const POLLOUT: c_short = 4;

    pub fn at_exit(function: extern "C" fn()) {
        unsafe {
            atexit(function);
        }
    }

    pub fn is_terminal() -> bool {
        unsafe { isatty(2) == 1 }
    }

    /// Some(true): a write of WRITE_MAX bytes would not wait; Some(false): it would; None: nobody will ever read.
    pub fn has_room(wait_ms: c_int) -> Option<bool> {
        let mut room = PollFd { fd: 2, events: POLLOUT, revents: 0 };
        match unsafe { poll(&mut room, 1, wait_ms) } {
            1 if room.revents == POLLOUT => Some(true),
            1 => None,
            _ => Some(false),
        }
    }

    /// Whether standard error is a pipe that holds more now. Nothing else is changed by this for those who share it.
    pub fn enlarge_pipe(size: i32) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return unsafe { fcntl(2, 1031 /* F_SETPIPE_SZ */, size) >= size };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return size < 0;
    }

    pub fn write_some(data: &[u8]) -> std::io::Result<usize> {
        let done = unsafe { write(2, data.as_ptr().cast(), data.len()) };
        if done < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(done as usize)
    }
}

#[cfg(not(unix))]
mod system {
    use std::io::Write;

    pub fn at_exit(_: extern "C" fn()) {}
    pub fn is_terminal() -> bool {
        true
    }
    pub fn has_room(_: i32) -> Option<bool> {
        Some(true)
    }
    pub fn enlarge_pipe(_: i32) -> bool {
        false
    }
    pub fn write_some(data: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().write(data)
    }
}

// ---- the stream: any thread appends; whoever gets the writer writes, and nobody waits for it ----

struct Waiting {
    lines: Vec<String>,
    size: usize,
    lost: u64,
    errors: u64,
    process: u32, // whose lines these are: not those of the child of a fork
}

struct Writer {
    written: Option<Instant>,
    blocked: bool, // the last write found no reader
    torn: bool,    // our last line has no end
    gone: bool,    // there is no reader any more
}

static WAITING: Mutex<Waiting> =
    Mutex::new(Waiting { lines: Vec::new(), size: 0, lost: 0, errors: 0, process: 0 });
static WRITER: Mutex<Writer> = Mutex::new(Writer { written: None, blocked: false, torn: false, gone: false });

fn waiting() -> MutexGuard<'static, Waiting> {
    let mut waiting = WAITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let process = std::process::id();
    if waiting.process != process {
        *waiting = Waiting { lines: Vec::new(), size: 0, lost: 0, errors: 0, process };
    }
    waiting
}

fn writer() -> Option<MutexGuard<'static, Writer>> {
    match WRITER.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn add_line(line: String, is_root: bool) {
    let size = {
        let mut waiting = waiting();
        if waiting.size + line.len() > BUFFER_MAX {
            drop(waiting);
            flush_within(0, true);
            waiting = self::waiting();
            if waiting.size + line.len() > BUFFER_MAX {
                waiting.lost += 1;
                return;
            }
        }
        waiting.size += line.len();
        waiting.lines.push(line);
        waiting.size
    };
    flush_within(READER_WAIT_MS, is_root || size >= BUFFER_WRITE);
}

fn complain(text: &str) {
    let mut waiting = waiting();
    if waiting.errors < ERRORS_MAX {
        waiting.errors += 1;
        let line = error_line(text);
        waiting.size += line.len();
        waiting.lines.push(line);
        drop(waiting);
        flush_within(0, true);
    }
}

fn error_line(text: &str) -> String {
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = String::from("__LOOM_TRACE_ERROR__: ");
    for c in plain.chars() {
        if line.len() > 1000 {
            break;
        }
        line.push(c);
    }
    line + "\n"
}

/// Writes what waits. Returns when it is written, or the reader has been waited for half a second.
pub fn flush() {
    flush_within(EXIT_WAIT_MS, true);
}

/// What can not be written is counted now, or never. A pipe that is full is made larger, first for the spans, then for their number.
extern "C" fn flush_at_exit() {
    let until = Instant::now() + Duration::from_millis(EXIT_WAIT_MS as u64);
    let mut writer = loop {
        match writer() {
            Some(writer) => break writer,
            None if Instant::now() > until => return,
            None => std::thread::sleep(Duration::from_millis(1)), // another thread writes
        }
    };
    if write_all(&mut writer, EXIT_WAIT_MS) || writer.gone {
        return;
    }
    if system::enlarge_pipe(PIPE_MAX / 2) && write_all(&mut writer, 0) {
        return;
    }
    {
        let mut waiting = waiting();
        waiting.lost += waiting.lines.iter().map(|line| count_spans(line.as_bytes())).sum::<u64>();
        waiting.lines.clear();
    }
    system::enlarge_pipe(PIPE_MAX);
    write_all(&mut writer, 0);
}

fn count_spans(lines: &[u8]) -> u64 {
    lines.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"__LOOM_TRACE__:")).count() as u64
}

fn flush_within(wait_ms: i32, now: bool) {
    while !waiting().lines.is_empty() {
        let mut writer = match writer() {
            Some(writer) => writer,
            None => return,
        };
        if !now && writer.written.map_or(false, |at| at.elapsed() < WRITE_AFTER) {
            return;
        }
        let wait_ms = if writer.blocked && wait_ms < EXIT_WAIT_MS { 0 } else { wait_ms };
        if !write_all(&mut writer, wait_ms) {
            return;
        }
    }
}

fn write_all(writer: &mut Writer, wait_ms: i32) -> bool {
    loop {
        let (empty, lost) = {
            let waiting = waiting();
            (waiting.lines.is_empty(), waiting.lost)
        };
        if empty && lost == 0 {
            writer.written = Some(Instant::now());
            return true;
        }
        if !has_room(writer, wait_ms) {
            if writer.gone {
                let mut waiting = waiting();
                waiting.lines.clear();
                waiting.size = 0;
                waiting.lost = 0;
            }
            return false;
        }
        if !(if lost > 0 { write_lost(writer, lost) } else { write_lines(writer, next_lines()) }) {
            return false;
        }
    }
}

fn write_lost(writer: &mut Writer, lost: u64) -> bool {
    let line = error_line(&format!("{} spans lost: standard error was not read", lost));
    if write_data(writer, line.as_bytes()) < line.len() {
        return false;
    }
    waiting().lost -= lost;
    true
}

/// False: not all of it could be written. What is whole then waits, what is torn is lost.
fn write_lines(writer: &mut Writer, data: String) -> bool {
    let size = data.len();
    let done = write_data(writer, data.as_bytes());
    let mut waiting = waiting();
    if done == 0 {
        waiting.size += size;
        waiting.lines.insert(0, data);
    } else if done < size {
        let whole = data.as_bytes()[..done].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        waiting.lost += count_spans(&data.as_bytes()[whole..]);
    }
    done == size
}

fn has_room(writer: &mut Writer, wait_ms: i32) -> bool {
    let room = if writer.gone { None } else { system::has_room(wait_ms) };
    writer.gone = room.is_none();
    writer.blocked = room == Some(false);
    room == Some(true)
}

/// As many whole lines as a pipe keeps in one piece; one line, when it is longer.
fn next_lines() -> String {
    let mut waiting = waiting();
    let mut data = String::new();
    let mut count = 0;
    for line in &waiting.lines {
        if count > 0 && data.len() + line.len() > WRITE_MAX {
            break;
        }
        data.push_str(line);
        count += 1;
    }
    waiting.lines.drain(..count);
    waiting.size = if waiting.lines.is_empty() { 0 } else { waiting.size.saturating_sub(data.len()) };
    data
}

/// How many bytes of it have been written.
fn write_data(writer: &mut Writer, data: &[u8]) -> usize {
    let prefix = usize::from(writer.torn);
    let joined;
    let out = if writer.torn {
        joined = [b"\n", data].concat();
        &joined[..]
    } else {
        data
    };
    let mut done = 0;
    while done < out.len() {
        match system::write_some(&out[done..]) {
            Ok(count) => done += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && has_room(writer, READER_WAIT_MS) => {}
            Err(error) => {
                writer.gone = writer.gone || error.kind() != std::io::ErrorKind::WouldBlock;
                break;
            }
        }
    }
    writer.torn = if done == 0 { writer.torn } else { done > prefix && done < out.len() };
    done.saturating_sub(prefix)
}

// ---- values ----

/// What an attribute may be. `attrs!` and `From` make them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Left out; within an array, null.
    Null,
    Bool(bool),
    /// Beyond 64 bits it is written as a string of digits.
    Int(i128),
    Float(f64),
    Text(String),
    /// Base64.
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

pub type Attributes = Vec<(String, Value)>;

macro_rules! value_from {
    ($($variant:ident: $($type:ty),*;)*) => {$($(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Value::$variant(value.into())
            }
        }
    )*)*};
}

value_from! {
    Bool: bool;
    Int: i8, i16, i32, i64, i128, u8, u16, u32, u64;
    Float: f32, f64;
    Text: &str, String, char;
    Bytes: &[u8];
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Value::Int(value as i128)
    }
}

impl From<isize> for Value {
    fn from(value: isize) -> Self {
        Value::Int(value as i128)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Value::Text(value.clone())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Value::Array(values.into_iter().map(Into::into).collect())
    }
}

/// Attributes: `attrs!["query_type" => "SELECT", "rows" => 3]`.
#[macro_export]
macro_rules! attrs {
    ($($key:expr => $value:expr),* $(,)?) => {
        vec![$((String::from($key), $value.into())),*]
    };
}

fn put_quoted(out: &mut String, text: &str, max: usize) {
    out.push('"');
    for c in text.chars().take(max) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn put_base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push('"');
    for group in bytes[..bytes.len().min(STRING_MAX * 3 / 4)].chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out.push('"');
}

fn put_float(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    } else {
        let _ = write!(out, "{:?}", value);
    }
}

fn put_value(out: &mut String, value: &Value, depth: usize, items: &mut usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) if i64::try_from(*value).is_ok() => {
            let _ = write!(out, "{}", value);
        }
        Value::Int(value) => {
            let _ = write!(out, "\"{}\"", value);
        }
        Value::Float(value) => put_float(out, *value),
        Value::Text(text) => put_quoted(out, text, STRING_MAX),
        Value::Bytes(bytes) => put_base64(out, bytes),
        Value::Array(_) | Value::Object(_) if depth == DEPTH_MAX => out.push_str("\"…\""),
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().take(ITEMS_MAX.saturating_sub(*items)).enumerate() {
                *items += 1;
                out.push_str(if at > 0 { "," } else { "" });
                put_value(out, value, depth + 1, items);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (key, value)) in unique(members).into_iter().take(ITEMS_MAX.saturating_sub(*items)).enumerate() {
                *items += 1;
                out.push_str(if at > 0 { "," } else { "" });
                put_quoted(out, key, KEY_MAX);
                out.push(':');
                put_value(out, value, depth + 1, items);
            }
            out.push('}');
        }
    }
}

/// The last of each key, as far as keys are kept.
fn unique(members: &[(String, Value)]) -> Vec<(&str, &Value)> {
    let mut kept: Vec<(&str, &Value)> = Vec::with_capacity(members.len().min(ITEMS_MAX));
    for (key, value) in members.iter().take(4 * ITEMS_MAX) {
        let end = key.char_indices().nth(KEY_MAX).map_or(key.len(), |(at, _)| at);
        match kept.iter_mut().find(|(other, _)| *other == &key[..end]) {
            Some(other) => other.1 = value,
            None => kept.push((&key[..end], value)),
        }
    }
    kept
}

/// Members of a JSON object behind out; returns how many did not fit.
fn put_attributes(out: &mut String, attributes: &[(String, Value)], size_max: usize) -> usize {
    let begin = out.len();
    let mut count = 0;
    let mut dropped = 0;
    for (key, value) in unique(attributes) {
        if key.is_empty() || *value == Value::Null {
            continue;
        }
        let before = out.len();
        out.push_str(if count > 0 { "," } else { "" });
        put_quoted(out, key, KEY_MAX);
        out.push(':');
        put_value(out, value, 0, &mut 0);
        if count == ATTRIBUTES_MAX || out.len() - begin > size_max {
            out.truncate(before);
            dropped += 1;
        } else {
            count += 1;
        }
    }
    dropped
}

/// RFC 3339 in UTC, of nanoseconds since 1970 (days to a date as in Howard Hinnant's civil_from_days).
fn put_time(out: &mut String, unix_ns: u128) {
    let seconds = (unix_ns / 1_000_000_000) as i64;
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
        year, month, day, hour, minute, second, unix_ns % 1_000_000_000
    );
}

// ---- ids ----

static IDS: AtomicU64 = AtomicU64::new(1);

/// Random enough for an id, and another one in the child of a fork.
/// The time, and the clock that spans are measured by, of one moment. Of a pair that is interrupted in between a span would end
/// before those inside it.
fn now() -> (u128, Instant) {
    let mut pair = (0, Instant::now());
    for _ in 0..PAIR_TRIES {
        let before = Instant::now();
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let took = before.elapsed();
        pair = (now_ns, before + took / 2);
        if took < PAIR_MAX {
            break;
        }
    }
    pair
}

fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(IDS.fetch_add(1, Ordering::Relaxed));
    hasher.write_u32(std::process::id());
    hasher.write_u128(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos()));
    hasher.finish().max(1)
}

// ---- spans ----

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Unset,
    Ok,
    Error,
}

/// What a span below this one, in whatever thread, has to know of it.
struct Link {
    trace_id: Arc<str>,
    span_id: String,
    recording: bool,
    ended: AtomicBool,
    process: u32,
    depth: u32,
    outer: Option<Arc<Link>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Link>>> = RefCell::new(None);
    static TRACER: Arc<Tracer> = global_tracer();
}

fn current() -> Option<Arc<Link>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

fn replace_current(link: Option<Arc<Link>>) -> Option<Arc<Link>> {
    CURRENT.try_with(|current| current.replace(link)).ok().flatten()
}

struct Event {
    name: String,
    unix_ns: u128,
    attributes: Attributes,
}

/// One operation; it ends when it is dropped, with an error if that is because of a panic.
pub struct Span {
    link: Arc<Link>,
    name: String,
    parent_id: Option<String>,
    attributes: Attributes,
    events: Vec<Event>,
    dropped_events: usize,
    status: Status,
    message: Option<String>,
    start_ns: u128,
    clock: Instant,
}

impl Span {
    fn new(tracer: &Tracer, name: &str, attributes: Attributes) -> Span {
        let outer = current();
        let span_id = format!("{:016x}", random());
        let link = Arc::new(Link {
            trace_id: outer.as_ref().map_or_else(|| tracer.trace_id.clone(), |outer| outer.trace_id.clone()),
            recording: outer.as_ref().map_or_else(|| tracer.enabled && tracer.keeps(&span_id), |outer| outer.recording),
            ended: AtomicBool::new(false),
            process: std::process::id(),
            depth: outer.as_ref().map_or(0, |outer| (outer.depth + 1) % NESTED_MAX),
            outer: outer.clone().filter(|outer| outer.depth + 1 < NESTED_MAX),
            span_id,
        });
        replace_current(Some(link.clone()));
        let mut all = Vec::with_capacity(attributes.len() + tracer.defaults.len());
        all.extend(tracer.defaults.iter().cloned());
        all.extend(attributes);
        let (start_ns, clock) = now();
        Span {
            parent_id: outer.map_or_else(|| tracer.parent_span_id.clone(), |outer| Some(outer.span_id.clone())),
            link,
            name: name.to_string(),
            attributes: all,
            events: Vec::new(),
            dropped_events: 0,
            status: Status::Unset,
            message: None,
            start_ns,
            clock,
        }
    }

    pub fn span_id(&self) -> &str {
        &self.link.span_id
    }

    pub fn trace_id(&self) -> &str {
        &self.link.trace_id
    }

    /// False: it is not sampled, or nobody collects.
    pub fn is_recording(&self) -> bool {
        self.link.recording
    }

    pub fn set_attribute(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.attributes.push((key.to_string(), value.into()));
        self
    }

    /// Counts before what ends the span says.
    pub fn set_status(&mut self, status: Status, message: Option<&str>) -> &mut Self {
        self.status = status;
        self.message = message.map(str::to_string);
        self
    }

    pub fn add_event(&mut self, name: &str, attributes: Attributes) -> &mut Self {
        if self.events.len() >= EVENTS_MAX {
            self.dropped_events += 1;
        } else if self.link.recording {
            let unix_ns = self.start_ns + self.clock.elapsed().as_nanos();
            self.events.push(Event { name: name.to_string(), unix_ns, attributes });
        }
        self
    }

    /// The event and error.type of the OpenTelemetry conventions, and the status: error.
    pub fn record_error(&mut self, kind: &str, message: &str) -> &mut Self {
        self.add_event("exception", attrs!["exception.type" => kind, "exception.message" => message]);
        if !self.attributes.iter().any(|(key, _)| key == "error.type") {
            self.set_attribute("error.type", kind);
        }
        self.set_status(Status::Error, Some(message))
    }

    /// Ends it: what set_status() said counts, then status.
    pub fn end(mut self, status: Status) {
        self.finish(status);
    }

    /// For a header or a variable; None when the trace's id is neither hex nor a UUID.
    pub fn traceparent(&self) -> Option<String> {
        traceparent_of(&self.link.trace_id, &self.link.span_id, self.link.recording)
    }

    fn finish(&mut self, status: Status) {
        if self.link.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.status == Status::Unset {
            self.status = status;
        }
        self.leave();
        if self.link.recording && self.link.process == std::process::id() {
            let outer = self.link.outer.as_ref();
            let is_root = outer.map_or(true, |outer| outer.ended.load(Ordering::Acquire) || outer.process != self.link.process);
            let end_ns = self.start_ns + self.clock.elapsed().as_nanos();
            let mut line = self.line(end_ns, LINE_MAX, true);
            if line.len() > LINE_MAX {
                line = self.line(end_ns, LINE_MAX / 2, false);
            }
            add_line(line, is_root);
        }
    }

    /// What was current before is so again, unless it has ended meanwhile.
    fn leave(&self) {
        if current().map_or(false, |current| Arc::ptr_eq(&current, &self.link)) {
            let mut outer = self.link.outer.clone();
            while let Some(link) = outer.as_ref().filter(|link| link.ended.load(Ordering::Acquire)) {
                outer = link.outer.clone();
            }
            replace_current(outer);
        }
    }

    fn line(&self, end_ns: u128, size_max: usize, is_whole: bool) -> String {
        let mut out = String::with_capacity(512);
        out.push_str("__LOOM_TRACE__:{\"trace_id\":");
        put_quoted(&mut out, &self.link.trace_id, STRING_MAX);
        let _ = write!(out, ",\"span_id\":\"{}\"", self.link.span_id);
        if let Some(parent_id) = &self.parent_id {
            out.push_str(",\"parent_id\":");
            put_quoted(&mut out, parent_id, STRING_MAX);
        }
        out.push_str(",\"name\":");
        put_quoted(&mut out, if self.name.is_empty() { "unnamed" } else { &self.name }, NAME_MAX);
        out.push_str(",\"start_time\":\"");
        put_time(&mut out, self.start_ns);
        out.push_str("\",\"end_time\":\"");
        put_time(&mut out, end_ns);
        out.push_str("\",\"attributes\":{");
        let dropped = put_attributes(&mut out, &self.attributes, size_max);
        out.push_str(match self.status {
            Status::Unset => "},\"status\":\"unset\"",
            Status::Ok => "},\"status\":\"ok\"",
            Status::Error => "},\"status\":\"error\"",
        });
        self.put_rest(&mut out, dropped, is_whole);
        out.push_str("}\n");
        out
    }

    fn put_rest(&self, out: &mut String, dropped: usize, is_whole: bool) {
        if let (Status::Error, Some(message)) = (self.status, &self.message) {
            out.push_str(",\"status_message\":");
            put_quoted(out, message, if is_whole { STRING_MAX } else { NAME_MAX });
        }
        if is_whole && !self.events.is_empty() {
            for (at, event) in self.events.iter().enumerate() {
                out.push_str(if at == 0 { ",\"events\":[{\"name\":" } else { ",{\"name\":" });
                put_quoted(out, if event.name.is_empty() { "unnamed" } else { &event.name }, NAME_MAX);
                out.push_str(",\"time\":\"");
                put_time(out, event.unix_ns);
                out.push_str("\",\"attributes\":{");
                put_attributes(out, &event.attributes, LINE_MAX);
                out.push_str("}}");
            }
            out.push(']');
        }
        let dropped_events = self.dropped_events + if is_whole { 0 } else { self.events.len() };
        for (name, count) in [("dropped_attributes", dropped), ("dropped_events", dropped_events)] {
            if count > 0 {
                let _ = write!(out, ",\"{}\":{}", name, count);
            }
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.link.ended.load(Ordering::Acquire) && self.status == Status::Unset {
            self.record_error("panic", "left by a panic");
        }
        self.finish(Status::Ok);
    }
}

// ---- what the program was told ----

/// What a program was told of its trace.
pub struct Tracer {
    pub trace_id: Arc<str>,
    pub parent_span_id: Option<String>,
    pub baggage: Vec<(String, String)>,
    pub enabled: bool,
    inherited: Vec<(&'static str, String)>,
    defaults: Attributes,
    threshold: u64,
}

fn global_tracer() -> Arc<Tracer> {
    static GLOBAL: Mutex<Option<Arc<Tracer>>> = Mutex::new(None);
    let mut global = GLOBAL.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    global
        .get_or_insert_with(|| {
            system::at_exit(flush_at_exit);
            Arc::new(Tracer::new(&|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned())))
        })
        .clone()
}

/// The tracer of this process, from its environment.
pub fn tracer() -> Arc<Tracer> {
    TRACER.try_with(Arc::clone).unwrap_or_else(|_| global_tracer())
}

fn is_zeros(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// 32 lower-case digits of an id in hex or a UUID.
fn hex_id(text: &str) -> Option<String> {
    let digits = text.replace('-', "").to_ascii_lowercase();
    let fits = matches!(text.len(), 32 | 36) && digits.len() == 32 && is_hex(&digits) && !is_zeros(&digits);
    Some(digits).filter(|_| fits)
}

fn traceparent_of(trace_id: &str, span_id: &str, recording: bool) -> Option<String> {
    let fits = span_id.len() == 16 && is_hex(span_id);
    hex_id(trace_id).filter(|_| fits).map(|id| format!("00-{}-{}-{}", id, span_id, if recording { "01" } else { "00" }))
}

/// (trace id, parent id, sampled). W3C Trace Context, 3.2.
fn parse_traceparent(text: &str) -> Option<(String, String, bool)> {
    let mut parts = text.splitn(5, '-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let more = parts.next();
    let lengths = version.len() == 2 && trace_id.len() == 32 && parent_id.len() == 16 && flags.len() == 2;
    let digits = [version, trace_id, parent_id, flags].iter().all(|part| is_hex(part));
    let allowed = version != "ff" && (version != "00" || more.is_none()) && !is_zeros(trace_id) && !is_zeros(parent_id);
    if !(lengths && digits && allowed) {
        return None;
    }
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    Some((trace_id.to_string(), parent_id.to_string(), sampled))
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Decoded, the last of each key. W3C Baggage, 3.3; properties are left out, and so are members that are not valid.
fn parse_baggage(text: &str) -> Vec<(String, String)> {
    let is_token = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    let is_value = |value: &str| value.bytes().all(|b| (b'!'..=b'~').contains(&b) && !b"\"\\".contains(&b));
    let blank = |c: char| c == ' ' || c == '\t';
    let mut found: Vec<(String, String)> = Vec::new();
    let (mut count, mut size) = (0, 0);
    for member in text.split(',') {
        let pair = member.split(';').next().unwrap_or("");
        if let Some((key, value)) = pair.split_once('=') {
            let (key, value) = (key.trim_matches(blank), value.trim_matches(blank));
            if is_token(key) && is_value(value) && count < 64 && size + member.len() <= 8192 {
                count += 1;
                size += member.len() + 1;
                found.retain(|(other, _)| other != key);
                found.push((key.to_string(), percent_decode(value)));
            }
        }
    }
    found
}

fn parse_switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" => Some(true),
        "0" | "false" | "off" | "no" => Some(false),
        _ => None,
    }
}

impl Tracer {
    /// environment: what a variable is, None when it is not set.
    pub fn new(environment: &dyn Fn(&str) -> Option<String>) -> Tracer {
        let told = |name: &str| environment(name).unwrap_or_default().trim().to_string();
        let mut tracer = Tracer {
            trace_id: Arc::from(""),
            parent_span_id: None,
            baggage: Vec::new(),
            enabled: true,
            inherited: Vec::new(),
            defaults: Vec::new(),
            threshold: 0,
        };
        tracer.read_context(&told);
        tracer.read_baggage(&told);
        tracer.read_switches(&told);
        for name in ["tenant_id", "org_id"] {
            if let Some((_, value)) = tracer.baggage.iter().find(|(key, value)| key == name && !value.is_empty()) {
                tracer.defaults.push((name.to_string(), Value::Text(value.clone())));
            }
        }
        tracer
    }

    fn read_context(&mut self, told: &dyn Fn(&str) -> String) {
        for name in ["TRACEPARENT", "OTEL_TRACEPARENT"] {
            if let Some((trace_id, parent_id, sampled)) = parse_traceparent(&told(name)) {
                self.trace_id = Arc::from(trace_id);
                self.parent_span_id = Some(parent_id);
                self.enabled = sampled;
                if name == "TRACEPARENT" && !told("TRACESTATE").is_empty() {
                    self.inherited.push(("TRACESTATE", told("TRACESTATE")));
                }
                return;
            }
        }
        let usable = |id: String| Some(id).filter(|id| id.len() <= 256 && !is_zeros(&id.replace('-', "")));
        match usable(told("LOOM_TRACE_ID")) {
            Some(trace_id) => {
                self.trace_id = Arc::from(trace_id);
                self.parent_span_id = usable(told("LOOM_SPAN_ID"));
            }
            None => self.trace_id = Arc::from(format!("{:016x}{:016x}", random(), random())),
        }
    }

    fn read_baggage(&mut self, told: &dyn Fn(&str) -> String) {
        for name in ["BAGGAGE", "LOOM_TRACE_BAGGAGE"] {
            self.baggage = parse_baggage(&told(name));
            if !self.baggage.is_empty() {
                self.inherited.push(("BAGGAGE", told(name)));
                self.inherited.push(("LOOM_TRACE_BAGGAGE", told(name)));
                return;
            }
        }
    }

    fn read_switches(&mut self, told: &dyn Fn(&str) -> String) {
        let wanted = parse_switch(&told("LOOM_TRACE")).unwrap_or_else(|| !system::is_terminal());
        self.enabled = self.enabled && wanted && !told("OTEL_SDK_DISABLED").eq_ignore_ascii_case("true");
        let ratio = told("LOOM_TRACE_SAMPLE");
        match ratio.parse::<f64>() {
            Ok(fraction) if (0.0..=1.0).contains(&fraction) => {
                self.threshold = ((1.0 - fraction) * (1u64 << 56) as f64) as u64;
            }
            _ if ratio.is_empty() || !self.enabled => {}
            _ => complain(&format!("LOOM_TRACE_SAMPLE={} is no number from 0 to 1; everything is kept", ratio)),
        }
    }

    /// Whether a local root span of this id is written: its right-most 56 bits against a threshold.
    fn keeps(&self, span_id: &str) -> bool {
        self.threshold == 0 || u64::from_str_radix(&span_id[2..], 16).map_or(true, |bits| bits >= self.threshold)
    }

    /// A span under the current one, which is current itself until it ends.
    pub fn start_span(&self, name: &str, attributes: Attributes) -> Span {
        Span::new(self, name, attributes)
    }

    pub fn end_span(&self, span: Span, status: Status) {
        span.end(status);
    }

    /// Variables of a process that is started under the current span; None: to be taken away.
    pub fn child_environment(&self) -> Vec<(&'static str, Option<String>)> {
        let link = current();
        let trace_id = link.as_ref().map_or(&self.trace_id, |link| &link.trace_id);
        let span_id = link.as_ref().map_or_else(|| self.parent_span_id.clone(), |link| Some(link.span_id.clone()));
        let recording = link.as_ref().map_or(self.enabled, |link| link.recording);
        let mut variables: Vec<(&'static str, Option<String>)> = CONTEXT_VARIABLES.iter().map(|name| (*name, None)).collect();
        let mut set = |name: &str, value: Option<String>| {
            if let Some(variable) = variables.iter_mut().find(|variable| variable.0 == name) {
                variable.1 = value;
            }
        };
        for (name, value) in &self.inherited {
            set(name, Some(value.clone()));
        }
        set("TRACEPARENT", span_id.as_ref().and_then(|id| traceparent_of(trace_id, id, recording)));
        if recording {
            set("LOOM_TRACE_ID", Some(trace_id.to_string()));
            set("LOOM_SPAN_ID", span_id);
        }
        variables
    }
}

// ---- blocks ----

/// A span until it is dropped:  `let _span = loom_trace::span("load", attrs!["rows" => 3]);`
pub fn span(name: &str, attributes: Attributes) -> Span {
    tracer().start_span(name, attributes)
}

/// A span around f. A panic marks it, and goes on.
pub fn trace_span<T>(name: &str, attributes: Attributes, f: impl FnOnce(&mut Span) -> T) -> T {
    let mut span = span(name, attributes);
    match catch_unwind(AssertUnwindSafe(|| f(&mut span))) {
        Ok(value) => value,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            span.record_error("panic", text.as_deref().unwrap_or("left by a panic"));
            drop(span);
            resume_unwind(panic);
        }
    }
}

/// The same for what may fail: an Err marks the span, and goes on.
pub fn trace_result<T, E: Display>(name: &str, attributes: Attributes, f: impl FnOnce(&mut Span) -> Result<T, E>) -> Result<T, E> {
    trace_span(name, attributes, |span| {
        let result = f(span);
        if let Err(error) = &result {
            span.record_error(short_name(type_name::<E>()), &error.to_string());
        }
        result
    })
}

/// A type without the modules it is in.
fn short_name(full: &str) -> &str {
    let plain = full.split('<').next().unwrap_or(full);
    plain.rfind("::").map_or(full, |at| &full[at + 2..])
}

/// f, to be called by another thread under the span that is current now:  `thread::spawn(loom_trace::bind(move || work()))`
pub fn bind<T>(f: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let link = current();
    move || {
        let _outer = Restored(replace_current(link));
        f()
    }
}

/// What was current, and is so again at the end of the block, however it ends.
struct Restored(Option<Arc<Link>>);

impl Drop for Restored {
    fn drop(&mut self) {
        replace_current(self.0.take());
    }
}

/// A future with a span of its own, which is current whenever the future runs, in whatever thread.
pub struct Traced<F: Future> {
    future: Pin<Box<F>>,
    span: Option<Span>,
}

pub fn trace_future<F: Future>(name: &str, attributes: Attributes, future: F) -> Traced<F> {
    let outer = current();
    let span = span(name, attributes);
    replace_current(outer);
    Traced { future: Box::pin(future), span: Some(span) }
}

impl<F: Future> Future for Traced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<F::Output> {
        let link = self.span.as_ref().map(|span| span.link.clone());
        let outer = Restored(replace_current(link));
        let result = self.future.as_mut().poll(context);
        drop(outer);
        if result.is_ready() {
            self.span.take();
        }
        result
    }
}

/// Hands the current span to a command.
pub fn inject(command: &mut Command) -> &mut Command {
    for (name, value) in tracer().child_environment() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}
