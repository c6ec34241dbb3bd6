# SPDX-License-Identifier: Apache-2.0
"""Spans of a Python program that Loom started, as lines on standard error (FORMAT.md).

    from loom_trace import tracer, trace_span, trace_function

    with trace_span("query_database", query_type="SELECT"):
        ...

One file, the standard library alone, Python 3.8 and later. Nothing here raises into the program, takes a lock that another
thread may hold, or waits for a reader that has stopped for longer than 50 ms; what a span costs is some microseconds.

The current span is a context variable: tasks of asyncio inherit it, threads do not (see bind()). A span belongs to whoever
started it; it may be ended by another thread.
"""

import atexit
import functools
import os
import sys
import time
from _random import Random
from _thread import allocate_lock
from collections import deque
from contextvars import ContextVar

try:
    from _json import encode_basestring_ascii as _escape
except ImportError:  # a Python without the C accelerator
    from json.encoder import encode_basestring_ascii as _escape
try:
    from select import POLLERR, POLLHUP, POLLNVAL, POLLOUT, poll as _poll
except ImportError:  # no poll() on this system: writes may wait, like any print
    _poll = None

__all__ = ["LoomTracer", "Span", "bind", "child_environment", "current_span", "flush", "trace_function", "trace_span", "tracer"]
__version__ = "0.1.0"

LINE_MAX = 262144  # bytes, marker and line feed included
ATTRIBUTES_MAX = 128
EVENTS_MAX = 128
STRING_MAX = 16384  # characters
ITEMS_MAX = 1000  # of one value, nested ones included
DEPTH_MAX = 8
NAME_MAX = 1024
KEY_MAX = 256
ERRORS_MAX = 10  # complaints in the life of a process
BUFFER_MAX = 1 << 20  # bytes that may wait for a reader
BUFFER_WRITE = 32768  # bytes at which they are written although a root span is open
WRITE_AFTER_NS = 10_000_000  # since the last write
WRITE_MAX = 4096  # PIPE_BUF of Linux: what a pipe keeps in one piece
READER_WAIT_MS = 50
PAIR_NS_MAX = 1500  # between the two clocks of a span's start,
PAIR_TRIES = 5  # so often
YIELDS_MAX = 20  # of half a millisecond, to a thread that writes
EXIT_WAIT_MS = 500
PIPE_MAX = 1 << 20  # bytes that a pipe may be made to hold on Linux; also what /proc/sys/fs/pipe-max-size usually is

_STATUSES = ("unset", "ok", "error")
_KINDS = ("internal", "server", "client", "producer", "consumer")
_CONTEXT_VARIABLES = (
    "TRACEPARENT", "TRACESTATE", "BAGGAGE", "B3", "X_B3_TRACEID", "X_B3_SPANID", "X_B3_PARENTSPANID", "X_B3_SAMPLED",
    "X_B3_FLAGS", "X_TRACE_ID", "X_SPAN_ID", "OTEL_TRACEPARENT", "LOOM_TRACE_ID", "LOOM_SPAN_ID", "LOOM_TRACE_BAGGAGE",
)

_current = ContextVar("loom_trace_span", default=None)
_generation = 0  # how many forks lie between this process and the one that imported the module
_random = Random(int.from_bytes(os.urandom(16), "little"))
_ids = []  # of spans to come


# ---- the stream ----

class _Output:
    """Lines on their way to standard error. Any thread appends; whoever gets the lock writes, and nobody waits for it, so a
    signal handler or a finalizer that ends a span in the middle of a write is safe."""

    def __init__(self):
        self._lines = deque()
        self._size = 0  # about; exact when there are no lines
        self._lock = allocate_lock()
        self._written_ns = 0
        self._blocked = False  # the last write found no reader
        self._torn = False  # our last line has no end
        self._gone = False  # there is no reader any more
        self._lost = 0
        self._errors = 0
        self._ready = None

    def reset(self):
        """In the child of a fork: what waits is the parent's, and so is whatever its threads held."""
        self.__init__()

    def add(self, line, now_ns, is_root):
        if self._size + len(line) > BUFFER_MAX and not self._make_room(len(line)):
            return
        if is_root and not self._lines and not self._lost and not self._torn and self._lock.acquire(False):
            try:
                if self._has_room(0 if self._blocked else READER_WAIT_MS):
                    self._put(line)
                    self._written_ns = now_ns
                    return
            finally:
                self._lock.release()
        self._lines.append(line)
        self._size += len(line)
        if is_root or self._size >= BUFFER_WRITE or now_ns - self._written_ns >= WRITE_AFTER_NS:
            self.flush(0 if self._blocked else READER_WAIT_MS)

    def _make_room(self, size):
        self.flush(0)
        for _ in range(YIELDS_MAX):  # another thread writes, and gets the interpreter only when this one lets go of it
            if self._size + size <= BUFFER_MAX or self._blocked or not self._lock.locked():
                break
            time.sleep(0.0005)
        if self._size + size > BUFFER_MAX and self._lost % 64 == 0:
            self._size = sum(map(len, list(self._lines)))  # threads that count at once may have miscounted
        if self._size + size <= BUFFER_MAX:
            return True
        self._lost += 1
        return False

    def complain(self, text):
        """One line of __LOOM_TRACE_ERROR__, ten at most."""
        if self._errors < ERRORS_MAX:
            self._errors += 1
            self._lines.append(_error_line(text))
            self.flush(0)

    def flush(self, wait_ms):
        while self._lines and self._lock.acquire(False):
            try:
                emptied = self._write_all(wait_ms)
            finally:
                self._lock.release()
            if not emptied:
                return

    def finish(self):
        """The end of the process: what can not be written is counted now, or never. A pipe that is full is made larger, first
        for the spans, then for their number."""
        if not (self._lines or self._lost) or not self._lock.acquire(timeout=EXIT_WAIT_MS / 1000):
            return
        try:
            if not self._write_all(EXIT_WAIT_MS) and not self._gone and _enlarge_pipe(PIPE_MAX // 2):
                self._write_all(0)
            if self._lines and not self._gone:
                self._lost += sum(map(_count_spans, self._lines))
                self._lines.clear()
                _enlarge_pipe(PIPE_MAX)
                self._write_all(0)
        finally:
            self._lock.release()

    def _write_all(self, wait_ms):
        lines = self._lines
        while lines or self._lost:
            if not self._has_room(wait_ms):
                if self._gone:
                    lines.clear()
                    self._size = self._lost = 0
                return False
            lost = self._lost
            if lost:
                done = self._put(_error_line("%d spans lost: standard error was not read" % lost), False)
                self._lost -= lost if done else 0
            else:
                data = lines.popleft()
                if lines:
                    data = self._with_others(data)
                self._size = self._size - len(data) if lines else 0
                done = self._put(data)
            if not done:
                return False
        self._written_ns = time.perf_counter_ns()
        return True

    def _put(self, data, keep=True):
        """False: not all of it could be written. What is whole then waits (keep), what is torn is lost."""
        done = self._write(data)
        if done == len(data):
            return True
        if keep and done > 0:
            self._lost += _count_spans(data[data.rfind(b"\n", 0, done) + 1:])
        elif keep:
            self._lines.appendleft(data)
            self._size += len(data)
        return False

    def _with_others(self, line):
        """line, and those behind it that fit into one write with it."""
        lines = self._lines
        chunk = [line]
        size = len(line)
        while lines and size + len(lines[0]) <= WRITE_MAX:
            chunk.append(lines.popleft())
            size += len(chunk[-1])
        return b"".join(chunk)

    def _has_room(self, wait_ms):
        """Whether a write of WRITE_MAX bytes would not wait."""
        if _poll is None:
            return not self._gone
        if self._ready is None:
            self._ready = _poll()
            self._ready.register(2, POLLOUT)
        events = self._ready.poll(0) or (wait_ms > 0 and self._ready.poll(wait_ms))
        self._blocked = not events
        if events and events[0][1] & (POLLERR | POLLHUP | POLLNVAL):
            self._gone = True  # SIGPIPE may be deadly here, so do not even try
        return bool(events) and not self._gone

    def _write(self, data):
        """How many bytes of it have been written."""
        was_torn = self._torn
        out = b"\n" + data if was_torn else data
        self._torn = True  # until all of it is out: an exception of a signal handler may come out of write()
        done = 0
        while done < len(out):
            try:
                done += os.write(2, out[done:])
            except BlockingIOError:
                if not self._has_room(READER_WAIT_MS):
                    break
            except OSError:
                self._gone = True
                break
        self._torn = was_torn if done == 0 else was_torn < done < len(out)
        return max(0, done - was_torn)


_output = _Output()


def _error_line(text):
    text = " ".join(text.split()).encode("utf-8", "replace")[:1000].decode("utf-8", "ignore")
    return ("__LOOM_TRACE_ERROR__: %s\n" % text).encode("utf-8")


def _count_spans(lines):
    return (b"\n" + lines).count(b"\n__LOOM_TRACE__:")


def _enlarge_pipe(size):
    """Whether standard error is a pipe that holds more now. Nothing else is changed by this for those who share it."""
    try:
        import fcntl
        return sys.platform == "linux" and fcntl.fcntl(2, 1031, size) >= size  # F_SETPIPE_SZ, which Python has since 3.10
    except Exception:
        return False


def _complain(text):
    try:
        _output.complain(text)
    except Exception:  # standard error is what we would complain on
        pass


def flush():
    """Writes what waits. Returns when it is written, or the reader has been waited for half a second."""
    _output.flush(EXIT_WAIT_MS)


def _after_fork():
    global _generation
    _generation += 1
    _random.seed(int.from_bytes(os.urandom(16), "little"))
    _ids.clear()
    _output.reset()


atexit.register(lambda: _output.finish())  # a fork makes it another one
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ---- JSON ----

def _quote(text):
    """A JSON string in ASCII, cut at STRING_MAX; lone surrogates become U+FFFD."""
    if len(text) > STRING_MAX:
        text = text[:STRING_MAX]
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _escape(text)


def _text_of(value):
    """str(value), whatever it does."""
    try:
        return str.__str__(str(value))
    except Exception:
        return "<unprintable %s>" % type(value).__name__


class _Encoder:
    """Any value as JSON text. One for each attribute: it counts the items of it."""

    __slots__ = ("_items", "_path")

    def __init__(self):
        self._items = 0
        self._path = []

    def encode(self, value):
        if value is None:
            return "null"
        if value is True or value is False:
            return "true" if value else "false"
        if isinstance(value, str):
            return _quote(str.__str__(value))
        if isinstance(value, int):
            return _integer(int(value))
        if isinstance(value, float):
            return _real(float(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(value)
        if isinstance(value, (list, tuple, set, frozenset, deque)):
            return self._nested(value, self._array)
        if isinstance(value, dict):
            return self._nested(value, self._object)
        return self._other(value)

    def _nested(self, value, write):
        if any(value is outer for outer in self._path):
            return '"[circular]"'
        if len(self._path) == DEPTH_MAX:
            return _quote("…")
        self._path.append(value)
        try:
            return write(value)
        finally:
            self._path.pop()

    def _array(self, value):
        texts = []
        for item in list(value):
            if self._items == ITEMS_MAX:
                break
            self._items += 1
            texts.append(self.encode(item))
        return "[" + ",".join(texts) + "]"

    def _object(self, value):
        texts = {}
        for key, item in list(value.items()):
            if self._items == ITEMS_MAX:
                break
            self._items += 1
            texts[_key(key)] = self.encode(item)  # keys that are no texts, or were cut, may have become the same
        return "{" + ",".join([key + text for key, text in texts.items()]) + "}"

    @staticmethod
    def _bytes(value):
        from binascii import b2a_base64
        data = bytes(value[: STRING_MAX * 3 // 4] if not isinstance(value, memoryview) else value.tobytes()[: STRING_MAX * 3 // 4])
        return _quote(b2a_base64(data, newline=False).decode("ascii"))

    def _other(self, value):
        if isinstance(value, BaseException):
            return _quote("%s: %s" % (type(value).__name__, _text_of(value)))
        if hasattr(type(value), "__index__"):  # the whole numbers of numpy and others
            return _integer(int(value.__index__()))
        if hasattr(type(value), "isoformat"):  # dates and times
            return _quote(str.__str__(value.isoformat()))
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            plain = value.tolist()
            return self.encode(plain) if type(plain) is not type(value) else _quote(_text_of(value))
        return _quote(_text_of(value))


def _integer(value):
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return repr(value)
    try:
        return '"%d"' % value
    except ValueError:  # more digits than Python converts
        return _quote(hex(value))


def _real(value):
    if value - value == 0:  # neither infinite nor NaN
        return repr(value)
    return '"NaN"' if value != value else '"Infinity"' if value > 0 else '"-Infinity"'


_keys = {}  # what they are in JSON, colon included


def _key(key):
    name = str.__str__(key) if isinstance(key, str) else _text_of(key)
    text = _quote(name[:KEY_MAX]) + ":"
    if len(_keys) < 1024 and type(key) is str and len(key) <= KEY_MAX:
        _keys[key] = text
    return text


def _value(value):
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return _real(value)
    try:
        return _Encoder().encode(value)
    except Exception:
        return _quote("<unprintable %s>" % kind.__name__)


def _attributes(attributes):
    """The members of a JSON object, and how many did not fit."""
    try:
        return _members(attributes.items())
    except RuntimeError:  # another thread, or str() of a value, has changed it meanwhile
        return _members(list(attributes.items()))


def _members(items):
    texts = {}
    dropped = 0
    for key, value in items:
        if value is None or key == "":
            continue
        known = (_keys.get(key) if type(key) is str else None) or _key(key)
        if len(texts) == ATTRIBUTES_MAX and known not in texts:
            dropped += 1
        elif type(value) is str and len(value) <= STRING_MAX and value.isascii():
            texts[known] = known + _escape(value)
        else:
            texts[known] = known + (_integer(value) if type(value) is int else _value(value))
    return ",".join(texts.values()), dropped


_second = ("", "")  # the last one that was written, in digits and in words


def _time(unix_ns):
    global _second
    digits = str(unix_ns)
    known = _second
    if known[0] != digits[:-9]:
        digits = digits.zfill(10)
        known = _second = (digits[:-9], "%04d-%02d-%02dT%02d:%02d:%02d" % time.gmtime(int(digits[:-9]))[:6])
    return f"{known[1]}.{digits[-9:]}Z"


# ---- spans ----

_MISSING = object()


class Span:
    """One operation. attributes may be changed until it ends; kind is one of _KINDS."""

    __slots__ = ("trace_id", "span_id", "parent_id", "name", "attributes", "status", "status_message", "kind", "events", "start_ns",
                 "end_ns", "recording", "_clock_ns", "_parent", "_generation", "_depth", "_dropped_events", "__weakref__")

    def __init__(self, name, attributes, parent, tracer):
        self.name = name
        self.attributes = attributes
        try:
            self.span_id = span_id = _ids.pop()
        except IndexError:
            self.span_id = span_id = _new_id()
        self.status = "unset"
        self.status_message = self.kind = self.events = self.end_ns = None
        self._dropped_events = 0
        self._generation = _generation
        self.trace_id = tracer.trace_id
        if parent is None:
            self.parent_id = tracer.parent_span_id
            self.recording = tracer.enabled and (not tracer._threshold or int(span_id[2:], 16) >= tracer._threshold)
            self._depth = 0
        else:
            if parent.trace_id != self.trace_id:
                self.trace_id = parent.trace_id
            self.parent_id = parent.span_id
            self.recording = parent.recording
            self._depth = parent._depth + 1
            if self._depth == 1000:  # spans that nobody ends must not pile up
                parent = None
                self._depth = 0
        self._parent = parent
        self.start_ns, self._clock_ns = _now()

    def set_attribute(self, key, value):
        if self.end_ns is None:
            try:
                self.attributes[key] = value
            except TypeError:
                _complain("an attribute's name is text, not %s" % _text_of(key))
        return self

    def set_attributes(self, attributes=None, /, **more):
        if self.end_ns is None:
            self.attributes.update(_merged(attributes, more))
        return self

    def set_status(self, status, message=None):
        """status: "ok", "error" or "unset"; what it is set to counts before what ends the span says."""
        if self.end_ns is None:
            self.status = _status(status)
            self.status_message = message
        return self

    def add_event(self, name, attributes=None, /, **more):
        if self.end_ns is not None or not self.recording:
            return self
        if self.events is None:
            self.events = []
        if len(self.events) >= EVENTS_MAX:
            self._dropped_events += 1
        else:
            now_ns = self.start_ns + time.perf_counter_ns() - self._clock_ns
            self.events.append((name, now_ns, _merged(attributes, more)))
        return self

    def record_exception(self, error):
        """The event and error.type of the OpenTelemetry conventions, and the status: error."""
        if self.end_ns is not None or not self.recording:
            return self
        try:
            kind = type(error)
            name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "." + kind.__qualname__
            message = _text_of(error)
            self.add_event("exception", {"exception.type": name, "exception.message": message,
                                         "exception.stacktrace": _stacktrace(error)})
            self.attributes.setdefault("error.type", name)
            self.status = "error"
            self.status_message = message
        except Exception as failure:
            _complain("Failed to record an exception: %r" % failure)
        return self

    def end(self, status=None):
        """Ends and writes it; a second time does nothing. The first of: what set_status() said, status, "ok"."""
        if self.end_ns is not None:
            return
        now_ns = time.perf_counter_ns()
        self.end_ns = self.start_ns + now_ns - self._clock_ns
        if self.status == "unset":
            self.status = _status(status) if status is not None else "ok"
        if _current.get() is self:
            parent = self._parent
            while parent is not None and parent.end_ns is not None:
                parent = parent._parent
            _current.set(parent)
        if self.recording and self._generation == _generation:
            parent = self._parent
            try:
                is_root = parent is None or parent.end_ns is not None or parent._generation != _generation
                _output.add(_line(self), now_ns, is_root)
            except Exception as failure:
                _complain("Failed to export span %s: %r" % (_text_of(self.name), failure))
        self.attributes = {}  # nothing is kept after it is written
        self.events = None

    @property
    def traceparent(self):
        """Of this span, for a header or a variable; None when the trace's id is neither hex nor a UUID."""
        trace_id = _hex_id(self.trace_id)
        return "00-%s-%s-%s" % (trace_id, self.span_id, "01" if self.recording else "00") if trace_id else None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        _leave(self, error)
        return False


def _now():
    """The time, and the clock that spans are measured by, of one moment. Of a pair that is interrupted in between a span would end
    before those inside it."""
    for _ in range(PAIR_TRIES):
        before_ns, now_ns, after_ns = time.perf_counter_ns(), time.time_ns(), time.perf_counter_ns()
        if after_ns - before_ns < PAIR_NS_MAX:
            break
    return now_ns, (before_ns + after_ns) // 2


def _new_id():
    """One, and the next hundred at once, which costs a tenth."""
    digits = "%01616x" % _random.getrandbits(6464)
    ids = [digits[at:at + 16] for at in range(0, 1616, 16) if digits[at:at + 16].strip("0")]
    _ids.extend(ids[1:])
    return ids[0]


def _merged(attributes, more):
    """Attributes given as a mapping, by position or by the keyword of that name, and those given as keywords."""
    if attributes is None:
        if not isinstance(more.get("attributes"), dict):
            return more
        attributes = more.pop("attributes")
    try:
        return {**attributes, **more}
    except Exception:
        _complain("attributes are no mapping: %s" % _text_of(attributes))
        return more


def _name_of(more):
    """Of a span whose name was given as a keyword."""
    if "name" not in more:
        raise TypeError("a span needs a name")
    return more.pop("name")


def _status(status):
    text = status.lower() if isinstance(status, str) else None
    if text in _STATUSES:
        return text
    _complain("%s is no status: ok, error or unset" % _text_of(status))
    return "unset"


def _stacktrace(error):
    import traceback
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-64))
    return text[-STRING_MAX:]


def _is_failure(error):
    """What ends a block in good order is none: a generator that is closed, sys.exit(0)."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, GeneratorExit)


def _leave(span, error):
    if error is not None and _is_failure(error):
        span.record_exception(error)
    span.end()


_head = ("", "")  # the last trace id, and how a line of it begins


def _line_of(span, attributes, dropped, events):
    """The line of these parts."""
    global _head
    head = _head
    if head[0] != span.trace_id:
        head = _head = (span.trace_id, '__LOOM_TRACE__:{"trace_id":%s,"span_id":"' % _quote(span.trace_id))
    parent = '"parent_id":%s,' % _quote(span.parent_id) if span.parent_id else ""
    name = span.name
    if type(name) is not str or not 0 < len(name) <= NAME_MAX:
        name = _text_of(name)[:NAME_MAX] or "unnamed"
    rest = ""
    if span.status_message is not None or span.kind is not None or dropped or events or span._dropped_events:
        rest = _rare_members(span, dropped, events)
    return (f'{head[1]}{span.span_id}",{parent}"name":{_quote(name)},"start_time":"{_time(span.start_ns)}","end_time":"'
            f'{_time(span.end_ns)}","attributes":{{{attributes}}},"status":"{span.status}"{rest}}}\n').encode("ascii")


def _rare_members(span, dropped, events):
    text = ""
    if span.status == "error" and span.status_message is not None:
        text = ',"status_message":' + _quote(_text_of(span.status_message))
    if span.kind in _KINDS and span.kind != "internal":
        text += ',"kind":"%s"' % span.kind
    if events:
        text += ',"events":[%s]' % events
    if dropped:
        text += ',"dropped_attributes":%d' % dropped
    if span._dropped_events:
        text += ',"dropped_events":%d' % span._dropped_events
    return text


def _line(span):
    attributes, dropped = _attributes(span.attributes)
    events = ""
    if span.events:
        events = ",".join([
            '{"name":%s,"time":"%s","attributes":{%s}}' % (_quote(_text_of(name)[:NAME_MAX]), _time(at), _attributes(more)[0])
            for name, at, more in span.events])
    line = _line_of(span, attributes, dropped, events)
    if len(line) <= LINE_MAX:
        return line
    return _short_line(span)


def _short_line(span):
    """As much of the attributes as fits, in their order; no events, no long texts."""
    texts, dropped, size = [], 0, 0
    for key, value in list(span.attributes.items()):
        if value is None or key == "":
            continue
        text = _key(key) + _value(value)
        if len(texts) == ATTRIBUTES_MAX or size + len(text) > LINE_MAX // 2:
            dropped += 1
            continue
        texts.append(text)
        size += len(text) + 1
    if span.status_message is not None:
        span.status_message = _text_of(span.status_message)[:NAME_MAX]
    span._dropped_events += len(span.events or ())
    return _line_of(span, ",".join(texts), dropped, "")


# ---- what the program was told ----

_HEX = frozenset("0123456789abcdef")
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def _hex_id(text):
    """32 lower-case digits of an id in hex or a UUID; None: it is neither."""
    digits = text.replace("-", "").lower() if len(text) in (32, 36) else ""
    return digits if len(digits) == 32 and _HEX.issuperset(digits) and digits.strip("0") else None


def _parse_traceparent(text):
    """(trace id, parent id, sampled), or None. W3C Trace Context, 3.2."""
    parts = text[:55].split("-")
    if [len(part) for part in parts] != [2, 32, 16, 2] or not all(map(_HEX.issuperset, parts)):
        return None
    version, trace_id, parent_id, flags = parts
    if version == "ff" or (len(text) > 55 and (version == "00" or text[55] != "-")):
        return None
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return trace_id, parent_id, bool(int(flags, 16) & 1)


def _percent_decode(text):
    parts = text.encode("ascii").split(b"%")
    out = [parts[0]]
    for part in parts[1:]:
        try:
            if not _HEX.issuperset(part[:2].decode("ascii").lower()):
                raise ValueError
            out += [bytes.fromhex(part[:2].decode("ascii")), part[2:]]
        except ValueError:
            out += [b"%", part]
    return b"".join(out).decode("utf-8", "replace")


def _parse_baggage(text):
    """{key: value}, decoded. W3C Baggage, 3.3; properties are left out, and so are members that are not valid."""
    found = {}
    count = size = 0
    for member in text.split(","):
        key, equals, value = member.partition(";")[0].partition("=")
        key, value = key.strip(" \t"), value.strip(" \t")
        valid = equals and key and _TOKEN.issuperset(key) and all("!" <= c <= "~" and c not in '"\\' for c in value)
        if valid and count < 64 and size + len(member) <= 8192:
            count += 1
            size += len(member) + 1
            found[key] = _percent_decode(value)
    return found


def _parse_switch(text):
    text = text.strip().lower()
    return True if text in ("1", "true", "on", "yes") else False if text in ("0", "false", "off", "no") else None


def _is_terminal():
    try:
        return os.isatty(2)
    except OSError:
        return True  # nobody collects there either


class LoomTracer:
    """What a program was told of its trace, and the spans it starts in it. environ: a mapping, os.environ by default.

    trace_id, parent_span_id (None: its spans are roots), baggage (a dict, decoded), enabled."""

    def __init__(self, environ=None):
        environ = os.environ if environ is None else environ
        self.trace_id = self.parent_span_id = None
        self.enabled = True
        self.baggage = {}
        self._inherited = {}
        self._threshold = 0
        self._read_context(environ)
        self._read_baggage(environ)
        self._read_switches(environ)
        self._defaults = {key: self.baggage[key] for key in ("tenant_id", "org_id") if self.baggage.get(key)}

    def _read_context(self, environ):
        for name in ("TRACEPARENT", "OTEL_TRACEPARENT"):
            found = _parse_traceparent((environ.get(name) or "").strip())
            if found is not None:
                self.trace_id, self.parent_span_id, self.enabled = found
                if name == "TRACEPARENT" and environ.get("TRACESTATE"):
                    self._inherited["TRACESTATE"] = environ["TRACESTATE"]
                return
        trace_id = (environ.get("LOOM_TRACE_ID") or "").strip()
        if trace_id.strip("0-") and len(trace_id) <= 256:
            self.trace_id = trace_id
            parent_id = (environ.get("LOOM_SPAN_ID") or "").strip()
            self.parent_span_id = parent_id if parent_id.strip("0-") and len(parent_id) <= 256 else None
        else:
            self.trace_id = _new_id() + _new_id()

    def _read_baggage(self, environ):
        for name in ("BAGGAGE", "LOOM_TRACE_BAGGAGE"):
            text = (environ.get(name) or "").strip()
            self.baggage = _parse_baggage(text)
            if self.baggage:
                self._inherited["BAGGAGE"] = self._inherited["LOOM_TRACE_BAGGAGE"] = text
                return

    def _read_switches(self, environ):
        wanted = _parse_switch(environ.get("LOOM_TRACE") or "")
        if wanted is None:
            wanted = not _is_terminal()
        if (environ.get("OTEL_SDK_DISABLED") or "").strip().lower() == "true" or sys.__stderr__ is None:
            wanted = False
        self.enabled = self.enabled and wanted
        ratio = (environ.get("LOOM_TRACE_SAMPLE") or "").strip()
        if ratio:
            try:
                fraction = float(ratio)
            except ValueError:
                fraction = -1.0
            if 0.0 <= fraction <= 1.0:
                self._threshold = 1 << 56 if fraction == 0.0 else round((1.0 - fraction) * (1 << 56))
            elif self.enabled:
                _complain("LOOM_TRACE_SAMPLE=%s is no number from 0 to 1; everything is kept" % ratio)

    def start_span(self, name=_MISSING, attributes=None, /, **more):
        """Starts a span under the current one, and makes it the current one until end_span()."""
        return self._start(_name_of(more) if name is _MISSING else name, attributes, more)

    def _start(self, name, attributes, more):
        if attributes is not None or "attributes" in more:
            more = _merged(attributes, more)
        if self._defaults:
            more = {**self._defaults, **more}
        span = Span(name, more, _current.get(), self)
        _current.set(span)
        return span

    def end_span(self, span, status="ok"):
        """status: "ok", "error" or "unset"; an exception that is being handled is recorded with "error"."""
        if not isinstance(span, Span):
            _complain("end_span() takes a span, not %s" % type(span).__name__)
            return
        if status == "error" and span.status == "unset" and span.end_ns is None:
            error = sys.exc_info()[1]
            if error is not None:
                span.record_exception(error)
        span.end(status)

    def trace_span(self, name=_MISSING, attributes=None, /, **more):
        return trace_span(name, attributes, **more)._of(self)

    def current_span(self):
        return current_span()

    def child_environment(self, environ=None):
        """A copy of environ (os.environ by default) in which the trace is the current span's, for a process to be started."""
        source = os.environ if environ is None else environ
        copy = {key: value for key, value in source.items() if key not in _CONTEXT_VARIABLES}
        copy.update(self._inherited)
        span = _current.get()
        span_id = span.span_id if span is not None else self.parent_span_id
        recording = span.recording if span is not None else self.enabled
        trace_id = span.trace_id if span is not None else self.trace_id
        plain = _hex_id(trace_id)
        if plain and span_id and len(span_id) == 16 and _HEX.issuperset(span_id):
            copy["TRACEPARENT"] = "00-%s-%s-%s" % (plain, span_id, "01" if recording else "00")
        if recording:
            copy["LOOM_TRACE_ID"] = trace_id
            if span_id:
                copy["LOOM_SPAN_ID"] = span_id
        return copy


# ---- blocks and functions ----

class trace_span:
    """A span for a block:  with trace_span("load", rows=3) as span:  — also async with, and a decorator."""

    __slots__ = ("_name", "_attributes", "_more", "_span", "_tracer")

    def __init__(self, name=_MISSING, attributes=None, /, **more):
        self._name = _name_of(more) if name is _MISSING else name
        self._attributes = attributes
        self._more = more
        self._tracer = tracer

    def _of(self, owner):
        self._tracer = owner
        return self

    def __enter__(self):
        self._span = span = self._tracer._start(self._name, self._attributes, self._more.copy())
        return span

    def __exit__(self, kind, error, trace):
        if error is not None:
            _leave(self._span, error)
        else:
            self._span.end()
        return False

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, kind, error, trace):
        return self.__exit__(kind, error, trace)

    def __call__(self, function):
        return _wrapped(function, self._name, _merged(self._attributes, self._more.copy()), self._tracer)


def trace_function(name=None, attributes=None, /, **more):
    """A span for every call: @trace_function, @trace_function(), @trace_function("load", table="users").

    Functions, coroutine functions, generators and asynchronous generators; a generator's span lasts until it is exhausted or
    closed, and is current only while it runs. name= names the span, too; by default it is the function's."""
    if callable(name) or isinstance(name, (staticmethod, classmethod)):
        return _wrapped(name, None, {}, tracer)
    name = more.pop("name", None) if name is None else name
    merged = _merged(attributes, more)
    return lambda function: _wrapped(function, name, merged, tracer)


def _wrapped(function, name, attributes, owner):
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_wrapped(function.__func__, name, attributes, owner))
    if isinstance(function, type) or not callable(function):
        _complain("trace_function is for functions, not for %s" % _text_of(function))
        return function
    if name is None:
        name = getattr(function, "__qualname__", None) or type(function).__name__
        name = name.rpartition("<locals>.")[2]
    scope = lambda: trace_span(name, attributes)._of(owner)  # noqa: E731
    flags = _flags_of(function)
    if flags & 0x200:
        return _async_generator(function, scope)
    if flags & 0x80:
        @functools.wraps(function)
        async def traced(*args, **kwargs):
            with scope():
                return await function(*args, **kwargs)
        return traced
    if flags & 0x20:
        return _generator(function, scope)

    def traced(*args, **kwargs):
        with scope():
            return function(*args, **kwargs)
    return functools.update_wrapper(traced, function)


def _flags_of(function):
    """co_flags: 0x20 of a generator, 0x80 of a coroutine, 0x200 of an asynchronous generator (inspect.CO_…)."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    return getattr(getattr(function, "__code__", None), "co_flags", 0)


class _Step:
    """One run of a generator, from where it was resumed to where it yields: its span is current meanwhile."""

    __slots__ = ("_span", "_outer")

    def __init__(self, span):
        self._span = span

    def __enter__(self):
        self._outer = _current.get()
        _current.set(self._span)

    def __exit__(self, kind, error, trace):
        _current.set(self._outer)
        return False


def _start_aside(scope):
    """A span that is not current."""
    outer = _current.get()
    span = scope().__enter__()
    _current.set(outer)
    return span


def _generator(function, scope):
    @functools.wraps(function)
    def traced(*args, **kwargs):
        span = _start_aside(scope)
        inner = function(*args, **kwargs)
        resume, value = inner.send, None
        try:
            while True:
                try:
                    with _Step(span):
                        item = resume(value)
                except StopIteration as stop:
                    span.end()
                    return stop.value
                try:
                    value = yield item
                    resume = inner.send
                except GeneratorExit:
                    with _Step(span):
                        inner.close()
                    raise
                except BaseException as error:
                    resume, value = inner.throw, error
        except BaseException as error:
            _leave(span, error)
            raise
    return traced


def _async_generator(function, scope):
    @functools.wraps(function)
    async def traced(*args, **kwargs):
        span = _start_aside(scope)
        inner = function(*args, **kwargs)
        resume, value = inner.asend, None
        try:
            while True:
                try:
                    with _Step(span):
                        item = await resume(value)
                except StopAsyncIteration:
                    span.end()
                    return
                try:
                    value = yield item
                    resume = inner.asend
                except GeneratorExit:
                    with _Step(span):
                        await inner.aclose()
                    raise
                except BaseException as error:
                    resume, value = inner.athrow, error
        except BaseException as error:
            _leave(span, error)
            raise
    return traced


def current_span():
    """The innermost span of this context that has not ended; None: there is none."""
    span = _current.get()
    while span is not None and span.end_ns is not None:
        span = span._parent
    return span


def bind(function):
    """function, to be run by another thread under the span that is current now:  executor.submit(bind(work), 1)."""
    span = _current.get()

    @functools.wraps(function)
    def bound(*args, **kwargs):
        token = _current.set(span)
        try:
            return function(*args, **kwargs)
        finally:
            _current.reset(token)
    return bound


def child_environment(environ=None):
    return tracer.child_environment(environ)


tracer = LoomTracer()
