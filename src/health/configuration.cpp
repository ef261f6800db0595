#include "agent/agents_file_reader.hpp"
#include "autoexec/config.hpp"
#include "health/checks.hpp"
#include "protocol/layout.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <span>

namespace autoexec::health {
namespace {

// On one line, without the source excerpt that terminals show.
std::string line_of(const Diagnostic& d)
{
    std::string line = shown(d.path);
    if (d.line > 0) line += fmt::format(":{}", d.line);
    if (d.line > 0 && d.column > 0) line += fmt::format(":{}", d.column);
    line += ": " + d.message;
    if (!d.hint.empty()) line += ". " + d.hint;
    return line;
}

void report_diagnostics(FindingList& findings, std::span<const Diagnostic> diagnostics)
{
    for (const auto& d : diagnostics) {
        const bool is_error = d.severity == Diagnostic::Severity::error;
        auto& list = findings.details()[is_error ? "errors" : "warnings"];
        if (!list.is_array()) list.emplace_array();
        list.get_array().emplace_back(line_of(d));
        if (is_error)
            findings.unhealthy(line_of(d), "Correct the file; autoexec run refuses it.");
        else
            findings.degraded(line_of(d), "Correct the file; the setting has no effect.");
    }
}

void check_settings(FindingList& findings, const HealthOptions& options)
{
    if (options.configuration) return report_diagnostics(findings, options.configuration());
    AutoExecutionConfigManager manager({}, options.project_root);
    (void)manager.load(false);
    report_diagnostics(findings, manager.diagnostics());
}

std::string check_agents_file(FindingList& findings, const std::filesystem::path& project_root)
{
    const auto reading = load_agents(project_root);
    findings.details()["agents_file"] = shown(project_root / layout::agents_file);
    if (reading.missing) {
        findings.degraded(
            fmt::format("The agents file {} does not exist; commands run as shell scripts.",
                        layout::agents_file),
            "To use a coding agent, create the file: autoexec agents init.");
        return {};
    }
    if (!reading.errors.empty()) {
        report_diagnostics(findings, reading.errors);
        return {};
    }
    const auto& agents = reading.file.agents;
    report_diagnostics(findings, reading.file.warnings);
    const auto eligible = static_cast<std::size_t>(
        std::count_if(agents.begin(), agents.end(), agent::accepts_commands));
    findings.details()["agents"] = agents.size();
    findings.details()["agents_that_take_commands"] = eligible;
    if (eligible == 0)
        findings.degraded("No enabled agent accepts commands.",
                          "Use {command} or {command_file_path} in an agent's commands.");
    return fmt::format("The settings are valid; {}, of which {} {} commands.",
                       text::counted(agents.size(), "agent"), eligible,
                       eligible == 1 ? "accepts" : "accept");
}

}  // namespace

std::string check_configuration(FindingList& findings, const HealthOptions& options)
{
    check_settings(findings, options);
    return check_agents_file(findings, options.project_root);
}

}  // namespace autoexec::health
