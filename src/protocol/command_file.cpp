#include "protocol/command_file.hpp"

#include "protocol/expected_artifacts.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;

constexpr std::string_view protocol_version = "1.2";

constexpr std::string_view instructions =
    "1. Run the command above in this worktree.\n2. When it starts, write the status file "
    "(.cursor-skill-status.json unless it was renamed): "
    R"({"version": "1.0", "status": "running"}, with the attempt_id of this file.)"
    "\n3. When it has ended, write the file again with the status completed or failed, the error "
    "{message, code, retryable} if any, the artifacts and the output.\n4. Always write to a "
    "temporary file and rename it, so that no reader sees a partial file.";

constexpr std::string_view note =
    "This file contains the exact command. Only its owner can read it, and it is removed when the "
    "attempt ends.";

void put_correlation(text::JsonText& out, const CommandFile& file)
{
    out.open("correlation");
    out.text_or_null("workflow_id", file.workflow_id);
    out.text_or_null("step_id", file.step_id);
    out.text("created_at", text::iso_utc(file.created_at));
    out.texts("expected_artifacts", file.expected_artifacts);
    out.close();
}

/// Fields that decide what is run must be exact; otherwise the file is rejected.
std::string objection(const CommandFile& file)
{
    if (file.command.empty()) return "`command` is missing or empty.";
    if (const auto flaw = command_flaw(file.command); !flaw.empty())
        return "`command` " + flaw + ".";
    for (const auto& word : file.argv)
        if (const auto flaw = command_flaw(word); !flaw.empty()) return "`argv` " + flaw + ".";
    if (!file.argv.empty() && file.argv.front().empty()) return "`argv` has no program.";
    for (const auto& [name, value] : file.env)
        if (const auto flaw = command_flaw(value); !flaw.empty()) return "`env` " + flaw + ".";
    if (!file.working_directory.empty() && !artifact_path(file.working_directory))
        return "`working_directory` is not a folder within the worktree.";
    if (!file.model.empty() && !is_model_name(file.model))
        return "`model` is not the name of a model.";
    if (!file.session.empty() && !is_session_id(file.session))
        return "`resume.session` is not the id of a session.";
    if (const auto flaw = command_flaw(file.failure); !flaw.empty())
        return "`resume.failure` " + flaw + ".";
    if (file.deadline_seconds && *file.deadline_seconds <= 0)
        return "`deadline_seconds` must be positive.";
    if (file.max_cost && *file.max_cost <= 0) return "`budget.max_cost_usd` must be positive.";
    return {};
}

/// A value that is not text makes the file invalid, as everywhere in it.
std::map<std::string, std::string> variables_in(const text::Fields& env, const json::object& file,
                                                std::vector<std::string>& complaints)
{
    std::map<std::string, std::string> variables;
    const auto* const object = file.if_contains("env");
    if (object == nullptr || !object->is_object()) return variables;  // `env` has complained
    for (const auto& [name, value] : object->get_object()) {
        if (!is_variable_name(name)) complaints.emplace_back("`env` has an invalid name.");
        if (auto text = env.string(name)) variables.emplace(name, *std::move(text));
    }
    return variables;
}

CommandFile read_command(const json::object& object, std::vector<std::string>& complaints)
{
    const text::Fields top(&object, complaints);
    const auto correlation = top.object("correlation");
    CommandFile file;
    file.command = top.string("command").value_or("");
    file.workflow_id = correlation.string("workflow_id");
    file.step_id = correlation.string("step_id");
    file.created_at = correlation.time("created_at");
    file.expected_artifacts = correlation.strings("expected_artifacts");
    file.worktree_path = top.string("worktree_path").value_or("");
    file.execution_id = top.string("execution_id").value_or("");
    file.attempt_id = top.string("attempt_id").value_or("");
    const auto attempt = top.integer("attempt", 1, std::numeric_limits<int>::max());
    file.attempt = static_cast<int>(attempt.value_or(0));
    file.agent = top.string("agent").value_or("");
    file.argv = top.strings("argv");
    file.env_refs = top.strings("env_refs");
    file.env = variables_in(top.object("env"), object, complaints);
    file.working_directory = top.string("working_directory").value_or("");
    file.model = top.string("model").value_or("");
    file.deadline_seconds = top.number("deadline_seconds");
    const auto budget = top.object("budget");
    file.max_cost = budget.number("max_cost_usd");
    file.max_tokens = budget.integer("max_tokens", 1, std::numeric_limits<std::int64_t>::max());
    const auto resume = top.object("resume");
    file.session = resume.string("session").value_or("");
    file.failure = resume.string("failure").value_or("");
    if (!top.string("protocol").value_or("1.").starts_with("1."))
        complaints.emplace_back("Its protocol version is newer than this program.");
    return file;
}

}  // namespace
}  // namespace autoexec::protocol

namespace autoexec::inline v1 {

CommandRequest::CommandRequest(std::vector<std::string> program,
                               std::filesystem::path worktree_path)
    : command(text::quote_words(program)),
      worktree(std::move(worktree_path)),
      argv(std::move(program))
{}

}  // namespace autoexec::inline v1

namespace autoexec::protocol {

std::string command_flaw(std::string_view text)
{
    if (text.find('\0') != text.npos) return "contains a NUL character";
    return text::valid_utf8(text) == text ? "" : "is not UTF-8";
}

bool is_session_id(std::string_view text)
{
    constexpr std::size_t max_size = 200;
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.' || c == ':';
    };
    return !text.empty() && text.size() <= max_size && text.front() != '-' &&
           std::all_of(text.begin(), text.end(), fits);
}

bool is_model_name(std::string_view text)
{
    constexpr std::size_t max_size = 200;
    const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 127; };
    return !text.empty() && text.size() <= max_size && text.front() != '-' &&
           text::valid_utf8(text) == text && std::ranges::none_of(text, is_control);
}

bool is_variable_name(std::string_view name)
{
    const auto fits = [](char c) { return text::is_letter_or_digit(c) || c == '_'; };
    return !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
           std::all_of(name.begin(), name.end(), fits);
}

bool is_blank_command(std::string_view command)
{
    return command.find_first_not_of(" \t\r\n\v\f") == command.npos;
}

std::string format_command(const CommandFile& file)
{
    text::JsonText out;
    out.text("command", file.command);
    put_correlation(out, file);
    out.text("worktree_path", file.worktree_path);
    out.text("instructions", instructions);
    out.text("note", note);
    out.text("protocol", protocol_version);
    const auto put = [&out](std::string_view key, const std::string& value) {
        if (!value.empty()) out.text(key, value);
    };
    put("execution_id", file.execution_id);
    if (file.attempt > 0) out.number("attempt", std::int64_t{file.attempt});
    put("attempt_id", file.attempt_id);
    put("agent", file.agent);
    if (!file.argv.empty()) out.texts("argv", file.argv);
    if (!file.env_refs.empty()) out.texts("env_refs", file.env_refs);
    if (!file.env.empty()) {
        out.open("env");
        for (const auto& [name, value] : file.env) out.text(name, value);
        out.close();
    }
    put("working_directory", file.working_directory);
    put("model", file.model);
    if (file.deadline_seconds) out.number("deadline_seconds", *file.deadline_seconds);
    if (file.max_cost || file.max_tokens) {
        out.open("budget");
        if (file.max_cost) out.number("max_cost_usd", *file.max_cost);
        if (file.max_tokens) out.number("max_tokens", *file.max_tokens);
        out.close();
    }
    if (!file.session.empty()) {
        out.open("resume");
        out.text("session", file.session);
        out.text("failure", file.failure);
        out.close();
    }
    return out.object();
}

std::string format_metadata(const CommandFile& file, std::string_view redacted_command)
{
    text::JsonText out;
    out.text("version", "1.0");
    out.text("type", "skill_command");
    out.text("command", redacted_command);
    put_correlation(out, file);
    out.open("workflow_context");
    out.text_or_null("workflow_id", file.workflow_id);
    out.text_or_null("step_id", file.step_id);
    out.texts("expected_artifacts", file.expected_artifacts);
    out.close();
    out.open("interaction_pattern");
    out.text("mode", "async");
    out.text("completion_detection", "status_file_and_artifacts");
    out.truth("progress_updates", true);
    out.text("error_handling", "retry_with_backoff");
    out.close();
    out.open("metadata");
    out.close();
    out.text("timestamp", text::iso_utc(file.created_at));
    if (redacted_command != file.command) out.truth("redaction_applied", true);
    return out.object();
}

std::optional<CommandFile> parse_command(std::string_view text, std::string& problem)
{
    if (text.size() > command_file_limit) {
        problem = fmt::format("It is larger than {} bytes.", command_file_limit);
        return std::nullopt;
    }
    auto json = text::read_json_object(text);
    if (json.kind != text::JsonReading::Kind::valid) {
        problem = std::move(json.problem);
        return std::nullopt;
    }
    auto complaints = std::move(json.warnings);
    if (json.repaired) complaints.emplace_back("It contains text that is not UTF-8.");
    auto file = read_command(json.object, complaints);
    if (auto sentence = objection(file); !sentence.empty())
        complaints.push_back(std::move(sentence));
    if (complaints.empty()) return file;
    problem = std::move(complaints.front());
    return std::nullopt;
}

std::string format_cancel(const CancelFile& file)
{
    return text::dump_indented({{"execution_id", file.execution_id},
                                {"attempt_id", file.attempt_id},
                                {"reason", file.reason},
                                {"requested_at", text::iso_utc(file.requested_at)}});
}

std::optional<CancelFile> parse_cancel(std::string_view text)
{
    const auto json = text::read_json_object(text);
    if (json.kind != text::JsonReading::Kind::valid || json.repaired) return std::nullopt;
    std::vector<std::string> complaints;
    const text::Fields top(&json.object, complaints);
    CancelFile file;
    file.execution_id = top.string("execution_id").value_or("");
    file.attempt_id = top.string("attempt_id").value_or("");
    file.reason = top.string("reason").value_or("cancelled");
    file.requested_at = top.time("requested_at");
    if (!complaints.empty() || file.attempt_id.empty()) return std::nullopt;
    return file;
}

}  // namespace autoexec::protocol
