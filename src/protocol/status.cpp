#include "protocol/status.hpp"

#include "protocol/question_format.hpp"
#include "protocol/usage.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;

constexpr double max_wait_seconds = 1e8;
constexpr std::string_view replacement = "\xEF\xBF\xBD";

struct Word {
    std::string_view word;
    ReportedStatus status;
    std::string_view code = {};
};

/// Words that agents write; case-insensitive.
constexpr Word known_words[] = {
    {"pending", ReportedStatus::pending},
    {"running", ReportedStatus::running},
    {"completed", ReportedStatus::completed},
    {"complete", ReportedStatus::completed},
    {"success", ReportedStatus::completed},
    {"succeeded", ReportedStatus::completed},
    {"done", ReportedStatus::completed},
    {"ok", ReportedStatus::completed},
    {"finished", ReportedStatus::completed},
    {"passed", ReportedStatus::completed},
    {"failed", ReportedStatus::failed},
    {"error", ReportedStatus::failed},
    {"failure", ReportedStatus::failed},
    {"aborted", ReportedStatus::failed},
    {"cancelled", ReportedStatus::failed, "cancelled"},
    {"canceled", ReportedStatus::failed, "cancelled"},
    {"timeout", ReportedStatus::failed, "timeout"},
    {"timed_out", ReportedStatus::failed, "timeout"},
};

std::string lower(std::string text)
{
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

std::string shortened(std::string_view text)
{
    constexpr std::size_t max_bytes = 40;
    return text.size() <= max_bytes ? text::printable(text)
                                    : text::printable(text.substr(0, max_bytes)) + "…";
}

std::optional<int> small_integer(const text::Fields& fields, std::string_view key, int min)
{
    const auto value = fields.integer(key, min, std::numeric_limits<int>::max());
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

/// Reads one file into an `AgentStatus`.
class Reader {
public:
    explicit Reader(text::JsonReading& json)
        : object_(json.object), top_(&json.object, status_.warnings)
    {
        status_.warnings = std::move(json.warnings);
    }

    AgentStatus read()
    {
        status_.structured = top_.is_string("version") && top_.string("version") == "1.0";
        read_ids();
        status_.started_at = top_.time("started_at");
        status_.completed_at = top_.time("completed_at");
        read_error();
        if (status_.structured) read_progress();
        read_results();
        read_own_fields();
        read_word();
        if (status_.status == ReportedStatus::failed) complete_error();
        return std::move(status_);
    }

    /// The status word of the file.
    const std::string& word() const { return word_; }

private:
    void read_ids()
    {
        status_.workflow_id = top_.string("workflow_id");
        status_.step_id = top_.string("step_id");
        if (!status_.structured) return;
        const auto metadata = top_.object("metadata");
        if (auto id = metadata.string("workflow_id")) status_.workflow_id = std::move(id);
        if (auto id = metadata.string("step_id")) status_.step_id = std::move(id);
        status_.command = metadata.string("command");
    }

    /// Either form in either version: the meaning is clear.
    void read_error()
    {
        if (top_.is_string("error")) {
            status_.error.emplace().message = *top_.string("error");
            if (status_.error->message.empty()) status_.error.reset();
        } else {
            status_.error = error_in("error");
        }
    }

    std::optional<CommandError> error_in(std::string_view key)
    {
        const auto fields = top_.object(key);
        CommandError error;
        error.message = fields.string("message").value_or("");
        error.code = fields.string("code").value_or("");
        error.retryable = fields.boolean("retryable");
        error.retry_count = small_integer(fields, "retry_count", 0).value_or(0);
        if (const auto wait = fields.number("retry_after_seconds");
            wait && *wait >= 0 && *wait < max_wait_seconds)
            error.retry_after = std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::duration<double>(*wait));
        return error == CommandError{} ? std::nullopt : std::optional(std::move(error));
    }

    void read_progress()
    {
        const auto fields = top_.object("progress");
        if (fields.empty()) return;
        Progress progress;
        progress.percentage = std::clamp(fields.number("percentage").value_or(0), 0.0, 100.0);
        progress.current_step = fields.string("current_step").value_or("");
        progress.message = fields.string("message").value_or("");
        status_.progress = std::move(progress);
    }

    void read_results()
    {
        status_.artifacts = artifacts(top_);
        status_.output = top_.string("output");
        if (!status_.structured) return;
        const auto partial = top_.object("partial_results");
        if (auto list = artifacts(partial); !list.empty()) status_.artifacts = std::move(list);
        if (auto text = partial.string("output"); text && !text->empty())
            status_.output = std::move(text);
    }

    static std::vector<std::string> artifacts(const text::Fields& fields)
    {
        auto list = fields.is_string("artifacts") ? std::vector{*fields.string("artifacts")}
                                                  : fields.strings("artifacts");
        std::erase(list, "");
        return list;
    }

    void read_own_fields()
    {
        status_.execution_id = top_.string("execution_id").value_or("");
        status_.attempt_id = top_.string("attempt_id").value_or("");
        status_.agent_id = top_.string("agent_id");
        status_.agent = top_.string("agent");
        status_.attempt = small_integer(top_, "attempt", 1).value_or(0);
        status_.pid = top_.integer("pid", 1);
        status_.sequence = top_.integer("sequence", 0);
        status_.exit_code = small_integer(top_, "exit_code", std::numeric_limits<int>::min());
        status_.signal = small_integer(top_, "signal", 1);
        status_.output_truncated = top_.boolean("output_truncated").value_or(false);
        status_.session = top_.string("session");
        status_.permission_denied = top_.string("permission_denied");
        status_.tree_unchanged = top_.boolean("tree_unchanged").value_or(false);
        status_.cause = error_in("cause");
        status_.usage = parse_usage(top_.object("usage"));
        status_.prompts_taken = top_.integer("prompts_taken", 0);
        status_.waiting_for = question_in(object_, "waiting_for", status_.warnings);
        read_outcome();
    }

    void read_outcome()
    {
        static constexpr std::array known{"completed", "failed", "cancelled", "timeout"};
        status_.outcome = top_.string("outcome");
        if (!status_.outcome || std::ranges::count(known, *status_.outcome)) return;
        warn(fmt::format("The outcome “{}” is unknown.", shortened(*status_.outcome)));
        status_.outcome.reset();
    }

    void read_word()
    {
        const auto word = top_.string("status");
        status_.status = ReportedStatus::running;
        if (!word) {
            warn("The file has no status; `running` is assumed.");
            return;
        }
        word_ = *word;
        const auto found = std::ranges::find(known_words, lower(*word), &Word::word);
        if (found == std::end(known_words)) {
            warn(
                fmt::format("The status “{}” is unknown; `running` is assumed.", shortened(*word)));
            return;
        }
        status_.status = found->status;
        code_ = found->code;
        const bool denied = top_.boolean("success") == false;
        if (!denied || status_.status != ReportedStatus::completed) return;
        status_.status = ReportedStatus::failed;
        reason_ = "The agent reported completion without success.";
    }

    /// A failure always has a message, and a code where the file implies one.
    void complete_error()
    {
        auto& error = status_.error ? *status_.error : status_.error.emplace();
        if (error.code.empty()) error.code = code_;
        const bool stopped = status_.outcome == "cancelled" || status_.outcome == "timeout";
        if (error.code.empty() && stopped) error.code = *status_.outcome;
        if (error.message.empty()) error.message = reason_;
    }

    void warn(std::string sentence) { status_.warnings.push_back(std::move(sentence)); }

    const json::object& object_;
    AgentStatus status_;
    text::Fields top_;
    std::string word_;
    std::string code_;
    std::string reason_ = "Unknown error";  // as readers of the first version report
};

/// Text may be repaired; ids and fields that decide the outcome must be exact.
std::string_view damaged_key(const AgentStatus& status, const std::string& word)
{
    const std::pair<std::string_view, std::string> exact[] = {
        {"status", word},
        {"execution_id", status.execution_id},
        {"attempt_id", status.attempt_id},
        {"workflow_id", status.workflow_id.value_or("")},
        {"step_id", status.step_id.value_or("")},
        {"agent_id", status.agent_id.value_or("")}};
    const auto* const found = std::ranges::find_if(exact, [](const auto& field) {
        return field.second.find(replacement) != field.second.npos;
    });
    return found == std::end(exact) ? std::string_view() : found->first;
}

void put(json::object& out, std::string_view key, const std::optional<std::string>& value)
{
    if (value && !value->empty()) out[key] = *value;
}

void put(json::object& out, std::string_view key, const std::string& value)
{
    if (!value.empty()) out[key] = value;
}

template <class Integer>
void put(json::object& out, std::string_view key, const std::optional<Integer>& value)
{
    if (value) out[key] = *value;
}

json::object to_object(const Progress& progress)
{
    json::object out;
    const auto percentage = std::clamp(progress.percentage, 0.0, 100.0);
    const bool whole = std::trunc(percentage) == percentage;
    out["percentage"] = whole ? json::value(static_cast<int>(percentage)) : json::value(percentage);
    put(out, "current_step", progress.current_step);
    put(out, "message", progress.message);
    return out;
}

json::object to_object(const CommandError& error)
{
    json::object out{{"message", error.message}};
    put(out, "code", error.code);
    put(out, "retryable", error.retryable);
    if (error.retry_count != 0) out["retry_count"] = error.retry_count;
    if (error.retry_after)
        out["retry_after_seconds"] = std::chrono::duration<double>(*error.retry_after).count();
    return out;
}

json::object metadata(const AgentStatus& status)
{
    json::object out;
    put(out, "workflow_id", status.workflow_id);
    put(out, "step_id", status.step_id);
    put(out, "command", status.command);
    return out;
}

/// After the fields of the first version, which readers know.
void put_own_fields(json::object& out, const AgentStatus& status)
{
    put(out, "execution_id", status.execution_id);
    if (status.attempt > 0) out["attempt"] = status.attempt;
    put(out, "attempt_id", status.attempt_id);
    put(out, "agent_id", status.agent_id);
    put(out, "agent", status.agent);
    put(out, "pid", status.pid);
    put(out, "sequence", status.sequence);
    put(out, "outcome", status.outcome);
    put(out, "exit_code", status.exit_code);
    put(out, "signal", status.signal);
    if (status.output_truncated) out["output_truncated"] = true;
    put(out, "session", status.session);
    put(out, "permission_denied", status.permission_denied);
    if (status.tree_unchanged) out["tree_unchanged"] = true;
    if (status.cause) out["cause"] = to_object(*status.cause);
    if (status.usage) out["usage"] = format_usage(*status.usage);
    put(out, "prompts_taken", status.prompts_taken);
    if (status.waiting_for) out["waiting_for"] = to_json(*status.waiting_for);
}

}  // namespace

StatusReading parse_status(std::string_view text)
{
    StatusReading out;
    auto json = text::read_json_object(text);
    if (json.kind == text::JsonReading::Kind::incomplete) return out;
    out.kind = StatusReading::Kind::malformed;
    out.problem = std::move(json.problem);
    if (json.kind == text::JsonReading::Kind::malformed) return out;
    Reader reader(json);
    out.status = reader.read();
    if (const auto key = json.repaired ? damaged_key(out.status, reader.word()) : "";
        !key.empty()) {
        out.problem = fmt::format("`{}` contains text that is not UTF-8.", key);
        return out;
    }
    out.kind = StatusReading::Kind::valid;
    return out;
}

std::string format_status(const AgentStatus& status)
{
    json::object out{{"version", "1.0"}, {"status", to_string(status.status)}};
    put(out, "started_at", text::iso_utc(status.started_at));
    put(out, "completed_at", text::iso_utc(status.completed_at));
    if (status.progress) out["progress"] = to_object(*status.progress);
    if (status.error) out["error"] = to_object(*status.error);
    if (!status.artifacts.empty()) out["artifacts"] = text::array_of(status.artifacts);
    put(out, "output", status.output);
    if (auto ids = metadata(status); !ids.empty()) out["metadata"] = std::move(ids);
    put_own_fields(out, status);
    return text::dump_indented(out);
}

}  // namespace autoexec::protocol
