# frozen_string_literal: true
# SPDX-License-Identifier: Apache-2.0

# Nested spans in every form:  LOOM_TRACE=1 ruby example_traced.rb
require_relative "loom_trace"

# Parses lines of numbers; every call is a span.
class Parser
  extend LoomTrace::Methods

  def parse(line)
    line.split.map(&:to_i)
  end
  trace_method :parse
end

LoomTrace.trace_span("report", source: "example") do
  lines = LoomTrace.trace_span("query_database", query_type: "SELECT") do |span|
    found = ["1 2 3", "4 5", "6"]
    span.set_attribute("rows_returned", found.size)
    found
  end
  # threads do not inherit the current span before Ruby 3.2: bind hands it over
  rows = lines.map { |line| Thread.new(&LoomTrace.bind { Parser.new.parse(line) }) }.map(&:value)
  sums = rows.map(&:sum)

  span = LoomTrace.tracer.start_span("process_data", input_size: sums.size)
  begin
    puts sums.sum / sums.size
    LoomTrace.tracer.end_span(span, status: "ok")
  rescue StandardError
    LoomTrace.tracer.end_span(span, status: "error")
    raise
  end
end
