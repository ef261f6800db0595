#include "notify/notification.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::notify {
namespace {

constexpr std::size_t max_text = 300;
constexpr std::size_t max_part = 100;  // of a command, an error, a question

std::string title_of(const std::filesystem::path& project_root)
{
    return one_line("autoexec: " + project_root.filename().string(), max_part);
}

std::string_view word_of(ExecutionStatus status)
{
    return status == ExecutionStatus::timeout ? "timed out" : to_string(status);
}

// `g_strcompress` of notify-send reads backslashes, the desktop reads markup.
std::string escape(std::string_view text)
{
    std::string escaped;
    for (const char c : text) {
        if (c == '&')
            escaped += "&amp;";
        else if (c == '<')
            escaped += "&lt;";
        else if (c == '>')
            escaped += "&gt;";
        else if (c == '\\')
            escaped += "\\\\";
        else
            escaped += c;
    }
    return escaped;
}

}  // namespace

std::string_view to_string(Kind kind) noexcept
{
    static constexpr std::array<std::string_view, 5> words{"needs_input", "failed", "completed",
                                                           "run_ended", "budget"};
    return words[static_cast<std::size_t>(kind)];
}

bool is_wanted(const NotifyConfig& config, Kind kind) noexcept
{
    switch (kind) {
        case Kind::needs_input:
            return config.needs_input;
        case Kind::failed:
            return config.failed;
        case Kind::completed:
            return config.completed;
        case Kind::run_ended:
            return config.run_ended;
        case Kind::budget:
            break;
    }
    return config.budget;
}

std::string one_line(std::string_view text, std::size_t max_bytes)
{
    std::string begin(text::head(text, 4 * max_bytes));  // the text may be megabytes
    std::ranges::replace_if(
        begin, [](char c) { return c == '\n' || c == '\t'; }, ' ');
    auto line = text::printable(begin);
    if (line.size() <= max_bytes) return line;
    constexpr std::string_view cut = "…";
    return std::string(text::head(line, max_bytes - cut.size())).append(cut);
}

Notification notification_of(const ExecutionResult& result)
{
    Notification n;
    n.kind = result.status == ExecutionStatus::completed ? Kind::completed : Kind::failed;
    n.subject = result.execution_id;
    n.text = fmt::format("{} in {}: {}", word_of(result.status),
                         one_line(result.worktree.filename().string(), max_part),
                         one_line(result.command, max_part));
    if (result.error) n.text += ": " + one_line(result.error->message, max_part);
    n.text = one_line(n.text, max_text);
    n.message = to_json(result);
    return n;
}

Notification notification_of(const Event& question)
{
    Notification n;
    n.kind = Kind::needs_input;
    n.subject = fmt::format("{} {}", question.attempt_id, question.question->id);
    n.text = one_line(fmt::format("waits for an answer in {}: {}: {}",
                                  one_line(question.worktree.filename().string(), max_part),
                                  one_line(question.command, max_part),
                                  one_line(question.question->text, max_part)),
                      max_text);
    n.message = {{"event", to_string(question.type)},
                 {"execution_id", question.execution_id},
                 {"attempt_id", question.attempt_id},
                 {"command", question.command},
                 {"worktree", question.worktree.string()},
                 {"waiting_for", question.details.at("waiting_for")}};
    return n;
}

Notification notification_of_budget(std::string_view reason,
                                    std::chrono::system_clock::time_point now)
{
    Notification n;
    n.kind = Kind::budget;
    n.subject = "budget of " + text::utc_date(now);
    n.text = one_line(reason, max_text);
    n.message["reason"] = reason;
    return n;
}

std::string program_input(const Notification& notification,
                          const std::filesystem::path& project_root)
{
    auto message = notification.message;
    if (!message.contains("kind")) message["kind"] = to_string(notification.kind);
    message["text"] = notification.text;
    message["project"] = project_root.string();
    return text::dump_line(message) + "\n";
}

std::vector<std::string> desktop_call(std::string_view text,
                                      const std::filesystem::path& project_root)
{
    return {"notify-send", "--app-name=autoexec", "--", title_of(project_root), escape(text)};
}

std::string terminal_bytes(std::string_view text, std::string_view term)
{
    if (term.empty() || term == "dumb" || term == "linux") return "\a";
    // With a word first: a number would be a command of another protocol (`9;4`).
    return fmt::format("\a\x1b]9;autoexec: {}\a", text);
}

}  // namespace autoexec::notify
