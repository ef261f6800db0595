#pragma once

#include "autoexec/command.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// The ids of OpenTelemetry traces and spans, in hexadecimal. They are hashes of our own ids, so a
/// program that runs and a later export derive the same ones. Pure.
namespace autoexec::protocol {

std::string trace_id_of_run(std::string_view run_id);

/// The trace of its run; of a command without one, a trace of its own.
std::string trace_id_of(const ExecutionIds& ids);

std::string span_id_of_run(std::string_view run_id);

/// Of a transition in the journal of a run.
std::string span_id_of_transition(std::string_view run_id, std::int64_t seq);

std::string span_id_of_execution(std::string_view execution_id);
std::string span_id_of_attempt(std::string_view attempt_id);

/// The variable `TRACEPARENT` (W3C Trace Context) of the program of an attempt.
std::string traceparent_of(const Correlation& attempt);

}  // namespace autoexec::protocol
