#include "protocol/queue_file.hpp"

#include "protocol/command_file.hpp"
#include "protocol/usage.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr std::string_view queue_version = "1.0";
constexpr int max_queued_retries = 1000;  // as of `autoexec run`
constexpr std::int64_t max_queued_timeout = std::int64_t{366} * 24 * 3600 * 1000;

/// A file of the queue: an object with a version that is known.
struct QueueDocument {
    explicit QueueDocument(std::string_view text)
        : reading(text::read_json_object(text)),
          fields(reading.kind == text::JsonReading::Kind::valid ? &reading.object : nullptr,
                 complaints)
    {
        if (reading.kind != text::JsonReading::Kind::valid) complaints.push_back(reading.problem);
        if (reading.repaired) complaints.emplace_back("It contains text that is not UTF-8.");
        for (auto& warning : reading.warnings) complaints.push_back(warning);
        const auto version = fields.string("version").value_or("");
        if (complaints.empty() && !version.starts_with("1."))
            complaints.push_back(
                fmt::format("Its version '{}' is unknown to this program, which knows {}; use the "
                            "autoexec that wrote it, or a newer one.",
                            text::printable(version), queue_version));
    }

    [[nodiscard]] std::string text(std::string_view key) const
    {
        return fields.string(key).value_or("");
    }

    std::vector<std::string> complaints;
    text::JsonReading reading;
    text::Fields fields;
};

json::object format_request(const QueuedRequest& queued)
{
    const auto& r = queued.request;
    json::object out{{"command", r.command}};
    if (!r.argv.empty()) out["argv"] = text::array_of(r.argv);
    if (const auto& tree = queued.new_worktree)
        out["new_worktree"] = {
            {"name", tree->name}, {"commit", tree->commit}, {"creating", tree->creating}};
    else
        out["worktree"] = r.worktree.string();
    if (!queued.created_worktree.empty()) out["created_worktree"] = queued.created_worktree;
    if (r.timeout) out["timeout_ms"] = r.timeout->count();
    if (!r.expected_artifacts.empty()) out["expect"] = text::array_of(r.expected_artifacts);
    if (r.max_attempts) out["retry"] = *r.max_attempts - 1;
    out["idempotent"] = r.idempotent;
    out["agent"] = text::text_or_null(r.agent);
    if (!r.fallback.empty()) out["fallback"] = text::array_of(r.fallback);
    if (!r.env_refs.empty()) out["env"] = text::array_of(r.env_refs);
    if (r.max_cost > 0) out["max_cost"] = r.max_cost;
    if (r.max_tokens > 0) out["max_tokens"] = r.max_tokens;
    out["workflow_id"] = text::or_null(r.workflow_id);
    out["step_id"] = text::or_null(r.step_id);
    if (const auto& session = r.resumed_session)
        out["resume"] = {{"session", session->id},
                         {"failure", session->failure},
                         {"usage", usage_or_null(session->usage)}};
    return out;
}

std::optional<ResumedSession> read_session(const text::Fields& command)
{
    const auto in = command.object("resume");
    if (in.empty()) return std::nullopt;
    return ResumedSession{in.string("session").value_or(""), in.string("failure").value_or(""),
                          parse_usage(in.object("usage"))};
}

std::optional<QueuedTree> read_tree(const text::Fields& command)
{
    const auto in = command.object("new_worktree");
    if (in.empty()) return std::nullopt;
    return QueuedTree{in.string("name").value_or(""), in.string("commit").value_or(""),
                      in.boolean("creating").value_or(false)};
}

QueuedRequest read_request(const QueueDocument& in)
{
    const auto command = in.fields.object("command");
    CommandRequest r(command.string("command").value_or(""),
                     std::filesystem::path(command.string("worktree").value_or("")));
    r.execution_id = in.text("id");
    r.argv = command.strings("argv");
    if (const auto timeout = command.integer("timeout_ms", 1, max_queued_timeout))
        r.timeout = milliseconds(*timeout);
    r.expected_artifacts = command.strings("expect");
    r.require_artifacts = !r.expected_artifacts.empty();
    if (const auto retries = command.integer("retry", 0, max_queued_retries))
        r.max_attempts = static_cast<int>(*retries) + 1;
    r.idempotent = command.boolean("idempotent").value_or(false);
    r.agent = command.string("agent").value_or("");
    r.fallback = command.strings("fallback");
    r.env_refs = command.strings("env");
    r.max_cost = command.number("max_cost").value_or(0);
    r.max_tokens =
        command.integer("max_tokens", 0, std::numeric_limits<std::int64_t>::max()).value_or(0);
    r.workflow_id = command.string("workflow_id");
    r.step_id = command.string("step_id");
    r.resumed_session = read_session(command);
    r.priority =
        static_cast<int>(in.fields.integer("priority", -max_priority, max_priority).value_or(0));
    QueuedRequest queued(std::move(r));
    queued.new_worktree = read_tree(command);
    queued.created_worktree = command.string("created_worktree").value_or("");
    queued.submitted_at = in.fields.time("submitted_at");
    queued.directory = in.text("directory");
    queued.owner = in.text("owner");
    queued.rerun_of = in.text("rerun_of");
    return queued;
}

bool has_nul(std::string_view text)
{
    return text.find('\0') != text.npos;
}

std::string flaw_of_place(const QueuedRequest& queued)
{
    const auto& tree = queued.new_worktree;
    const auto& worktree = queued.request.worktree;
    if (tree && (tree->name.empty() || tree->commit.empty() || !worktree.empty()))
        return "`new_worktree` needs a name and a commit, and excludes `worktree`.";
    if (tree && (has_nul(tree->name) || has_nul(tree->commit) || tree->commit.front() == '-'))
        return "`new_worktree` is not a name and a commit.";
    if (has_nul(queued.created_worktree) || (tree && !queued.created_worktree.empty()))
        return "`created_worktree` is not the name of a worktree.";
    if (!tree && (!worktree.is_absolute() || has_nul(worktree.native())))
        return "`worktree` is not an absolute path.";
    return {};
}

std::string flaw_of_request(const QueuedRequest& queued)
{
    const auto& r = queued.request;
    if (!is_queue_id(r.execution_id)) return "`id` is not a UUID in lower case.";
    if (is_blank_command(r.command)) return "`command` is missing or blank.";
    if (const auto flaw = command_flaw(r.command); !flaw.empty()) return "`command` " + flaw + ".";
    if (!r.argv.empty() && r.argv.front().empty()) return "`argv` has no program.";
    for (const auto& word : r.argv)
        if (const auto flaw = command_flaw(word); !flaw.empty()) return "`argv` " + flaw + ".";
    for (const auto& name : r.env_refs)
        if (name.empty() || has_nul(name) || name.find('=') != name.npos)
            return "`env` must have names of variables.";
    if (!(r.max_cost >= 0)) return "`max_cost` must not be negative.";
    if (r.resumed_session && !is_session_id(r.resumed_session->id))
        return "`resume.session` is not the id of a session.";
    return flaw_of_place(queued);
}

}  // namespace

bool is_queue_id(std::string_view text)
{
    constexpr std::size_t size_of_uuid = 36;
    if (text.size() != size_of_uuid) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = text[i];
        const bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (is_dash ? c != '-' : !is_digit) return false;
    }
    return true;
}

json::object json_of_request(const QueuedRequest& queued)
{
    json::object out{{"version", queue_version},
                     {"id", queued.id()},
                     {"submitted_at", text::iso_utc(queued.submitted_at)},
                     {"priority", queued.request.priority},
                     {"directory", queued.directory}};
    if (!queued.owner.empty()) out["owner"] = queued.owner;
    if (!queued.rerun_of.empty()) out["rerun_of"] = queued.rerun_of;
    out["command"] = format_request(queued);
    return out;
}

std::string format_queued(const QueuedRequest& queued)
{
    return text::dump_indented(json_of_request(queued));
}

std::optional<QueuedRequest> parse_queued(std::string_view text, std::string& problem)
{
    QueueDocument in(text);
    if (in.complaints.empty()) {
        auto queued = read_request(in);
        if (auto flaw = flaw_of_request(queued); !flaw.empty())
            in.complaints.push_back(std::move(flaw));
        if (in.complaints.empty()) return queued;
    }
    problem = std::move(in.complaints.front());
    return std::nullopt;
}

std::string format_queued_result(const QueuedResult& result)
{
    json::object out{{"version", queue_version},
                     {"id", result.id},
                     {"ended_at", text::iso_utc(result.ended_at)},
                     {"internal_error", result.internal_error},
                     {"reported_at", text::text_or_null(text::iso_utc(result.reported_at))},
                     {"result", result.result}};
    if (!result.request.empty()) out["request"] = result.request;
    return text::dump_indented(out);
}

std::optional<QueuedResult> parse_queued_result(std::string_view text, std::string& problem)
{
    QueueDocument in(text);
    const auto* const result = in.reading.object.if_contains("result");
    QueuedResult read;
    read.id = in.text("id");
    read.ended_at = in.fields.time("ended_at");
    read.internal_error = in.fields.boolean("internal_error").value_or(false);
    read.reported_at = in.fields.time("reported_at");
    if (in.complaints.empty() &&
        (!is_queue_id(read.id) || result == nullptr || !result->is_object()))
        in.complaints.emplace_back("It is not the result of a queued command.");
    if (!in.complaints.empty()) {
        problem = std::move(in.complaints.front());
        return std::nullopt;
    }
    read.result = result->get_object();
    const auto* const request = in.reading.object.if_contains("request");
    if (request != nullptr && request->is_object()) read.request = request->get_object();
    return read;
}

std::optional<QueuedRequest> request_in(const QueuedResult& result, std::string& problem)
{
    if (!result.request.empty()) return parse_queued(text::dump_line(result.request), problem);
    problem = "Its request was not kept.";
    return std::nullopt;
}

std::string format_queue_engine(const QueueEngineFile& engine)
{
    return text::dump_indented({{"pid", engine.pid},
                                {"host", engine.host},
                                {"version", engine.version},
                                {"started_at", text::iso_utc(engine.started_at)},
                                {"variables", text::array_of(engine.variables)},
                                {"log", text::text_or_null(engine.log)}});
}

std::optional<QueueEngineFile> parse_queue_engine(std::string_view text)
{
    const auto reading = text::read_json_object(text);
    if (reading.kind != text::JsonReading::Kind::valid) return std::nullopt;
    std::vector<std::string> ignored;
    const text::Fields in(&reading.object, ignored);
    QueueEngineFile engine;
    engine.pid = in.integer("pid").value_or(0);
    engine.host = in.string("host").value_or("");
    engine.version = in.string("version").value_or("");
    engine.started_at = in.time("started_at");
    engine.variables = in.strings("variables");
    engine.log = in.string("log").value_or("");
    return engine;
}

}  // namespace autoexec::protocol
