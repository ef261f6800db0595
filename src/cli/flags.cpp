#include "cli/flags.hpp"

#include "cli/session/output.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <system_error>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_jobs = 100'000;                  // as the setting limits.max_parallel
constexpr std::size_t max_tokens = 1'000'000'000'000'000;  // as the setting
constexpr std::size_t max_lines = 1'000'000'000;

// `--jobs` for `-j,--jobs,--max-parallel`: messages name one. An argument has only one name.
std::string long_name(const std::string& names)
{
    const auto begin = names.find("--");
    return begin == names.npos ? names : names.substr(begin, names.find(',', begin) - begin);
}

std::string or_list(const std::vector<std::string>& words)
{
    const auto last = std::prev(words.end());
    return fmt::format("{} or {}", fmt::join(words.begin(), last, ", "), *last);
}

void add_budget(CLI::App& app, SessionFlags& flags)
{
    add_usd(app, "--max-cost", flags.max_cost,
            "Start no more commands once they have cost this much; 0: no limit");
    add_count(
        app, "--max-tokens", max_tokens, [&flags](std::size_t n) { flags.max_tokens = n; },
        "Start no more commands once they have used N tokens; 0: no limit");
    add_usd(app, "--max-cost-per-command", flags.max_cost_per_command,
            "End a command once its attempts have cost this much; 0: no limit");
    add_count(
        app, "--max-tokens-per-command", max_tokens,
        [&flags](std::size_t n) { flags.max_tokens_per_command = n; },
        "End a command once its attempts have used N tokens; 0: no limit");
}

}  // namespace

CLI::Option* add_choice(CLI::App& app, const std::string& names, std::vector<std::string> words,
                        std::function<void(const std::string& word)> set, const std::string& help)
{
    return app.add_option_function<std::string>(
        names,
        [name = long_name(names), words = std::move(words),
         set = std::move(set)](const std::string& word) {
            if (std::find(words.begin(), words.end(), word) == words.end())
                throw CLI::ValidationError(
                    name, fmt::format("invalid value '{}'; use {}", text::printable(word),
                                      or_list(words)));
            set(word);
        },
        help);
}

void add_usd(CLI::App& app, const char* name, std::optional<double>& value, const char* help)
{
    // CLI::Range lets NaN through.
    const auto is_amount = [](const std::string& text) -> std::string {
        double usd = -1;
        const bool ok = CLI::detail::lexical_cast(text, usd) && usd >= 0 && usd <= 1'000'000;
        return ok ? "" : "'" + text + "' is not an amount from 0 to 1000000 USD";
    };
    app.add_option(name, value, help)->type_name("USD")->check(is_amount);
}

// A library option type would tie every command to the library.
CLI::Option* add_duration(CLI::App& app, const std::string& name,
                          std::optional<std::chrono::milliseconds>& value, const std::string& help,
                          bool may_be_zero)
{
    auto* const option = app.add_option_function<std::string>(
        name,
        [&value, name = long_name(name), may_be_zero](const std::string& text) {
            value = text::parse_duration(text);
            if (!value)
                throw CLI::ValidationError(
                    name, fmt::format("invalid duration '{}'; use 90s, 15m, 2h or 3d", text));
            if (value->count() == 0 && !may_be_zero)
                throw CLI::ValidationError(name, fmt::format("'{}' is not longer than 0", text));
        },
        help);
    return option->type_name("TIME");
}

CLI::Option* add_count(CLI::App& app, const std::string& name, std::size_t max,
                       std::function<void(std::size_t)> set, const std::string& help)
{
    auto* const option = app.add_option_function<std::string>(
        name,
        [name = long_name(name), max, set = std::move(set)](const std::string& text) {
            std::size_t value = 0;
            const char* const end = text.data() + text.size();
            const auto [stop, error] = std::from_chars(text.data(), end, value);
            if (error != std::errc{} || stop != end || text.empty() || value > max)
                throw CLI::ValidationError(
                    name, fmt::format("invalid number '{}'; use a whole number from 0 to {}",
                                      text::printable(text), max));
            set(value);
        },
        help);
    return option->type_name("N");
}

CLI::Option* add_list(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                      const std::string& type, const std::string& help)
{
    return app.add_option(names, values, help + "; may be repeated")
        ->type_name(type)
        ->allow_extra_args(false);
}

void add_limit(CLI::App& app, std::size_t& limit)
{
    add_count(
        app, "-n,--limit", max_lines, [&limit](std::size_t n) { limit = n; },
        "Show at most N; 0: all")
        ->default_str(std::to_string(limit));
}

CLI::Option* add_execution(CLI::App& app, std::string& id, const std::string& more)
{
    return app
        .add_option("execution", id,
                    "The id of the execution or attempt, or at least its last four characters, as "
                    "autoexec status and autoexec history show it" +
                        more)
        ->required()
        ->type_name("ID");
}

void add_project(CLI::App& app, CommonOptions& common)
{
    app.add_option("--project", common.project,
                   "Use this project folder (default: the repository of the current folder)")
        ->type_name("DIR");
}

void add_common(CLI::App& app, CommonOptions& common)
{
    add_project(app, common);
    auto* const json =
        app.add_flag("--json", common.json, "Print results as JSON, one object per line");
    app.add_option_function<std::string>(
           "--format",
           [&common](const std::string& text) {
               set_result_template(text);
               common.json = true;
           },
           "Print each result by a template of JSON keys, such as '{command}\\t{worktree}'")
        ->type_name("TEMPLATE")
        ->excludes(json);
}

void add_max_parallel(CLI::App& app, SessionFlags& flags)
{
    add_count(
        app, "-j,--jobs,--max-parallel", max_jobs, [&flags](std::size_t n) { flags.jobs = n; },
        "Run at most N commands at once; 0: no limit (default 8)");
}

void add_session(CLI::App& app, SessionFlags& flags)
{
    add_max_parallel(app, flags);
    add_duration(app, "--total-timeout", flags.total_timeout,
                 "Time limit for all attempts of a command");
    add_duration(app, "--polling-interval", flags.polling_interval,
                 "Interval between status polls (default 5s)");
    add_duration(app, "--stop-grace", flags.stop_grace,
                 "Time to stop before a command is killed (default 10s)");
    add_budget(app, flags);
    app.add_flag("--external-agent", flags.external_agent,
                 "Leave the commands to an agent that is already running");
    app.add_flag("--wait", flags.wait_for_worktree, "Wait for busy worktrees instead of failing");
    app.add_flag("--fail-on-input", flags.fail_on_input,
                 "Fail a command that waits for a person's answer (exit code 6)");
    app.add_flag("-q,--quiet", flags.quiet, "Print results only, no progress");
}

}  // namespace autoexec::cli
