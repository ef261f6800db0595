#include "cli/session/questions.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <boost/algorithm/string/replace.hpp>

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>

namespace autoexec::cli {

protocol::RunningRecord find_running(const std::filesystem::path& root, const std::string& id)
{
    error_code problem;
    auto entries = records::list_running(root, &problem);
    if (problem) fail(exit_internal, "{}", records::unreadable_sentence(root, problem));
    std::erase_if(entries, [&](const auto& entry) {
        return !entry.alive || (!is_called(entry.record.execution_id, id) &&
                                !is_called(entry.record.attempt_id, id));
    });
    if (entries.size() != 1)
        fail(exit_usage, "{}; see autoexec status", unmatched(id, !entries.empty()));
    return std::move(entries.front().record);
}

std::optional<protocol::RunningRecord> find_attempt(const std::filesystem::path& root,
                                                    const std::string& attempt_id)
{
    for (auto& entry : records::list_running(root))
        if (entry.alive && entry.record.attempt_id == attempt_id) return std::move(entry.record);
    return std::nullopt;
}

bool still_waits(const std::filesystem::path& root, const std::string& attempt_id,
                 const std::string& question_id)
{
    const auto record = find_attempt(root, attempt_id);
    return record && record->waiting_for && record->waiting_for->id == question_id;
}

void send_to_executor(const std::filesystem::path& root, const protocol::AnswerFile& file)
{
    const auto text = protocol::format_answer(file);
    const auto& question = file.answer.question_id;
    for (int tries = 0; tries < 50; ++tries) {
        const auto ec = records::put_answer(root, file.attempt_id, text);
        if (!ec) return;
        if (ec != boost::system::errc::file_exists)
            fail(exit_internal, "cannot write the message to its executor: {}", ec.message());
        if (!question.empty() && !still_waits(root, file.attempt_id, question))
            fail(exit_usage, "the question has just ended; see autoexec status");
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
    fail(exit_internal,
         "its executor has not read the message before within 5 s; see autoexec status");
}

std::string line_of(std::string_view text)
{
    constexpr std::size_t max_shown = 200;
    std::string line(text::head(text, max_shown));
    boost::algorithm::replace_all(line, "\n", "; ");
    return line + (text.size() > max_shown ? "…" : "");
}

std::string line_of(const Question& question)
{
    return line_of(question.text);
}

std::string waiting_sentence(const Question& question, std::string_view execution_id)
{
    return fmt::format("waits for an answer: {}; autoexec answer {}", line_of(question),
                       short_id(execution_id));
}

}  // namespace autoexec::cli
