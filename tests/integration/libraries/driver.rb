# frozen_string_literal: true
# SPDX-License-Identifier: Apache-2.0

# The scenarios of cases.json in Ruby: driver.rb SCENARIO.
require "loom_trace"

class ValueError < StandardError; end

# Each scenario is a method.
module Scenarios
  extend LoomTrace::Methods
  module_function

  def tracer
    LoomTrace.tracer
  end

  def trace_span(...)
    LoomTrace.trace_span(...)
  end

  def nested
    trace_span("outer", a: 1) do
      trace_span("middle") { trace_span("inner", deep: true) {} }
      trace_span("sibling") {}
    end
  end

  def manual
    span = tracer.start_span("process_data", input_size: 3)
    trace_span("inside") {}
    tracer.end_span(span, status: "ok")
    tracer.end_span(tracer.start_span("failed"), status: "error")
    tracer.end_span(tracer.start_span("open"), status: "unset")
  end

  def exception
    begin
      trace_span("outer") { trace_span("inner") { raise ValueError, "boom" } }
    rescue ValueError => e
      puts "caught #{e.message}"
    end
    trace_span("after") {}
  end

  def values
    trace_span("values", { "text" => "plain", "empty" => "", "largest" => 2**63 - 1, "smallest" => -2**63, "yes" => true,
                           "no" => false, "half" => 1.5, "unicode" => "h\u00e9llo \u4e16\u754c \u{1f600}",
                           "escapes" => "a\"b\\c\n\t\x01\x7f", "with.dots" => "x", "list" => %w[a b], "numbers" => [1, 2, 3] }) {}
  end

  def special
    circle = {}
    circle["self"] = circle
    deep = "bottom"
    12.times { deep = [deep] }
    trace_span("special", { "nan" => Float::NAN, "inf" => Float::INFINITY, "minus" => -Float::INFINITY, "bytes" => "\x00\xff".b,
                            "nothing" => nil, "object" => { "a" => [1, { "b" => nil }] }, "huge" => 2**70, "circle" => circle,
                            "deep" => deep }) {}
  end

  def own_tenant
    trace_span("own", tenant_id: "mine") {}
    trace_span("theirs") {}
  end

  def events
    trace_span("work") { |span| span.set_attribute("n", 1).add_event("cache miss", key: "k").add_event("bare") }
  end

  def status
    trace_span("refused") { |span| span.set_status("error", "no such user") }
  end

  # A class whose method is traced.
  class Calculator
    extend LoomTrace::Methods

    def add(first, second)
      first + second
    end
    trace_method :add, kind_of: "sum"
  end

  def function
    puts Calculator.new.add(1, 2)
  end

  def thread
    trace_span("outer") { Thread.new(&LoomTrace.bind { trace_span("in thread") {} }).join }
  end

  def many
    trace_span("root") { 10_000.times { |i| trace_span("step", i: i) {} } }
  end

  def roots
    4000.times { |i| trace_span("root", i: i) { trace_span("child") {} } }
  end

  def long
    trace_span("long", (0...200).to_h { |i| ["key#{i}", "x" * 20_000] }) do |span|
      200.times { span.add_event("event", text: "y" * 20_000) }
    end
    trace_span("n" * 100_000) {}
  end

  def exits
    tracer.start_span("never ends")
    3.times { |i| trace_span("ended", i: i) {} }
    exit(3)
  end

  def uncaught
    trace_span("fails") { raise "not caught" }
  end

  def twice
    span = tracer.start_span("once")
    tracer.end_span(span)
    tracer.end_span(span, status: "error")
    span.set_attribute("late", 1).add_event("late")
  end

  def environment
    trace_span("parent") do
      told = LoomTrace.child_environment
      %w[TRACEPARENT TRACESTATE LOOM_TRACE_ID LOOM_SPAN_ID BAGGAGE LOOM_TRACE_BAGGAGE].each { |name| puts "#{name}=#{told[name] || '-'}" }
    end
  end

  def fork
    trace_span("outer") do
      trace_span("before") {}
      child = Process.fork
      trace_span(child ? "in parent" : "in child") {}
      Process.wait(child) if child
    end
  end
end

Scenarios.public_send(ARGV[0])
