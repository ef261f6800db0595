#include "protocol/status.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <cmath>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;

void put(json::object& out, std::string_view key, const std::optional<std::string>& value)
{
    if (value && !value->empty()) out[key] = *value;
}

void put(json::object& out, std::string_view key, const std::string& value)
{
    if (!value.empty()) out[key] = value;
}

template <class Integer>
void put(json::object& out, std::string_view key, const std::optional<Integer>& value)
{
    if (value) out[key] = *value;
}

json::object to_object(const Progress& progress)
{
    json::object out;
    const auto percentage = std::clamp(progress.percentage, 0.0, 100.0);
    const bool whole = std::trunc(percentage) == percentage;
    out["percentage"] = whole ? json::value(static_cast<int>(percentage)) : json::value(percentage);
    put(out, "current_step", progress.current_step);
    put(out, "message", progress.message);
    return out;
}

json::object to_object(const CommandError& error)
{
    json::object out{{"message", error.message}};
    put(out, "code", error.code);
    put(out, "retryable", error.retryable);
    if (error.retry_count != 0) out["retry_count"] = error.retry_count;
    return out;
}

json::object metadata(const AgentStatus& status)
{
    json::object out;
    put(out, "workflow_id", status.workflow_id);
    put(out, "step_id", status.step_id);
    put(out, "command", status.command);
    return out;
}

/// After the fields of the first version, which readers know.
void put_own_fields(json::object& out, const AgentStatus& status)
{
    put(out, "execution_id", status.execution_id);
    put(out, "attempt", status.attempt);
    put(out, "attempt_id", status.attempt_id);
    put(out, "agent_id", status.agent_id);
    put(out, "pid", status.pid);
    put(out, "sequence", status.sequence);
    put(out, "outcome", status.outcome);
    put(out, "exit_code", status.exit_code);
    put(out, "signal", status.signal);
    if (status.output_truncated) out["output_truncated"] = true;
}

}  // namespace

std::string format_status(const AgentStatus& status)
{
    json::object out{{"version", "1.0"}, {"status", to_string(status.status)}};
    put(out, "started_at", status.started_at);
    put(out, "completed_at", status.completed_at);
    if (status.progress) out["progress"] = to_object(*status.progress);
    if (status.error) out["error"] = to_object(*status.error);
    if (!status.artifacts.empty())
        out["artifacts"] = json::array(status.artifacts.begin(), status.artifacts.end());
    put(out, "output", status.output);
    if (auto ids = metadata(status); !ids.empty()) out["metadata"] = std::move(ids);
    put_own_fields(out, status);
    return text::dump_indented(out);
}

}  // namespace autoexec::protocol
