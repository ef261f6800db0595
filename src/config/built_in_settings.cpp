#include "config/prices.hpp"
#include "config/settings.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <utility>

namespace autoexec::config {
namespace {

using Config = AutoExecutionConfig;
using Milliseconds = std::chrono::milliseconds;

// The names of the values of a choice, in the order of the enumeration.
template <class T>
inline constexpr std::array<std::string_view, 0> words_of{};
template <>
inline constexpr std::array<std::string_view, 3> words_of<Durability>{"none", "process", "power"};
template <>
inline constexpr std::array<std::string_view, 2> words_of<OnBusy>{"fail", "wait"};
template <>
inline constexpr std::array<std::string_view, 2> words_of<OnInput>{"wait", "fail"};
template <>
inline constexpr std::array<std::string_view, 3> words_of<SecretsInCommand>{"warn", "refuse",
                                                                            "allow"};
template <>
inline constexpr std::array<std::string_view, 3> words_of<FileAccess>{"owner", "group", "everyone"};

template <>
inline constexpr std::array<std::string_view, 3> words_of<FileEvents>{"auto", "on", "off"};

template <class T>
constexpr bool is_whole_number = std::is_integral_v<T> && !std::is_same_v<T, bool>;

template <class T>
SettingValue to_value(const T& option)
{
    if constexpr (std::is_enum_v<T>)
        return std::string(words_of<T>[static_cast<std::size_t>(option)]);
    else if constexpr (std::is_same_v<T, Milliseconds>)
        return std::chrono::duration<double>(option).count();
    else if constexpr (is_whole_number<T>)
        return static_cast<std::int64_t>(option);
    else if constexpr (std::is_same_v<T, ModelPrices>)
        return format_prices(option);
    else
        return option;
}

// A time that is not zero stays so.
Milliseconds rounded(double seconds)
{
    const Milliseconds time(std::llround(seconds * 1000));
    return time.count() == 0 && seconds > 0 ? Milliseconds{1} : time;
}

template <class T>
void from_value(T& option, const SettingValue& value)
{
    if constexpr (std::is_enum_v<T>) {
        const auto& words = words_of<T>;
        const auto found = std::find(words.begin(), words.end(), std::get<std::string>(value));
        if (found != words.end()) option = static_cast<T>(found - words.begin());
    } else if constexpr (std::is_same_v<T, Milliseconds>) {
        option = rounded(std::get<double>(value));
    } else if constexpr (is_whole_number<T>) {
        option = static_cast<T>(std::get<std::int64_t>(value));
    } else if constexpr (std::is_same_v<T, ModelPrices>) {
        option = parse_prices(std::get<std::string>(value)).value_or(ModelPrices{});
    } else {
        option = std::get<T>(value);
    }
}

template <class T>
constexpr SettingType type_for()
{
    if constexpr (std::is_same_v<T, bool>)
        return SettingType::boolean;
    else if constexpr (is_whole_number<T>)
        return SettingType::integer;
    else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, Milliseconds>)
        return SettingType::number;
    else if constexpr (std::is_enum_v<T>)
        return SettingType::choice;
    else if constexpr (std::is_same_v<T, ModelPrices>)
        return SettingType::prices;
    else
        return SettingType::text;
}

/// A row of the table. Each function describes it further.
struct Row : Setting {
    Row at_once() &&
    {
        effect = Effect::next_execution;
        return std::move(*this);
    }
    Row within(double least, double most) &&
    {
        range = {least, most};
        return std::move(*this);
    }
    Row positive(double most) &&
    {
        range = {0, most, true};
        return std::move(*this);
    }
    Row bytes(double least, double most) &&
    {
        unit = "bytes";
        return std::move(*this).within(least, most);
    }
    Row in_usd() &&
    {
        unit = "USD";
        return std::move(*this).within(0, 1'000'000).lowered_by_workflows();
    }
    Row in_tokens() && { return std::move(*this).within(0, 1e15).lowered_by_workflows(); }
    Row lowered_by_workflows() &&
    {
        workflow_may = WorkflowMay::lower;
        return std::move(*this);
    }
    Row not_for_workflows() &&
    {
        workflow_may = WorkflowMay::not_set;
        return std::move(*this);
    }
    Row by_the_user_only() &&
    {
        not_for_projects = true;
        return std::move(*this).not_for_workflows();
    }
    Row project_key(std::string name) &&
    {
        alias = std::move(name);
        return std::move(*this);
    }
    Row formerly(std::string name) &&
    {
        former = std::move(name);
        return std::move(*this);
    }
    Row flag(std::string name) &&
    {
        flags = std::move(name);
        return std::move(*this);
    }
    Row of_type(SettingType special) &&
    {
        type = special;
        return std::move(*this);
    }
    /// Sets the option that `Path` leads to as well.
    template <auto... Path>
    Row also() &&
    {
        set = [first = std::move(set)](Config& c, const SettingValue& value) {
            first(c, value);
            from_value((c.*....*Path), value);
        };
        return std::move(*this);
    }
};

/// A setting that sets the option that `Path` leads to.
template <auto... Path>
Row option(std::string key, std::string documentation)
{
    using T = std::remove_cvref_t<decltype((std::declval<Config&>().*....*Path))>;
    Row row;
    row.key = std::move(key);
    row.type = type_for<T>();
    row.documentation = std::move(documentation);
    row.get = [](const Config& c) { return to_value((c.*....*Path)); };
    row.set = [](Config& c, const SettingValue& value) { from_value((c.*....*Path), value); };
    if constexpr (std::is_same_v<T, Milliseconds>) row.unit = "seconds";
    if constexpr (std::is_enum_v<T>) row.choices.assign(words_of<T>.begin(), words_of<T>.end());
    return row;
}

constexpr double three_years = 100'000'000;  // seconds
constexpr double mebibyte = 1024 * 1024;
constexpr double gibibyte = 1024 * mebibyte;
constexpr double tebibyte = 1024 * gibibyte;

using E = ExecutorSettings;
constexpr auto of_executor = &Config::executor;
constexpr auto of_agent = &Config::agent;

}  // namespace

std::vector<Setting> built_in_settings()
{
    using R = RetryPolicy;
    using A = WorkOptions;
    using W = WorktreesConfig;
    constexpr auto retry = &E::retry;
    constexpr auto breaker = &E::breaker;
    using B = BreakerOptions;
    constexpr auto stored = &Config::records;
    using S = RecordsConfig;
    constexpr auto worktrees = &Config::worktrees;
    constexpr auto notify = &Config::notify;
    using N = NotifyConfig;
    return {
        option<&Config::enabled>("enabled",
                                 "Agents run the steps of workflows. False: the steps wait for a "
                                 "person. Does not affect `autoexec run`.")
            .project_key("auto_execution_enabled")
            .flag("workflow run --auto, --manual"),
        option<&Config::version>("version", "The version of the file's format.")
            .of_type(SettingType::version),
        option<&Config::retry_enabled>(
            "retry.enabled",
            "Retry failed attempts. False: one attempt, unless a command "
            "sets its own number.")
            .at_once(),
        option<of_executor, retry, &R::max_attempts>(
            "retry.max_attempts", "Maximum number of attempts, the first included.")
            .within(1, 1000)
            .at_once(),
        option<of_executor, retry, &R::backoff_multiplier>(
            "retry.backoff_multiplier", "Factor by which the delay grows from retry to retry.")
            .within(1, 1000)
            .at_once(),
        option<of_executor, retry, &R::initial_delay>(
            "retry.initial_delay_seconds",
            "Maximum delay before the first retry. The actual delay is a random part of it.")
            .within(0, three_years)
            .at_once(),
        option<of_executor, retry, &R::max_delay>("retry.max_delay_seconds",
                                                  "Maximum delay before any retry.")
            .within(0, three_years)
            .at_once(),
        option<of_executor, breaker, &B::max_failures>(
            "breaker.max_failures",
            "Failures of an agent in a row after which it gets no commands for a while: a wrong "
            "key, a spent quota, no network … 0: no limit.")
            .within(0, 1000)
            .at_once()
            .not_for_workflows(),
        option<of_executor, breaker, &B::cool_down>(
            "breaker.cool_down_seconds",
            "How long it then gets no commands. After that, one command tests it. Each failed test "
            "doubles the time, up to 16 times its length.")
            .positive(86'400)
            .at_once()
            .not_for_workflows(),
        option<of_executor, breaker, &B::max_pause>(
            "breaker.max_pause_seconds",
            "Maximum length of a pause for which a failure of an agent asks, such as a rate limit. "
            "0: no pauses.")
            .within(0, 86'400)
            .at_once()
            .not_for_workflows(),
        option<&Config::polling_enabled>(
            "polling.enabled",
            "Poll the status file. False: read it when it changes, and every "
            "`max_interval_seconds` in case a change is missed.")
            .at_once(),
        option<of_executor, &E::file_events>(
            "polling.file_events",
            "See changes by file events (inotify), and poll only every `max_interval_seconds` in "
            "case one is missed. `auto`: for agents in other processes."),
        option<of_executor, &E::polling_interval>("polling.interval_seconds",
                                                  "Interval between polls of a worktree's files.")
            .positive(three_years)
            .at_once()
            .project_key("polling_interval")
            .flag("--polling-interval"),
        option<of_executor, &E::timeout>("polling.timeout_seconds", "Time limit for each attempt.")
            .positive(three_years)
            .at_once()
            .project_key("timeout_seconds")
            .flag("--timeout"),
        option<of_executor, &E::adaptive_polling>(
            "polling.adaptive",
            "Increase the interval up to `max_interval_seconds` while nothing changes.")
            .at_once(),
        option<of_executor, &E::max_polling_interval>("polling.max_interval_seconds",
                                                      "Maximum interval of adaptive polling.")
            .positive(three_years)
            .at_once(),
        option<of_executor, &E::artifact_detection>(
            "features.artifact_detection",
            "Complete a command without a status when all its expected artifacts exist.")
            .at_once(),
        option<of_executor, &E::status_tracking>(
            "features.status_tracking",
            "Follow and record progress. The final status is read in any case.")
            .at_once(),
        option<of_executor, &E::error_handling>("features.error_handling",
                                                "Retry at all. False: no command is retried.")
            .at_once(),
        option<of_executor, &E::enable_metrics>("features.metrics_collection", "Record metrics."),
        option<of_executor, &E::enable_audit>("features.audit_logging", "Write the audit log."),
        option<of_executor, &E::start_timeout>(
            "timeouts.start_seconds",
            "Time for an agent to claim a command. 0: no limit, for "
            "agents that do not claim.")
            .formerly("clocks.start_seconds")
            .within(0, three_years)
            .at_once(),
        option<of_executor, &E::stall_timeout>(
            "timeouts.stall_seconds",
            "Time without a change of status, progress and output. 0: no limit.")
            .formerly("clocks.stall_seconds")
            .within(0, three_years)
            .at_once(),
        option<of_executor, &E::total_timeout>(
            "timeouts.total_seconds",
            "Time limit for all attempts of a command together. 0: no limit.")
            .formerly("clocks.total_seconds")
            .within(0, three_years)
            .at_once()
            .flag("--total-timeout"),
        option<of_executor, &E::stop_grace>("timeouts.stop_grace_seconds",
                                            "Time to stop before a command is killed.")
            .formerly("clocks.stop_grace_seconds")
            .also<of_agent, &A::stop_grace>()
            .within(0, three_years)
            .at_once()
            .flag("--stop-grace"),
        option<of_agent, &A::input_timeout>(
            "timeouts.input_seconds",
            "Time for a person to answer a question of a command. Then permission is denied. 0: no "
            "limit but that of the command.")
            .within(0, three_years)
            .at_once(),
        option<of_executor, &E::max_parallel>("limits.max_parallel",
                                              "Maximum number of parallel commands: of the "
                                              "project, or of an embedding application. 0: "
                                              "no limit.")
            .formerly("limits.max_concurrency")
            .within(0, 100'000)
            .at_once()
            .flag("--max-parallel"),
        option<of_executor, &E::min_free_memory_bytes>(
            "limits.min_free_memory_bytes",
            "Minimum free memory. With less, no command starts until there is more. 0: no minimum.")
            .bytes(0, 512 * tebibyte)
            .at_once(),
        option<of_executor, &E::min_free_disk_bytes>(
            "limits.min_free_disk_bytes",
            "The same for the free space of the project's file system. 0: no minimum.")
            .bytes(0, 512 * tebibyte)
            .at_once(),
        option<of_executor, &E::max_status_bytes>(
            "limits.max_status_bytes",
            "Maximum size of a status file. A larger one fails its command.")
            .formerly("limits.status_bytes")
            .bytes(1024, gibibyte),
        option<of_agent, &A::max_output_bytes>("limits.max_output_bytes",
                                               "Maximum size of a command's output log. 0: none.")
            .formerly("limits.output_bytes")
            .bytes(0, gibibyte)
            .at_once(),
        option<of_agent, &A::max_output_tail_bytes>(
            "limits.max_output_tail_bytes", "Maximum size of the end of the output in a status.")
            .formerly("limits.output_tail_bytes")
            .bytes(0, mebibyte)
            .at_once(),
        option<of_executor, &E::max_audit_bytes>(
            "audit.max_bytes",
            "Maximum size of the audit log. It is rotated before it exceeds this.")
            .formerly("limits.audit_bytes")
            .bytes(1024, gibibyte),
        option<of_executor, &E::max_audit_backups>(
            "audit.max_backups", "Maximum number of rotated audit logs. 0: all are kept.")
            .formerly("limits.audit_backups")
            .within(0, 100),
        option<of_executor, &E::audit_key_file>(
            "audit.key_file",
            "File with a key for the hashes of the audit log, at least 16 bytes, readable by its "
            "owner only. Empty: no key."),
        option<of_executor, &E::strict_audit>(
            "audit.strict",
            "Start a command only once its start is in the audit log; otherwise it fails "
            "(`unrecorded`). Without effect if `features.audit_logging` is false.")
            .at_once(),
        option<stored, &S::older_than>(
            "records.older_than",
            "`autoexec records gc` removes records that are at least this old. 0s: no limit.")
            .of_type(SettingType::duration)
            .at_once()
            .flag("records gc --older-than"),
        option<stored, &S::max_bytes>(
            "records.max_bytes",
            "Maximum size of all records that `autoexec records gc` may remove; it removes the "
            "oldest. 0: no limit.")
            .bytes(0, 512 * tebibyte)
            .at_once()
            .flag("records gc --max-bytes"),
        option<stored, &S::keep>(
            "records.keep",
            "`autoexec records gc` keeps this many newest records of each kind. 0: no limit.")
            .within(0, 1'000'000)
            .at_once()
            .flag("records gc --keep"),
        option<stored, &S::auto_gc>(
            "records.auto_gc",
            "Do the same as `autoexec records gc` before commands are run, at most 1000 records at "
            "a time.")
            .at_once(),
        option<worktrees, &W::keep>(
            "worktrees.keep",
            "`autoexec worktree gc` keeps the worktrees of this many newest runs.")
            .within(0, 1'000'000)
            .at_once()
            .flag("worktree gc --keep"),
        option<worktrees, &W::older_than>(
            "worktrees.older_than",
            "`autoexec worktree gc` removes only worktrees unused for at least this time.")
            .of_type(SettingType::duration)
            .at_once()
            .flag("worktree gc --older-than"),
        option<worktrees, &W::delete_branches>(
            "worktrees.delete_branches",
            "`autoexec worktree gc` also deletes branches of steps whose worktree is removed and "
            "whose work is on another branch.")
            .at_once()
            .flag("worktree gc --delete-branches"),
        option<worktrees, &W::auto_gc>("worktrees.auto_gc",
                                       "Run `autoexec worktree gc` after each completed workflow.")
            .at_once(),
        option<worktrees, &W::min_free_bytes>(
            "worktrees.min_free_bytes",
            "Minimum free space. With less, no worktree is created. 0: no minimum.")
            .formerly("worktrees.free_space_floor")
            .bytes(0, 512 * tebibyte),
        option<worktrees, &W::max_file_bytes>(
            "worktrees.max_file_bytes",
            "Maximum size of a file that is committed or saved. A larger one is reported and stays "
            "in its worktree. 0: no limit.")
            .bytes(0, 512 * tebibyte),
        option<&Config::budget, &BudgetConfig::max_cost_per_run>(
            "budget.max_cost_per_run",
            "A run starts no more commands once they have cost this much. 0: no limit.")
            .in_usd()
            .at_once()
            .flag("--max-cost"),
        option<&Config::budget, &BudgetConfig::max_tokens_per_run>(
            "budget.max_tokens_per_run",
            "A run starts no more commands once they have used this many tokens: input, output, "
            "and those written to a cache. 0: no limit.")
            .in_tokens()
            .at_once()
            .flag("--max-tokens"),
        option<&Config::budget, &BudgetConfig::max_cost_per_day>(
            "budget.max_cost_per_day",
            "The same for all commands of the project on a UTC day. 0: no limit.")
            .in_usd()
            .at_once(),
        option<&Config::budget, &BudgetConfig::max_tokens_per_day>(
            "budget.max_tokens_per_day",
            "The same for all commands of the project on a UTC day. 0: no limit.")
            .in_tokens()
            .at_once(),
        option<of_executor, &E::max_cost_per_command>(
            "budget.max_cost_per_command",
            "What all attempts of a command may cost: it is not tried again once they have cost "
            "this much, and is stopped if its program reports its cost meanwhile. 0: no limit.")
            .in_usd()
            .at_once()
            .flag("--max-cost-per-command"),
        option<of_executor, &E::max_tokens_per_command>("budget.max_tokens_per_command",
                                                        "The same in tokens. 0: no limit.")
            .in_tokens()
            .at_once()
            .flag("--max-tokens-per-command"),
        option<of_executor, &E::prices>(
            "prices",
            "USD per million tokens, to estimate the cost where a program reports none. The prices "
            "of a cache are by default that of the input. In a variable: as JSON.")
            .at_once()
            .not_for_workflows(),
        option<notify, &N::needs_input>(
            "notify.needs_input",
            "Notify when a command waits for an answer, or a manual step for a person.")
            .at_once()
            .not_for_workflows(),
        option<notify, &N::failed>("notify.failed",
                                   "Notify when a command has failed or timed out.")
            .at_once()
            .not_for_workflows(),
        option<notify, &N::completed>("notify.completed", "Notify when a command has completed.")
            .at_once()
            .not_for_workflows(),
        option<notify, &N::run_ended>("notify.run_ended", "Notify when a run has ended.")
            .at_once()
            .not_for_workflows(),
        option<notify, &N::budget>("notify.budget",
                                   "Notify when a limit of the budget lets no command start.")
            .at_once()
            .not_for_workflows(),
        option<notify, &N::program>(
            "notify.program",
            "Program, with its arguments, that gets each notification as JSON on its standard "
            "input. The files of a project cannot set it. Empty: none.")
            .by_the_user_only(),
        option<notify, &N::bell>("notify.bell",
                                 "Ring the bell of the terminal, and send it the text (OSC 9).")
            .at_once()
            .not_for_workflows(),
        option<notify, &N::desktop>("notify.desktop",
                                    "Show notifications on the desktop, by `notify-send`.")
            .at_once()
            .not_for_workflows(),
        option<&Config::pull_request, &PullRequestConfig::program>(
            "pull_request.program",
            "Program, with its arguments, by which `autoexec workflow report --create-pr` creates "
            "a pull request; it gets the text on its standard input. The files of a project cannot "
            "set it.")
            .at_once()
            .by_the_user_only(),
        option<of_executor, &E::durability>(
            "durability",
            "When a record counts as written: in memory (none), safe "
            "from kill -9 (process), safe from a power cut (power)."),
        option<of_executor, &E::on_busy>("on_busy",
                                         "What to do when another executor uses the worktree.")
            .at_once()
            .flag("--wait"),
        option<of_executor, &E::on_input>("on_input",
                                          "What to do when a command waits for a person's answer.")
            .at_once()
            .flag("--fail-on-input"),
        option<of_executor, &E::secrets_in_command>(
            "secrets.in_command", "What to do with a command that contains a secret.")
            .at_once(),
        option<of_executor, &E::status_file_name>(
            "files.status_name", "Name of the status file. Agents must use the same.")
            .of_type(SettingType::file_name),
        option<of_executor, &E::file_access>(
            "files.access", "Read access to the files that the executor writes into worktrees."),
        option<of_agent, &A::max_parallel>(
            "agent.max_parallel",
            "Maximum number of parallel commands of `autoexec agent`. "
            "0: the number in the agents file.")
            .within(0, 10'000)
            .at_once()
            .flag("agent --max-parallel"),
        option<of_agent, &A::scan_interval>("agent.scan_interval_seconds",
                                            "Interval between scans for commands.")
            .positive(three_years)
            .at_once(),
        option<of_agent, &A::watch_paths_interval>(
            "agent.watch_paths_interval_seconds",
            "Interval between searches of the agents' watch paths.")
            .positive(three_years)
            .at_once(),
        option<of_agent, &A::heartbeat_interval>(
            "agent.heartbeat_interval_seconds",
            "Interval between heartbeats of a running command. 0: "
            "only when its output changes.")
            .formerly("agent.heartbeat_seconds")
            .within(0, three_years)
            .at_once(),
        option<&Config::default_agent>(
            "agents.default",
            "Agent, or role of the agents file, of commands that name none, if several agents "
            "accept commands. Empty: none.")
            .flag("--agent"),
        option<&Config::debug>(
            "debug",
            "Write a debug log to `.tapps-agents/logs/autoexec.log`; see `autoexec debug`.")
            .at_once(),
    };
}

}  // namespace autoexec::config
