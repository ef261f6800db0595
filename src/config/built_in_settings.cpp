#include "config/settings.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::config {
namespace {

using Config = AutoExecutionConfig;

// The words for the values of a choice, in the order of the enumeration.
template <class T>
inline constexpr std::array<std::string_view, 0> words_of{};
template <>
inline constexpr std::array<std::string_view, 3> words_of<Durability>{"none", "process", "power"};
template <>
inline constexpr std::array<std::string_view, 2> words_of<OnBusy>{"fail", "wait"};
template <>
inline constexpr std::array<std::string_view, 3> words_of<SecretsInCommand>{"warn", "refuse",
                                                                            "allow"};
template <>
inline constexpr std::array<std::string_view, 3> words_of<FileAccess>{"owner", "group", "everyone"};

template <class T>
SettingValue to_value(const T& field)
{
    if constexpr (std::is_enum_v<T>)
        return std::string(words_of<T>[static_cast<std::size_t>(field)]);
    else
        return field;
}

template <class T>
void from_value(T& field, const SettingValue& value)
{
    if constexpr (std::is_enum_v<T>) {
        const auto& words = words_of<T>;
        const auto found = std::find(words.begin(), words.end(), std::get<std::string>(value));
        if (found != words.end()) field = static_cast<T>(found - words.begin());
    } else {
        field = std::get<T>(value);
    }
}

template <class T>
constexpr SettingType type_of(const T&)
{
    if constexpr (std::is_same_v<T, bool>)
        return SettingType::boolean;
    else if constexpr (std::is_same_v<T, std::int64_t>)
        return SettingType::integer;
    else if constexpr (std::is_same_v<T, double>)
        return SettingType::number;
    else if constexpr (std::is_enum_v<T>)
        return SettingType::choice;
    else
        return SettingType::text;
}

/// A setting that is kept in the field that `Path` leads to.
template <auto... Path>
Setting field(std::string key, std::string documentation)
{
    using T = std::remove_cvref_t<decltype((std::declval<Config&>().*....*Path))>;
    Setting s;
    s.key = std::move(key);
    s.type = type_of(T{});
    s.documentation = std::move(documentation);
    s.get = [](const Config& c) { return to_value((c.*....*Path)); };
    s.set = [](Config& c, const SettingValue& value) { from_value((c.*....*Path), value); };
    if constexpr (std::is_enum_v<T>) s.choices.assign(words_of<T>.begin(), words_of<T>.end());
    return s;
}

// What most settings differ by, in the words of the table below.
Setting at_once(Setting s)
{
    s.effect = Effect::next_execution;
    return s;
}
Setting within(double least, double most, Setting s)
{
    s.range = {least, most};
    return s;
}
Setting positive(double most, Setting s)
{
    s.range = {0, most, true};
    return s;
}
Setting in(std::string unit, Setting s)
{
    s.unit = std::move(unit);
    return s;
}
Setting known_as(std::string alias, Setting s)
{
    s.alias = std::move(alias);
    return s;
}
Setting of_type(SettingType type, Setting s)
{
    s.type = type;
    return s;
}

constexpr double three_years = 100'000'000;  // seconds
constexpr double mebibyte = 1024 * 1024;
constexpr double gibibyte = 1024 * mebibyte;
constexpr double tebibyte = 1024 * gibibyte;

std::vector<Setting> general_settings()
{
    using R = RetryConfig;
    using P = PollingConfig;
    constexpr auto retry = &Config::retry;
    constexpr auto polling = &Config::polling;
    return {
        known_as("auto_execution_enabled",
                 field<&Config::enabled>("enabled",
                                         "Whether workflow steps are run, or wait for a person. "
                                         "`autoexec run` always runs.")),
        of_type(SettingType::version,
                field<&Config::version>("version", "Of the form of this file.")),
        at_once(field<retry, &R::enabled>("retry.enabled",
                                          "False: one attempt, unless a command asks for more.")),
        at_once(within(1, 1000,
                       field<retry, &R::max_attempts>("retry.max_attempts",
                                                      "Attempts in all, the first one included."))),
        at_once(within(1, 1000,
                       field<retry, &R::backoff_multiplier>(
                           "retry.backoff_multiplier",
                           "By this much the delay grows from one retry to the next."))),
        at_once(in("seconds", within(0, three_years,
                                     field<retry, &R::initial_delay_seconds>(
                                         "retry.initial_delay_seconds",
                                         "The longest delay before the first retry; the real one "
                                         "is a random part of it.")))),
        at_once(in("seconds", within(0, three_years,
                                     field<retry, &R::max_delay_seconds>("retry.max_delay_seconds",
                                                                         "No delay is longer.")))),
        at_once(field<polling, &P::enabled>(
            "polling.enabled",
            "False: files are looked at when they change, and every `max_interval_seconds` "
            "besides.")),
        at_once(known_as("polling_interval",
                         in("seconds", positive(three_years, field<polling, &P::interval_seconds>(
                                                                 "polling.interval_seconds",
                                                                 "From one look at a worktree's "
                                                                 "files to the next."))))),
        at_once(
            known_as("timeout_seconds",
                     in("seconds", positive(three_years, field<polling, &P::timeout_seconds>(
                                                             "polling.timeout_seconds",
                                                             "How long one attempt may take."))))),
        at_once(field<polling, &P::adaptive>(
            "polling.adaptive",
            "The interval grows while nothing happens, up to `max_interval_seconds`.")),
        at_once(
            in("seconds", positive(three_years, field<polling, &P::max_interval_seconds>(
                                                    "polling.max_interval_seconds",
                                                    "The longest interval of adaptive polling.")))),
    };
}

std::vector<Setting> feature_settings()
{
    using F = FeatureFlags;
    constexpr auto features = &Config::features;
    return {
        at_once(field<features, &F::artifact_detection>(
            "features.artifact_detection",
            "A command without a status is complete when its expected artifacts are there.")),
        at_once(field<features, &F::status_tracking>(
            "features.status_tracking",
            "Progress is followed and recorded; the final status is read either way.")),
        at_once(field<features, &F::error_handling>("features.error_handling",
                                                    "False: nothing is retried.")),
        field<features, &F::metrics_collection>("features.metrics_collection",
                                                "Metrics are written."),
        field<features, &F::audit_logging>("features.audit_logging", "The audit trail is written."),
    };
}

std::vector<Setting> clock_settings()
{
    using C = ClocksConfig;
    constexpr auto clocks = &Config::clocks;
    const auto clock = [](Setting s) {
        return at_once(in("seconds", within(0, three_years, std::move(s))));
    };
    return {
        clock(field<clocks, &C::start_seconds>(
            "clocks.start_seconds",
            "How long an agent has to take a command; 0: for ever, for agents that do not say.")),
        clock(field<clocks, &C::stall_seconds>(
            "clocks.stall_seconds",
            "How long nothing may change in status, progress and output; 0: for ever.")),
        clock(field<clocks, &C::total_seconds>(
            "clocks.total_seconds", "How long all attempts together may take; 0: for ever.")),
        clock(field<clocks, &C::stop_grace_seconds>(
            "clocks.stop_grace_seconds", "From asking a command to stop to killing it.")),
    };
}

std::vector<Setting> limit_settings()
{
    using L = LimitsConfig;
    constexpr auto limits = &Config::limits;
    const auto bytes = [](double least, Setting s) {
        return in("bytes", within(least, gibibyte, std::move(s)));
    };
    return {
        at_once(within(0, 100'000,
                       field<limits, &L::max_concurrency>(
                           "limits.max_concurrency", "Commands in flight at once; 0: no limit."))),
        bytes(1024, field<limits, &L::status_bytes>(
                        "limits.status_bytes", "A status file that is larger fails its command.")),
        at_once(bytes(0, field<limits, &L::output_bytes>("limits.output_bytes",
                                                         "What is kept of a command's output."))),
        at_once(in("bytes", within(0, mebibyte,
                                   field<limits, &L::output_tail_bytes>(
                                       "limits.output_tail_bytes",
                                       "How much of the output's end a status carries.")))),
        bytes(1024, field<limits, &L::audit_bytes>(
                        "limits.audit_bytes", "The audit log is rotated before it is larger.")),
        within(0, 100,
               field<limits, &L::audit_backups>("limits.audit_backups",
                                                "How many rotated audit logs are kept; 0: none.")),
    };
}

std::vector<Setting> worktree_settings()
{
    using W = WorktreesConfig;
    constexpr auto worktrees = &Config::worktrees;
    return {
        at_once(within(0, 1'000'000,
                       field<worktrees, &W::keep>("worktrees.keep",
                                                  "`autoexec worktree gc` keeps those of so many "
                                                  "runs, the newest ones."))),
        at_once(of_type(SettingType::duration,
                        field<worktrees, &W::older_than>("worktrees.older_than",
                                                         "`autoexec worktree gc` removes only "
                                                         "those that nobody has used for so "
                                                         "long."))),
        at_once(field<worktrees, &W::delete_branches>(
            "worktrees.delete_branches",
            "`autoexec worktree gc` also deletes branches of steps whose worktree is gone, if "
            "another branch has their work.")),
        at_once(field<worktrees, &W::auto_gc>(
            "worktrees.auto_gc",
            "When a workflow has completed, `autoexec workflow run` does what `autoexec worktree "
            "gc` does.")),
        in("bytes", within(0, 512 * tebibyte,
                           field<worktrees, &W::free_space_floor>(
                               "worktrees.free_space_floor",
                               "No worktree is made for a step with less than that free; 0: no "
                               "floor."))),
        in("bytes", within(0, 512 * tebibyte,
                           field<worktrees, &W::max_file_bytes>(
                               "worktrees.max_file_bytes",
                               "A larger file in a worktree is neither committed nor saved, but "
                               "named, and stays there; 0: no limit."))),
    };
}

std::vector<Setting> other_settings()
{
    using A = AgentConfig;
    constexpr auto agent = &Config::agent;
    constexpr auto secrets = &Config::secrets;
    constexpr auto files = &Config::files;
    return {
        field<&Config::durability>(
            "durability",
            "When records count as written: in memory, survives kill -9, survives a power cut."),
        at_once(field<&Config::on_busy>("on_busy", "When another engine holds the worktree.")),
        at_once(field<secrets, &SecretsConfig::in_command>(
            "secrets.in_command", "When a secret is found in the text of a command.")),
        of_type(SettingType::file_name,
                field<files, &FilesConfig::status_name>(
                    "files.status_name", "The status file in a worktree; agents must agree.")),
        field<files, &FilesConfig::access>(
            "files.access", "Who may read the files that the engine writes into worktrees."),
        at_once(within(0, 10'000,
                       field<agent, &A::max_parallel>(
                           "agent.max_parallel",
                           "Commands that `autoexec agent` runs at once; 0: as its agents file "
                           "says."))),
        at_once(
            in("seconds", positive(three_years, field<agent, &A::scan_interval_seconds>(
                                                    "agent.scan_interval_seconds",
                                                    "From one look for commands to the next.")))),
        at_once(in("seconds", positive(three_years, field<agent, &A::watch_paths_interval_seconds>(
                                                        "agent.watch_paths_interval_seconds",
                                                        "From one search through the agents' watch "
                                                        "paths to the next.")))),
        at_once(in("seconds",
                   within(0, three_years,
                          field<agent, &A::heartbeat_seconds>(
                              "agent.heartbeat_seconds",
                              "How often a running command says that it lives; 0: only when its "
                              "output changed.")))),
        at_once(field<&Config::debug>(
            "debug", "Say more, in `.tapps-agents/logs/autoexec.log`: `autoexec debug on`.")),
    };
}

}  // namespace

std::vector<Setting> built_in_settings()
{
    std::vector<Setting> all;
    for (auto&& group : {general_settings(), feature_settings(), clock_settings(), limit_settings(),
                         worktree_settings(), other_settings()})
        all.insert(all.end(), group.begin(), group.end());
    return all;
}

}  // namespace autoexec::config
