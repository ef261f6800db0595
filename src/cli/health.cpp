#include "autoexec/health.hpp"
#include "autoexec/config.hpp"
#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <filesystem>
#include <vector>

namespace autoexec::cli {
namespace {

constexpr int message_column = 32;

void print_below(std::string_view mark, std::string_view text)
{
    print_text(stdout, "{:{}}{} {}\n", "", message_column, mark, text::printable(text));
}

void print(const HealthCheckResult& result)
{
    print_text(stdout, "{:10} {:20} {}\n", to_string(result.status), text::printable(result.name),
               text::printable(result.message));
    // The first is the message, or a worse one is.
    if (const auto* const all = result.details.if_contains("problems"); all && all->is_array())
        for (const auto& problem : all->get_array())
            if (problem.is_string() && !result.message.starts_with(problem.get_string()))
                print_below("-", problem.get_string());
    if (!result.remedy.empty()) print_below("→", result.remedy);
}

}  // namespace

int health(const HealthVerbOptions& options)
{
    HealthOptions wanted;
    wanted.project_root = project_root(options.common);
    wanted.deep = options.deep;
    AutoExecutionConfigManager settings({}, wanted.project_root);
    wanted.status_file_name = settings.load(false).executor.status_file_name;
    wanted.configuration = [&settings] { return settings.diagnostics(); };
    for (const auto& tree : options.worktrees)
        wanted.worktrees.push_back(std::filesystem::absolute(tree));
    const HealthChecker checker(std::move(wanted));
    const auto results = checker.check_all();
    const auto overall = overall_status(results);
    if (options.common.json) {
        print_json(to_json(results));
    } else {
        for (const auto& result : results) print(result);
        print_text(stdout, "\nOverall: {}\n", to_string(overall));
    }
    return overall == HealthStatus::unhealthy ? exit_unhealthy : exit_completed;
}

}  // namespace autoexec::cli
