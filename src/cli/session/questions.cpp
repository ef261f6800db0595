#include "cli/session/questions.hpp"

#include "cli/session/project.hpp"
#include "text/text.hpp"

#include <boost/algorithm/string/replace.hpp>

#include <fmt/format.h>

namespace autoexec::cli {

std::string line_of(const Question& question)
{
    constexpr std::size_t max_shown = 200;
    auto line = question.text.substr(0, max_shown);
    boost::algorithm::replace_all(line, "\n", "; ");
    return text::valid_utf8(line) + (question.text.size() > max_shown ? "…" : "");
}

std::string waiting_sentence(const Question& question, std::string_view execution_id)
{
    return fmt::format("waits for an answer: {}; autoexec answer {}", line_of(question),
                       short_id(execution_id));
}

}  // namespace autoexec::cli
