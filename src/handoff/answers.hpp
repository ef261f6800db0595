#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"

#include <filesystem>
#include <optional>
#include <string>

/// Answers for agents of other processes: `<git dir>/autoexec/answers/<attempt_id>`, which a
/// program that can write only in its worktree cannot create.
namespace autoexec::handoff {

/// Replaces the answer of the attempt. `not_supported`: outside git, there is no place for it.
error_code put_answer_file(const std::optional<std::filesystem::path>& git_dir,
                           const std::string& attempt_id, const std::string& text, unsigned mode);

/// Reads and removes it; empty: none.
std::string take_answer_file(const std::optional<std::filesystem::path>& git_dir,
                             const std::string& attempt_id, const files::Owners& owners);

/// Removes it, and the folder if it is empty.
void remove_answer_file(const std::optional<std::filesystem::path>& git_dir,
                        const std::string& attempt_id);

}  // namespace autoexec::handoff
