# frozen_string_literal: true
# SPDX-License-Identifier: Apache-2.0

# Spans of a Ruby program that Loom started, as lines on standard error (FORMAT.md).
#
#     require_relative "loom_trace"
#     LoomTrace.trace_span("query_database", query_type: "SELECT") { ... }
#
# One file, the standard library alone, Ruby 3.0 and later. Nothing here raises into the program, takes a lock that another
# thread may hold, or waits for a reader that has stopped for longer than 50 ms. The current span belongs to the fiber; from
# Ruby 3.2 on, fibers and threads inherit it, before that bind hands it over.

require "json"
require "securerandom"

module LoomTrace
  VERSION = "0.1.0"
  LINE_MAX = 262_144 # bytes, marker and line feed included
  ATTRIBUTES_MAX = 128
  EVENTS_MAX = 128
  STRING_MAX = 16_384 # characters
  ITEMS_MAX = 1000 # of one value, nested ones included
  DEPTH_MAX = 8
  NAME_MAX = 1024
  KEY_MAX = 256
  ERRORS_MAX = 10 # complaints in the life of a process
  BUFFER_MAX = 1 << 20 # bytes that may wait for a reader
  BUFFER_WRITE = 32_768 # bytes at which they are written although a root span is open
  WRITE_AFTER_NS = 10_000_000 # since the last write
  WRITE_MAX = 4096 # PIPE_BUF of Linux: what a pipe keeps in one piece
  READER_WAIT_S = 0.05
  EXIT_WAIT_S = 0.5
  PIPE_MAX = 1 << 20 # bytes that a pipe may be made to hold on Linux; also what /proc/sys/fs/pipe-max-size usually is
  PAIR_NS_MAX = 1500 # between the two clocks of a span's start,
  PAIR_TRIES = 5 # so often
  NESTED_MAX = 1000 # spans that nobody ends must not pile up
  STATUSES = %w[unset ok error].freeze
  KINDS = %w[internal server client producer consumer].freeze
  CONTEXT_VARIABLES = %w[
    TRACEPARENT TRACESTATE BAGGAGE B3 X_B3_TRACEID X_B3_SPANID X_B3_PARENTSPANID X_B3_SAMPLED X_B3_FLAGS X_TRACE_ID X_SPAN_ID
    OTEL_TRACEPARENT LOOM_TRACE_ID LOOM_SPAN_ID LOOM_TRACE_BAGGAGE
  ].freeze

  # Lines on their way to standard error. Any thread appends; whoever gets the lock writes, and nobody waits for it.
  class Output
    def initialize
      @lines = Thread::Queue.new
      @lock = Thread::Mutex.new
      @pid = Process.pid
      @io = nil
      @back = [] # taken from the lines, but not written; the first is the last
      @size = 0 # about; exact when there are no lines
      @written_ns = 0
      @lost = 0
      @errors = 0
      @blocked = @torn = @gone = false
    end

    def add(line, now_ns, is_root)
      initialize if @pid != Process.pid # the child of a fork: what waits is the parent's
      flush(0) if @size + line.bytesize > BUFFER_MAX
      if @size + line.bytesize > BUFFER_MAX
        @lost += 1
        return
      end
      @lines << line
      @size += line.bytesize
      return unless is_root || @size >= BUFFER_WRITE || now_ns - @written_ns >= WRITE_AFTER_NS

      flush(@blocked ? 0 : READER_WAIT_S)
    end

    def complain(text)
      initialize if @pid != Process.pid
      return if @errors >= ERRORS_MAX

      @errors += 1
      @lines << error_line(text)
      flush(0)
    rescue StandardError
      nil # standard error is what we would complain on
    end

    def flush(wait_s)
      return if @pid != Process.pid

      while waiting? && @lock.try_lock
        begin
          emptied = write_all(wait_s)
        ensure
          @lock.unlock
        end
        return unless emptied
      end
    rescue StandardError
      nil
    end

    # The end of the process: what can not be written is counted now, or never. A pipe that is full is made larger, first for the
    # spans, then for their number.
    def finish
      return if @pid != Process.pid || !(waiting? || @lost.positive?) || !lock_within(EXIT_WAIT_S)

      begin
        write_all(0) if !write_all(EXIT_WAIT_S) && !@gone && enlarge_pipe(PIPE_MAX / 2)
        count_rest if waiting? && !@gone
      ensure
        @lock.unlock
      end
    rescue StandardError
      nil
    end

    def terminal?
      stream.isatty
    rescue SystemCallError
      true # closed: nobody collects there either
    end

    private

    def waiting?
      !@back.empty? || !@lines.empty?
    end

    def stream
      @io ||= IO.for_fd(2, "wb", autoclose: false)
    end

    def error_line(text)
      plain = text.to_s.encode("UTF-8", invalid: :replace, undef: :replace).split.join(" ")
      "__LOOM_TRACE_ERROR__: #{plain.byteslice(0, 1000).scrub('')}\n"
    end

    def take
      @back.pop || @lines.pop(true)
    rescue ThreadError
      nil
    end

    # Another thread may be writing.
    def lock_within(wait_s)
      until_ns = LoomTrace.monotonic_ns + (wait_s * 1e9)
      until @lock.try_lock
        return false if LoomTrace.monotonic_ns > until_ns

        sleep 0.001
      end
      true
    end

    def count_rest
      while (line = take)
        @lost += count_spans(line)
      end
      enlarge_pipe(PIPE_MAX)
      write_all(0)
    end

    def count_spans(lines)
      "\n#{lines}".scan("\n__LOOM_TRACE__:").size
    end

    # Whether standard error is a pipe that holds more now. Nothing else is changed by this for those who share it.
    def enlarge_pipe(size)
      RUBY_PLATFORM.include?("linux") && stream.fcntl(1031, size) >= size # F_SETPIPE_SZ
    rescue SystemCallError, IOError, NotImplementedError
      false
    end

    def write_all(wait_s)
      while waiting? || @lost.positive?
        return give_up unless room?(wait_s)
        return false unless @lost.positive? ? write_lost(@lost) : write_lines(next_lines)
      end
      @written_ns = LoomTrace.monotonic_ns
      true
    end

    def write_lost(lost)
      line = error_line("#{lost} spans lost: standard error was not read").b
      return false if write(line) < line.bytesize

      @lost -= lost
      true
    end

    # False: not all of it could be written. What is whole then waits, what is torn is lost.
    def write_lines(data)
      @size = waiting? ? @size - data.bytesize : 0
      done = write(data)
      return true if done == data.bytesize

      if done.positive?
        whole = data.rindex("\n", done - 1)
        @lost += count_spans(data.byteslice((whole ? whole + 1 : 0)..))
      else
        @back << data
        @size += data.bytesize
      end
      false
    end

    # As many whole lines as a pipe keeps in one piece; one line, when it is longer.
    def next_lines
      data = +"".b
      while (line = take)
        if data.bytesize.positive? && data.bytesize + line.bytesize > WRITE_MAX
          @back << line
          break
        end
        data << line.b
      end
      data
    end

    def room?(wait_s)
      ready = !@gone && !IO.select(nil, [stream], nil, 0).nil?
      ready ||= !@gone && wait_s.positive? && !IO.select(nil, [stream], nil, wait_s).nil?
      @blocked = !ready
      ready
    rescue SystemCallError, IOError
      @gone = true
      false
    end

    def give_up
      if @gone
        @lines.clear
        @back.clear
        @size = @lost = 0
      end
      false
    end

    # How many bytes of it have been written.
    def write(data)
      prefix = @torn ? 1 : 0
      out = @torn ? "\n".b + data : data
      @torn = true # until all of it is out
      done = 0
      until done == out.bytesize
        begin
          done += stream.syswrite(done.zero? ? out : out.byteslice(done..))
        rescue Errno::EINTR
          next
        rescue Errno::EAGAIN
          break unless room?(READER_WAIT_S)
        rescue SystemCallError, IOError
          @gone = true
          break
        end
      end
      @torn = done.zero? ? prefix == 1 : done > prefix && done < out.bytesize
      [done - prefix, 0].max
    end
  end

  # Any value as JSON text. One for each attribute: it counts the items of it.
  class Encoder
    def initialize
      @items = 0
      @path = []
    end

    def encode(value)
      case value
      when nil then "null"
      when true then "true"
      when false then "false"
      when String then string(value)
      when Symbol then LoomTrace.quote(value.to_s)
      when Integer then value.bit_length < 64 ? value.to_s : LoomTrace.quote(value.to_s)
      when Float then value.finite? ? value.to_s : value.nan? ? '"NaN"' : value.positive? ? '"Infinity"' : '"-Infinity"'
      when Array then nested(value) { array(value) }
      when Hash then nested(value) { object(value) }
      else other(value)
      end
    end

    private

    def string(value)
      if value.encoding == Encoding::BINARY && !value.ascii_only?
        return LoomTrace.quote([value.byteslice(0, STRING_MAX * 3 / 4)].pack("m0"))
      end

      LoomTrace.quote(value)
    end

    def nested(value)
      return '"[circular]"' if @path.any? { |outer| outer.equal?(value) }
      return '"…"' if @path.size == DEPTH_MAX

      @path.push(value)
      begin
        yield
      ensure
        @path.pop
      end
    end

    def array(value)
      texts = []
      value.each do |item|
        break if @items == ITEMS_MAX

        @items += 1
        texts << encode(item)
      end
      "[#{texts.join(',')}]"
    end

    def object(value)
      texts = {} # keys that are no texts, or were cut, may have become the same
      value.each do |key, item|
        break if @items == ITEMS_MAX

        @items += 1
        name = LoomTrace.key_text(key)
        texts[name] = name + encode(item)
      end
      "{#{texts.values.join(',')}}"
    end

    def other(value)
      case value
      when Exception then LoomTrace.quote("#{value.class}: #{LoomTrace.message_of(value)}")
      when Time then LoomTrace.quote(value.getutc.strftime("%Y-%m-%dT%H:%M:%S.%NZ"))
      when Struct then nested(value) { object(value.to_h) }
      else
        return nested(value) { array(value) } if defined?(::Set) && ::Set === value

        LoomTrace.quote(LoomTrace.text_of(value))
      end
    end
  end

  # One operation. attributes may be changed until it ends; kind is one of KINDS.
  class Span
    attr_reader :trace_id, :span_id, :parent_id, :recording, :parent, :pid, :end_ns, :depth, :start_ns, :status, :status_message,
                :events, :dropped_events
    attr_accessor :name, :attributes, :kind

    def initialize(name, attributes, parent, tracer)
      @name = name
      @attributes = attributes
      @span_id = LoomTrace.new_id(8)
      @status = "unset"
      @kind = "internal"
      @dropped_events = 0
      @pid = Process.pid
      @trace_id = parent ? parent.trace_id : tracer.trace_id
      @parent_id = parent ? parent.span_id : tracer.parent_span_id
      @recording = parent ? parent.recording : tracer.enabled && tracer.keeps?(@span_id)
      @depth = parent && parent.depth + 1 < NESTED_MAX ? parent.depth + 1 : 0
      @parent = @depth.zero? ? nil : parent
      @start_ns, @clock_ns = LoomTrace.now
    end

    def ended?
      !@end_ns.nil?
    end

    def set_attribute(key, value)
      @attributes[key] = value unless ended?
      self
    end

    # status: "ok", "error" or "unset"; what it is set to counts before what ends the span says.
    def set_status(status, message = nil)
      unless ended?
        @status = status_of(status)
        @status_message = message
      end
      self
    end

    def add_event(name, attributes = nil, **more)
      return self if ended? || !@recording

      @events ||= []
      if @events.size >= EVENTS_MAX
        @dropped_events += 1
      else
        @events << [name, now_ns, attributes ? attributes.to_h.merge(more) : more]
      end
      self
    rescue StandardError => e
      LoomTrace.complain("attributes are no hash: #{e.class}")
      self
    end

    # The event and error.type of the OpenTelemetry conventions, and the status: error.
    def record_exception(error)
      return self if ended? || !@recording

      message = LoomTrace.message_of(error)
      trace = (error.backtrace || []).first(64).unshift("#{error.class}: #{message}").join("\n")
      add_event("exception", { "exception.type" => error.class.to_s, "exception.message" => message,
                               "exception.stacktrace" => trace })
      @attributes["error.type"] = error.class.to_s unless @attributes.key?("error.type")
      @status = "error"
      @status_message = message
      self
    rescue StandardError => e
      @status = "error"
      LoomTrace.complain("Failed to record an exception: #{e.class}")
      self
    end

    # Ends and writes it; a second time does nothing. The first of: what set_status said, status, "ok".
    def finish(status = nil)
      return if ended?

      clock_ns = LoomTrace.monotonic_ns
      @end_ns = @start_ns + clock_ns - @clock_ns
      @status = status.nil? ? "ok" : status_of(status) if @status == "unset"
      leave
      write(clock_ns) if @recording && @pid == Process.pid
      @attributes = {} # nothing is kept after it is written
      @events = nil
    end

    # Of this span, for a header or a variable; nil when the trace's id is neither hex nor a UUID.
    def traceparent
      id = LoomTrace.hex_id(@trace_id)
      id && "00-#{id}-#{@span_id}-#{@recording ? '01' : '00'}"
    end

    private

    def now_ns
      @start_ns + LoomTrace.monotonic_ns - @clock_ns
    end

    def leave
      return unless LoomTrace.current.equal?(self)

      outer = @parent
      outer = outer.parent while outer&.ended?
      LoomTrace.current = outer
    end

    def write(clock_ns)
      is_root = @parent.nil? || @parent.ended? || @parent.pid != @pid
      OUTPUT.add(Line.of(self), clock_ns, is_root)
    rescue StandardError => e
      LoomTrace.complain("Failed to export span #{LoomTrace.text_of(@name)}: #{e.class}")
    end

    def status_of(status)
      text = status.to_s.downcase
      return text if STATUSES.include?(text)

      LoomTrace.complain("#{LoomTrace.text_of(status)} is no status: ok, error or unset")
      "unset"
    end
  end

  # How a span becomes a line.
  module Line
    module_function

    def of(span)
      events = (span.events || []).map { |name, at, attributes| event(name, at, attributes) }.join(",")
      line = assemble(span, *members(span.attributes, LINE_MAX), events, span.dropped_events, span.status_message)
      return line if line.bytesize <= LINE_MAX

      message = span.status_message && LoomTrace.text_of(span.status_message)[0, NAME_MAX]
      assemble(span, *members(span.attributes, LINE_MAX / 2), "", span.dropped_events + (span.events || []).size, message)
    end

    # The members of a JSON object, and how many did not fit.
    def members(attributes, size_max)
      texts = {}
      size = dropped = 0
      attributes.to_a.each do |key, value|
        name = LoomTrace.key_text(key)
        next if NilClass === value || name == '"":'

        text = name + LoomTrace.value_text(value)
        if (texts.size == ATTRIBUTES_MAX && !texts.key?(name)) || size + text.bytesize > size_max
          dropped += 1
          next
        end
        size += text.bytesize + 1
        texts[name] = text
      end
      [texts.values.join(","), dropped]
    end

    def event(name, at, attributes)
      %({"name":#{name_text(name)},"time":"#{time(at)}","attributes":{#{members(attributes, LINE_MAX)[0]}}})
    end

    def name_text(name)
      text = LoomTrace.text_of(name)[0, NAME_MAX]
      LoomTrace.quote(text.empty? ? "unnamed" : text)
    end

    def assemble(span, attributes, dropped, events, dropped_events, message)
      line = +%(__LOOM_TRACE__:{"trace_id":#{LoomTrace.quote(span.trace_id)},"span_id":"#{span.span_id}")
      line << %(,"parent_id":#{LoomTrace.quote(span.parent_id)}) if span.parent_id
      line << %(,"name":#{name_text(span.name)},"start_time":"#{time(span.start_ns)}","end_time":"#{time(span.end_ns)}")
      line << %(,"attributes":{#{attributes}},"status":"#{span.status}")
      line << %(,"status_message":#{LoomTrace.quote(LoomTrace.text_of(message))}) if span.status == "error" && !message.nil?
      line << %(,"kind":"#{span.kind}") if span.kind != "internal" && KINDS.include?(span.kind)
      line << %(,"events":[#{events}]) unless events.empty?
      line << %(,"dropped_attributes":#{dropped}) if dropped.positive?
      line << %(,"dropped_events":#{dropped_events}) if dropped_events.positive?
      line << "}\n"
    end

    def time(unix_ns)
      seconds, fraction = unix_ns.divmod(1_000_000_000)
      known = @second
      known = @second = [seconds, Time.at(seconds).utc.strftime("%Y-%m-%dT%H:%M:%S.")].freeze if known.nil? || known[0] != seconds
      format("%<second>s%<fraction>09dZ", second: known[1], fraction: fraction)
    end
  end

  # What a program was told of its trace, and the spans it starts in it.
  class LoomTracer
    attr_reader :trace_id, :parent_span_id, :baggage, :enabled

    def initialize(environment = ENV)
      told = ->(name) { (environment[name] || "").dup.force_encoding("UTF-8").scrub.strip }
      @enabled = true
      @inherited = {}
      @threshold = 0
      @baggage = {}
      read_context(told)
      read_baggage(told)
      read_switches(told)
      @defaults = @baggage.slice("tenant_id", "org_id").reject { |_, value| value.empty? }.freeze
    end

    # Starts a span under the current one, and makes it the current one until end_span.
    def start_span(name, attributes = nil, **more)
      span = Span.new(name, merge(attributes, more), LoomTrace.current, self)
      LoomTrace.current = span
      span
    end

    # status: "ok", "error" or "unset"; an exception that is being handled is recorded with "error".
    def end_span(span, status: "ok")
      unless span.is_a?(Span)
        LoomTrace.complain("end_span takes a span, not #{LoomTrace.text_of(span.class)}")
        return
      end
      error = $! # rubocop:disable Style/SpecialGlobalVars
      span.record_exception(error) if error && status.to_s == "error" && span.status == "unset"
      span.finish(status)
    end

    # A span for a block, which gets it; the value is the block's.
    def trace_span(name, attributes = nil, **more)
      span = start_span(name, attributes, **more)
      begin
        yield span
      rescue Exception => e # rubocop:disable Lint/RescueException -- all of them leave the block, and go on
        span.record_exception(e) unless e.is_a?(SystemExit) && e.success?
        raise
      ensure
        span.finish
      end
    end

    # Whether a local root span of this id is written: its right-most 56 bits against a threshold.
    def keeps?(span_id)
      @threshold.zero? || span_id[2..].hex >= @threshold
    end

    # A copy of environment in which the trace is the current span's, for spawn and others: a variable of nil is taken away.
    def child_environment(environment = ENV)
      copy = environment.to_h.reject { |name, _| CONTEXT_VARIABLES.include?(name) }
      copy = CONTEXT_VARIABLES.to_h { |name| [name, nil] }.merge(copy, @inherited)
      span = LoomTrace.current
      trace_id, span_id, recording = span ? [span.trace_id, span.span_id, span.recording] : [@trace_id, @parent_span_id, @enabled]
      plain = LoomTrace.hex_id(trace_id)
      copy["TRACEPARENT"] = "00-#{plain}-#{span_id}-#{recording ? '01' : '00'}" if plain && span_id&.match?(/\A[0-9a-f]{16}\z/)
      copy["LOOM_TRACE_ID"] = trace_id if recording
      copy["LOOM_SPAN_ID"] = span_id if recording && span_id
      copy
    end

    private

    def merge(attributes, more)
      return @defaults.merge(more.transform_keys(&:to_s)) if attributes.nil?

      @defaults.merge(attributes.to_h.transform_keys { |key| key.is_a?(Symbol) ? key.to_s : key }, more.transform_keys(&:to_s))
    rescue StandardError => e
      LoomTrace.complain("attributes are no hash: #{e.class}")
      @defaults.merge(more.transform_keys(&:to_s))
    end

    def read_context(told)
      %w[TRACEPARENT OTEL_TRACEPARENT].each do |name|
        found = LoomTrace.parse_traceparent(told.call(name))
        next if found.nil?

        @trace_id, @parent_span_id, @enabled = found
        @inherited["TRACESTATE"] = told.call("TRACESTATE") if name == "TRACEPARENT" && !told.call("TRACESTATE").empty?
        return
      end
      usable = ->(id) { id.match?(/\A[0-]*\z/) || id.length > 256 ? nil : id }
      trace_id = usable.call(told.call("LOOM_TRACE_ID"))
      @trace_id = trace_id || LoomTrace.new_id(16)
      @parent_span_id = trace_id && usable.call(told.call("LOOM_SPAN_ID"))
    end

    def read_baggage(told)
      %w[BAGGAGE LOOM_TRACE_BAGGAGE].each do |name|
        @baggage = LoomTrace.parse_baggage(told.call(name))
        next if @baggage.empty?

        @inherited["BAGGAGE"] = @inherited["LOOM_TRACE_BAGGAGE"] = told.call(name)
        break
      end
    end

    def read_switches(told)
      wanted = { "1" => true, "true" => true, "on" => true, "yes" => true,
                 "0" => false, "false" => false, "off" => false, "no" => false }[told.call("LOOM_TRACE").downcase]
      wanted = !OUTPUT.terminal? if wanted.nil?
      @enabled &&= wanted && told.call("OTEL_SDK_DISABLED").downcase != "true"
      read_ratio(told.call("LOOM_TRACE_SAMPLE"))
    end

    def read_ratio(text)
      return if text.empty?

      fraction = Float(text, exception: false)
      if fraction && fraction >= 0 && fraction <= 1
        @threshold = fraction.zero? ? 1 << 56 : ((1 - fraction) * (1 << 56)).round
      elsif @enabled
        LoomTrace.complain("LOOM_TRACE_SAMPLE=#{text} is no number from 0 to 1; everything is kept")
      end
    end
  end

  # extend LoomTrace::Methods; then  trace_method def load(id) ...  or  trace_method :load, "load_user", table: "users"
  module Methods
    def trace_method(method, name = nil, **attributes)
      LoomTrace.wrap_method(self, method, name || method.to_s, attributes)
      method
    end
  end

  class << self
    attr_reader :tracer

    def trace_span(name, attributes = nil, **more, &block)
      tracer.trace_span(name, attributes, **more, &block)
    end

    # A proc that does what the block does, in a span.
    def trace_function(name, attributes = nil, **more, &body)
      lambda do |*args, **options, &block|
        tracer.trace_span(name, attributes, **more) { body.call(*args, **options, &block) }
      end
    end

    def child_environment(environment = ENV)
      tracer.child_environment(environment)
    end

    # A proc that runs the block under the span that is current now, wherever it is called:  Thread.new(&LoomTrace.bind { work })
    def bind
      span = current
      lambda do |*args|
        outer = current
        self.current = span
        begin
          yield(*args)
        ensure
          self.current = outer
        end
      end
    end

    def current_span
      span = current
      span = span.parent while span&.ended?
      span
    end

    # Writes what waits. Returns when it is written, or the reader has been waited for half a second.
    def flush
      OUTPUT.flush(EXIT_WAIT_S)
    end

    # ---- for the classes above ----

    if Fiber.respond_to?(:[])
      def current
        Fiber[:loom_trace_span]
      end

      def current=(span)
        Fiber[:loom_trace_span] = span
      end
    else
      def current
        Thread.current[:loom_trace_span]
      end

      def current=(span)
        Thread.current[:loom_trace_span] = span
      end
    end

    def wrap_method(owner, method, name, attributes)
      original = owner.instance_method(method)
      visibility = %i[private protected].find { |kind| owner.public_send(:"#{kind}_method_defined?", method) } || :public
      owner.send(:remove_method, method) if original.owner.equal?(owner) # or Ruby warns that it is redefined
      owner.define_method(method) do |*args, **options, &block|
        LoomTrace.trace_span(name, attributes) { original.bind(self).call(*args, **options, &block) }
      end
      owner.send(visibility, method)
    end

    def complain(text)
      OUTPUT.complain(text)
    end

    # The time, and the clock that spans are measured by, of one moment. Of a pair that is interrupted in between a span would end
    # before those inside it.
    def now
      before_ns = now_ns = after_ns = 0
      PAIR_TRIES.times do
        before_ns = monotonic_ns
        now_ns = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
        after_ns = monotonic_ns
        break if after_ns - before_ns < PAIR_NS_MAX
      end
      [now_ns, (before_ns + after_ns) / 2]
    end

    def monotonic_ns
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
    end

    def new_id(size)
      id = SecureRandom.hex(size)
      id = SecureRandom.hex(size) until id.match?(/[^0]/)
      id
    end

    # 32 lower-case digits of an id in hex or a UUID; nil: it is neither.
    def hex_id(text)
      digits = [32, 36].include?(text.length) ? text.delete("-").downcase : ""
      digits if digits.match?(/\A[0-9a-f]{32}\z/) && digits.match?(/[^0]/)
    end

    # [trace id, parent id, sampled], or nil. W3C Trace Context, 3.2.
    def parse_traceparent(text)
      found = /\A(\h{2})-(\h{32})-(\h{16})-(\h{2})(-.*)?\z/m.match(text)
      return nil if found.nil? || text[0, 55].match?(/[A-F]/) || found[1] == "ff" || (found[1] == "00" && found[5])
      return nil unless found[2].match?(/[^0]/) && found[3].match?(/[^0]/)

      [found[2], found[3], found[4].hex.odd?]
    end

    # {key => value}, decoded. W3C Baggage, 3.3; properties are left out, and so are members that are not valid.
    def parse_baggage(text)
      found = {}
      count = size = 0
      text.split(",").each do |member|
        parts = /\A[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*([!#-+\--:<-\[\]-~]*)[ \t]*\z/.match(member.partition(";")[0])
        next if parts.nil? || count == 64 || size + member.bytesize > 8192

        count += 1
        size += member.bytesize + 1
        found[parts[1]] = percent_decode(parts[2])
      end
      found
    end

    def percent_decode(text)
      text.b.gsub(/%(\h\h)/) { [Regexp.last_match(1)].pack("H2") }.force_encoding("UTF-8").scrub("\u{fffd}")
    end

    # A JSON string, cut at STRING_MAX; what is no UTF-8 becomes U+FFFD.
    def quote(text)
      text = text.encoding == Encoding::UTF_8 ? text : text.encode("UTF-8", invalid: :replace, undef: :replace, replace: "\u{fffd}")
      text = text.scrub("\u{fffd}") unless text.valid_encoding?
      text = text[0, STRING_MAX] if text.length > STRING_MAX
      JSON.generate(text)
    end

    def text_of(value)
      text = value.to_s
      text.encoding == Encoding::UTF_8 ? text.scrub : text.encode("UTF-8", invalid: :replace, undef: :replace)
    rescue StandardError, SystemStackError
      unprintable(value)
    end

    def message_of(error)
      text_of(error.message)
    rescue StandardError, SystemStackError
      unprintable(error)
    end

    def unprintable(value)
      "<unprintable #{Object === value ? value.class : 'object'}>"
    end

    def value_text(value)
      Encoder.new.encode(value)
    rescue StandardError, SystemStackError
      quote(unprintable(value))
    end

    def key_text(key)
      "#{quote(text_of(key)[0, KEY_MAX])}:"
    end
  end

  OUTPUT = Output.new
  private_constant :OUTPUT, :Output, :Encoder, :Line
  @tracer = LoomTracer.new
  at_exit { OUTPUT.finish }
end
