#include "agent/agents_file_reader.hpp"
#include "autoexec/config.hpp"
#include "health/checks.hpp"
#include "health/verdict.hpp"
#include "protocol/layout.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <span>

namespace autoexec::health {
namespace {

// On one line, without the picture that a terminal gets.
std::string line_of(const Diagnostic& d)
{
    std::string line = shown(d.path);
    if (d.line > 0) line += fmt::format(":{}", d.line);
    if (d.line > 0 && d.column > 0) line += fmt::format(":{}", d.column);
    line += ": " + d.message;
    if (!d.hint.empty()) line += ". " + d.hint;
    return line;
}

void judge(Verdict& verdict, std::span<const Diagnostic> diagnostics)
{
    for (const auto& d : diagnostics) {
        const bool is_error = d.severity == Diagnostic::Severity::error;
        auto& list = verdict.details()[is_error ? "errors" : "warnings"];
        if (!list.is_array()) list.emplace_array();
        list.get_array().emplace_back(line_of(d));
        if (is_error)
            verdict.unhealthy(line_of(d), "Correct the file; autoexec run refuses it as it is.");
        else
            verdict.degraded(line_of(d), "Correct the file; what is meant there has no effect.");
    }
}

void judge_settings(Verdict& verdict, const HealthOptions& options)
{
    if (options.configuration) return judge(verdict, options.configuration());
    AutoExecutionConfigManager manager({}, options.project_root);
    (void)manager.load(false);
    judge(verdict, manager.diagnostics());
}

std::string judge_agents(Verdict& verdict, const std::filesystem::path& project_root)
{
    const auto reading = agent::load_agents_file(project_root);
    verdict.details()["agents_file"] = shown(project_root / layout::agents_file);
    if (reading.missing) {
        verdict.degraded(fmt::format("There is no agents file {}; commands run as shell scripts.",
                                     layout::agents_file),
                         "For a coding agent write one: autoexec agents init.");
        return {};
    }
    if (!reading.file) {
        judge(verdict, reading.errors);
        return {};
    }
    const auto& agents = reading.file->agents;
    judge(verdict, reading.file->warnings);
    const auto takers = static_cast<std::size_t>(
        std::count_if(agents.begin(), agents.end(), agent::takes_commands));
    verdict.details()["agents"] = agents.size();
    verdict.details()["agents_that_take_commands"] = takers;
    if (takers == 0)
        verdict.degraded("No enabled agent takes commands.",
                         "Give one a command with {command} or {command_file_path} in it.");
    return fmt::format("The settings are valid; {}, of which {} {} commands.",
                       count_of(agents.size(), "agent"), takers, takers == 1 ? "takes" : "take");
}

}  // namespace

HealthCheckResult check_configuration(const HealthOptions& options)
{
    Verdict verdict("configuration");
    judge_settings(verdict, options);
    auto message = judge_agents(verdict, options.project_root);
    return std::move(verdict).finish(std::move(message));
}

}  // namespace autoexec::health
