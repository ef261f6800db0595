#pragma once

#include "autoexec/output_rules.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Spans → OTLP/JSON, as the file receiver of the OpenTelemetry collector reads it. Pure.
namespace autoexec::protocol {

/// Something that happened within a span.
struct SpanEvent {
    std::chrono::system_clock::time_point time;
    std::string name;
};

struct Span {
    /// By the numbers of the format.
    enum class Kind { internal = 1, client = 3 };

    std::string trace_id;
    std::string span_id;
    std::string parent_id;  ///< Empty: none.
    std::string name;
    Kind kind = Kind::internal;
    std::chrono::system_clock::time_point start;
    std::chrono::system_clock::time_point end;
    boost::json::object attributes;  ///< Texts, numbers and truth values. Texts are shortened.
    std::vector<SpanEvent> events;
    /// Why it failed; empty text: not known. Absent: it succeeded.
    std::optional<std::string> error;
};

/// Adds what a program used as attributes of the conventions for generative AI. Nothing without a
/// model and tokens.
void add_usage_attributes(boost::json::object& attributes, const Usage& usage);

/// `ExportTraceServiceRequest`s in ASCII, each a line. Further lines begin at 512 KiB, because the
/// collector reads at most 1 MiB. `host` may be empty.
std::string format_spans(const std::vector<Span>& spans, std::string_view host);

}  // namespace autoexec::protocol
