#pragma once

#include "autoexec/question.hpp"

#include <string>
#include <string_view>

namespace autoexec::cli {

/// Its text in one line, for a list.
std::string line_of(const Question& question);

/// `waits for an answer: TEXT; autoexec answer ID`
std::string waiting_sentence(const Question& question, std::string_view execution_id);

}  // namespace autoexec::cli
