#include "cli/session/questions.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <boost/algorithm/string/replace.hpp>

#include <fmt/format.h>

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
        fail(exit_usage, "{} '{}'; see autoexec status",
             entries.empty() ? "no execution matches" : "several executions match", id);
    return std::move(entries.front().record);
}

std::string line_of(const Question& question)
{
    constexpr std::size_t max_shown = 200;
    std::string line(text::head(question.text, max_shown));
    boost::algorithm::replace_all(line, "\n", "; ");
    return line + (question.text.size() > max_shown ? "…" : "");
}

std::string waiting_sentence(const Question& question, std::string_view execution_id)
{
    return fmt::format("waits for an answer: {}; autoexec answer {}", line_of(question),
                       short_id(execution_id));
}

}  // namespace autoexec::cli
