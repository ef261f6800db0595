#pragma once

#include "records/log_file.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

/// The folder and the names of journals.
namespace autoexec::workflow {

inline constexpr std::size_t journal_limit = 64 * 1024 * 1024;
inline constexpr std::string_view journal_suffix = ".jsonl";

records::Folder state_folder(const std::filesystem::path& project_root);

std::string journal_name(std::string_view run_id);

/// Whether an executor has locked the journal.
bool is_locked(int fd);

}  // namespace autoexec::workflow
