#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::inline v1 {

/// A condition on the value at a JSON pointer (RFC 6901) of an event. `null` is absent.
struct EventCondition {
    /// How the value is compared.
    enum class Kind {
        equals,       ///< A string.
        literal,      ///< A number or boolean, as JSON writes it.
        begins_with,  ///< A string.
        present,
        absent,
        api_error,       ///< A text that begins or ends with `[API Error: …]`.
        sandbox_denial,  ///< A text in which the system refuses an access.
    };

    std::string pointer;
    Kind kind = Kind::equals;
    std::string value;  ///< For `equals`, `literal` and `begins_with`.

    bool operator==(const EventCondition&) const = default;
};

/// What an event says about the outcome of a program.
enum class EventMeaning {
    none,
    work,        ///< It continues: an outcome that it reported before no longer counts.
    success,     ///< It has ended its work.
    failure,     ///< It has given up; the rule's `message` says why.
    trouble,     ///< It failed at something and tries again by itself.
    question,    ///< It waits for a person's answer.
    permission,  ///< It waits for a person's permission; `message` is for what.
};

/// How the usage of several events adds up.
enum class UsageTotal {
    last,        ///< The last event has the total.
    sum,         ///< Each event has a part of it.
    cumulative,  ///< The last event has the total of the session, earlier commands included.
};

/// Where an event has tokens and cost: JSON pointers; empty: nowhere.
struct UsageFields {
    std::string input;   ///< Without `cache_read`, unless `input_has_cache`.
    std::string output;  ///< Without `reasoning`, unless `output_has_reasoning`.
    std::string cache_read;
    std::string cache_write;
    std::string reasoning;
    std::string cost_usd;
    bool input_has_cache = false;
    bool output_has_reasoning = false;
    UsageTotal total = UsageTotal::last;

    bool operator==(const UsageFields&) const = default;
};

/// What the events of one kind mean. All rules whose conditions hold apply to an event; of those
/// that have a meaning, the first.
struct EventRule {
    std::vector<EventCondition> when;  ///< All must hold.
    EventMeaning meaning = EventMeaning::none;
    /// Pointers to the program's words; the first text counts. What does not begin with `/` is a
    /// text itself.
    std::vector<std::string> message;
    std::string error_code;   ///< Empty: derived from `http_status` and the words.
    std::string http_status;  ///< Pointer.
    std::string retry_after;  ///< Pointer to the seconds until a retry may help.
    std::string session;      ///< Pointer to the id of the program's session.
    std::string model;        ///< Pointer.
    std::string denied;  ///< Template, like `show`: a tool that was refused. `{shown}`: the last
                         ///< line shown.
    std::string show;    ///< Template of a line for people: `Bash: {/item/command}`.
    bool keep = false;   ///< A later success does not replace this failure.
    int background_tasks = 0;  ///< How many tasks it starts (1) or ends (-1).
    std::optional<UsageFields> usage;

    bool operator==(const EventRule&) const = default;
};

/// How the output of a program is read: JSON objects on lines of standard output, the *events*.
/// Without `events`, exit code 0 is success.
struct OutputRules {
    std::string name = "exit_code";
    std::string program;  ///< For messages: `Claude`.
    std::string options;  ///< The options with which the program writes events, for messages.
    std::string allow;    ///< How to permit a tool that was refused, for messages.
    std::vector<EventRule> events;
    /// Error codes for exit codes of a program that reported no outcome.
    std::map<int, std::string> exit_codes;

    bool operator==(const OutputRules&) const = default;
};

/// What a command cost. Tokens and money as the program reports them; absent: not reported.
struct Usage {
    std::optional<std::int64_t> input_tokens;   ///< Neither read from a cache nor written to one.
    std::optional<std::int64_t> output_tokens;  ///< With reasoning.
    std::optional<std::int64_t> cache_read_tokens;
    std::optional<std::int64_t> cache_write_tokens;
    std::optional<std::int64_t> reasoning_tokens;  ///< A part of `output_tokens`.
    std::optional<double> cost_usd;
    std::string model;
    // Of all its processes, as the supervisor measures them.
    std::optional<std::chrono::microseconds> cpu{};
    std::optional<std::int64_t> peak_memory_kib{};  ///< Of the largest process.
    /// In a status: tokens and cost are of the whole session, with the attempts before.
    bool of_session = false;
    bool cost_of_session = false;  ///< The same of the cost alone.

    bool operator==(const Usage&) const = default;
    /// True if nothing is known.
    [[nodiscard]] bool empty() const noexcept { return *this == Usage{}; }
};

/// The price of a model, in USD per million tokens.
struct ModelPrice {
    double input = 0;
    double output = 0;
    double cache_read = 0;
    double cache_write = 0;

    bool operator==(const ModelPrice&) const = default;
};

/// By the name of the model, as its program reports it.
using ModelPrices = std::map<std::string, ModelPrice, std::less<>>;

}  // namespace autoexec::inline v1
