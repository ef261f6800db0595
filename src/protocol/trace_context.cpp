#include "protocol/trace_context.hpp"

#include "text/text.hpp"

#include <fmt/format.h>

namespace autoexec::protocol {
namespace {

constexpr std::size_t trace_digits = 32;
constexpr std::size_t span_digits = 16;

// With the kind, equal ids of two kinds differ.
std::string hash_of(std::string_view kind, std::string_view id, std::size_t digits)
{
    return text::sha256_hex(fmt::format("autoexec {}\n{}", kind, id)).substr(0, digits);
}

}  // namespace

std::string trace_id_of_run(std::string_view run_id)
{
    return hash_of("run", run_id, trace_digits);
}

std::string trace_id_of(const ExecutionIds& ids)
{
    if (ids.workflow_id && !ids.workflow_id->empty()) return trace_id_of_run(*ids.workflow_id);
    return hash_of("execution", ids.execution_id, trace_digits);
}

std::string span_id_of_run(std::string_view run_id)
{
    return hash_of("span of run", run_id, span_digits);
}

std::string span_id_of_transition(std::string_view run_id, std::int64_t seq)
{
    return hash_of("span of transition", fmt::format("{}\n{}", run_id, seq), span_digits);
}

std::string span_id_of_execution(std::string_view execution_id)
{
    return hash_of("span of execution", execution_id, span_digits);
}

std::string span_id_of_attempt(std::string_view attempt_id)
{
    return hash_of("span of attempt", attempt_id, span_digits);
}

std::string traceparent_of(const Correlation& attempt)
{
    constexpr std::string_view version = "00";
    constexpr std::string_view flags = "01";  // sampled
    return fmt::format("{}-{}-{}-{}", version, trace_id_of(attempt),
                       span_id_of_attempt(attempt.attempt_id), flags);
}

}  // namespace autoexec::protocol
