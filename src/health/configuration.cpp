#include "agent/agents_file.hpp"
#include "health/checks.hpp"
#include "health/verdict.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <span>

namespace autoexec::health {
namespace {

constexpr char agents_file[] = ".cursor/background-agents.yaml";

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

void list(boost::json::object& details, const char* key, std::span<const Diagnostic> diagnostics)
{
    if (diagnostics.empty()) return;
    auto& value = details[key];
    if (!value.is_array()) value.emplace_array();
    for (const auto& d : diagnostics) value.get_array().emplace_back(line_of(d));
}

void judge(Verdict& verdict, std::span<const Diagnostic> errors,
           std::span<const Diagnostic> warnings)
{
    list(verdict.details(), "errors", errors);
    list(verdict.details(), "warnings", warnings);
    for (const auto& d : errors)
        verdict.unhealthy(line_of(d), "Correct the file; no command text runs with it as it is.");
    for (const auto& d : warnings)
        verdict.degraded(line_of(d), "Correct the file; what is meant there has no effect.");
}

std::string judge_agents(Verdict& verdict, const std::filesystem::path& project_root)
{
    const auto reading = agent::load_agents_file(project_root);
    verdict.details()["agents_file"] = shown(project_root / agents_file);
    if (reading.missing) {
        verdict.degraded(
            fmt::format("There is no agents file {}; commands run as shell scripts.", agents_file),
            "For a coding agent write one: autoexec agents init.");
        return {};
    }
    if (!reading.file) {
        judge(verdict, reading.errors, {});
        return {};
    }
    const auto& agents = reading.file->agents;
    judge(verdict, {}, reading.file->warnings);
    const auto takers = static_cast<std::size_t>(
        std::count_if(agents.begin(), agents.end(), agent::takes_commands));
    verdict.details()["agents"] = agents.size();
    verdict.details()["agents_that_take_commands"] = takers;
    if (takers == 0)
        verdict.degraded("No enabled agent takes commands.",
                         "Give one a command with {command} or {command_file_path} in it.");
    return fmt::format("{}, of which {} {} commands.", count_of(agents.size(), "agent"), takers,
                       takers == 1 ? "takes" : "take");
}

}  // namespace

HealthCheckResult check_configuration(const HealthOptions& options)
{
    Verdict verdict("configuration");
    auto message = judge_agents(verdict, options.project_root);
    return std::move(verdict).finish(std::move(message));
}

}  // namespace autoexec::health
