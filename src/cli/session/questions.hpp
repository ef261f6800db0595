#pragma once

#include "autoexec/question.hpp"
#include "protocol/question_format.hpp"
#include "protocol/running_files.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::cli {

/// The record of the running execution or attempt that is called so. Fails if it is not exactly
/// one.
protocol::RunningRecord find_running(const std::filesystem::path& root, const std::string& id);

/// The record of that attempt; nullopt if its executor does not live.
std::optional<protocol::RunningRecord> find_attempt(const std::filesystem::path& root,
                                                    const std::string& attempt_id);

/// True while the attempt waits for an answer to that question.
bool still_waits(const std::filesystem::path& root, const std::string& attempt_id,
                 const std::string& question_id);

/// Passes on what a person answers or says, once its executor has read what came before. Fails if
/// that takes more than 5 s, or if the question has ended meanwhile.
void send_to_executor(const std::filesystem::path& root, const protocol::AnswerFile& file);

/// A text in one line, for a list.
std::string line_of(std::string_view text);

/// Its text.
std::string line_of(const Question& question);

/// `waits for an answer: TEXT; autoexec answer ID`
std::string waiting_sentence(const Question& question, std::string_view execution_id);

}  // namespace autoexec::cli
