#include "autoexec/health.hpp"
#include "autoexec/config.hpp"
#include "cli/subcommand.hpp"

namespace autoexec::cli {
namespace {

struct HealthCommandOptions : CommonOptions {
    std::vector<std::string> worktrees;
    bool deep = false;
};

constexpr int message_column = 32;

void print_below(std::string_view mark, std::string_view text)
{
    print_result("{:{}}{} {}\n", "", message_column, mark, text::printable(text));
}

void print(const HealthCheckResult& result)
{
    print_state_line(
        "", to_string(result.status), 10,
        fmt::format(" {:20} {}", text::printable(result.name), text::printable(result.message)));
    // One of them is already the message.
    if (const auto* const all = result.details.if_contains("problems"); all && all->is_array())
        for (const auto& problem : all->get_array())
            if (problem.is_string() && !result.message.starts_with(problem.get_string()))
                print_below("-", problem.get_string());
    if (!result.remedy.empty()) print_below("→", result.remedy);
}

int check_health(const HealthCommandOptions& options)
{
    HealthOptions wanted;
    wanted.project_root = project_root(options);
    wanted.deep = options.deep;
    AutoExecutionConfigManager settings({}, wanted.project_root);
    wanted.status_file_name = settings.load(false).executor.status_file_name;
    wanted.configuration = [&settings] { return settings.diagnostics(); };
    for (const auto& tree : options.worktrees)
        wanted.worktrees.push_back(std::filesystem::absolute(tree));
    const HealthChecker checker(std::move(wanted));
    const auto results = checker.check_all();
    const auto overall = overall_status(results);
    if (options.json) {
        print_json(to_json(results));
    } else {
        for (const auto& result : results) print(result);
        print_result("\n");
        print_state_line("Overall: ", to_string(overall), to_string(overall).size(), "");
    }
    return overall == HealthStatus::unhealthy ? exit_unhealthy : exit_completed;
}

void define_health(CLI::App& app, HealthCommandOptions& o)
{
    add_common(app, o);
    add_list(app, "-w,--worktree", o.worktrees, "DIR", "Check only this worktree")
        ->allow_extra_args();
    app.add_flag("--deep", o.deep,
                 "Also ask the program of every agent for its version, including scripts");
    app.footer(
        "The checks create and change nothing.\n"
        "\nExit codes: 0 healthy or degraded, 5 unhealthy.");
}

}  // namespace

extern const Subcommand health_subcommand =
    subcommand("health", "Check that commands can run here", define_health, check_health);

}  // namespace autoexec::cli
