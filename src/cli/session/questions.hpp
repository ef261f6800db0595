#pragma once

#include "autoexec/question.hpp"
#include "protocol/running_files.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace autoexec::cli {

/// The record of the running execution or attempt that is called so. Fails if it is not exactly
/// one.
protocol::RunningRecord find_running(const std::filesystem::path& root, const std::string& id);

/// Its text in one line, for a list.
std::string line_of(const Question& question);

/// `waits for an answer: TEXT; autoexec answer ID`
std::string waiting_sentence(const Question& question, std::string_view execution_id);

}  // namespace autoexec::cli
