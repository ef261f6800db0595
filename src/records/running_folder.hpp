#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"
#include "records/log_file.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

/// What is in `running/`, for those who read and write it.
namespace autoexec::records {

inline constexpr std::size_t max_listed_records = 1'000'000;

Folder running_folder(const std::filesystem::path& project_root);

/// A missing folder is not a problem.
files::UniqueFd open_running(const std::filesystem::path& project_root,
                             error_code* problem = nullptr);

/// The folder of the executors' locks, for `probe_executor`. A missing one is not a problem.
files::UniqueFd open_engines(const std::filesystem::path& project_root,
                             error_code* problem = nullptr);

/// The name of a note that another attempt follows: see `RunningRecords::announce_retry`. Its
/// content is the record of the attempt before.
std::string retry_name(const std::string& attempt_id);
bool is_retry_name(const std::string& name);

/// Whether it may be the record of an attempt.
bool is_record_name(const std::string& name);

/// Whether a folder in `running/` may have the records of an executor.
bool is_executor_name(const std::string& name);

/// Why a file is not the record of an attempt; empty if it is one.
std::string flaw_of(const std::string& name, const std::optional<protocol::RunningRecord>& record);

}  // namespace autoexec::records
