#include "cli/session/batch_outcome.hpp"

#include "cli/session/display.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "protocol/error_codes.hpp"
#include "protocol/usage.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::size_t state_width = 9;

}  // namespace

void BatchOutcome::add(const ExecutionResult& result, bool is_internal_error)
{
    ++ends[result.status];
    has_internal_error |= is_internal_error;
    needed_input |= result.error && result.error->code == error_codes::input_needed;
    last_execution = result.execution_id;
}

std::string BatchOutcome::to_text() const
{
    std::string text;
    for (const auto& [status, count] : ends)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count,
                            status == ExecutionStatus::timeout ? "timed out" : to_string(status));
    return text;
}

ExitCode BatchOutcome::exit_code() const
{
    if (has_internal_error) return exit_internal;
    if (needed_input) return exit_input;
    if (ends.contains(ExecutionStatus::failed) || ends.contains(ExecutionStatus::timeout))
        return exit_failed;
    return ends.contains(ExecutionStatus::cancelled) ? exit_cancelled : exit_completed;
}

notify::Notification run_end_of(const BatchOutcome& outcome, std::string text)
{
    notify::Notification end;
    end.kind = notify::Kind::run_ended;
    end.text = std::move(text);
    int commands = 0;
    for (const auto& [status, count] : outcome.ends) {
        end.message[to_string(status)] = count;
        commands += count;
    }
    if (commands == 1) end.subject = outcome.last_execution;
    return end;
}

boost::json::object json_of(const ExecutionResult& result, const ModelPrices& prices)
{
    auto line = to_json(result);
    protocol::add_estimate(line["usage"], {result.usage, prices});
    return line;
}

void print_execution(const ExecutionResult& result, const ModelPrices& prices, Excerpt excerpt)
{
    print_state_line("", to_string(result.status), state_width, after_state(result, prices));
    for (const auto& warning : result.warnings)
        print_message("  warning: {}\n", text::printable(warning));
    if (excerpt == Excerpt::none) return;
    if (const auto lines = excerpt_of(result); !lines.empty())
        print_message("{}  All output: autoexec logs {}\n", lines, short_id(result.execution_id));
}

}  // namespace autoexec::cli
