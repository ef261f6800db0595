#pragma once

#include "autoexec/config.hpp"
#include "records/retention.hpp"

#include <filesystem>
#include <functional>

/// What `autoexec records gc` does.
namespace autoexec::cli {

struct RecordGcRules : records::RetentionLimits {
    bool dry_run = false;
};

/// The rules of the configuration.
RecordGcRules rules_of(const RecordsConfig& config);

using ReportRemoval = std::function<void(const records::StoredRecord&, const records::Removal&)>;

/// Removes records, and reports each that is removed or kept against the rules. Returns the exit
/// code.
int remove_old_records(const std::filesystem::path& root, const RecordGcRules& rules,
                       const ReportRemoval& report);

/// If configured (`records.auto_gc`), does the same, but looks at a bounded number of records, and
/// prints one line about it.
void remove_records_before_run(const std::filesystem::path& root, const RecordsConfig& config,
                               bool quiet);

}  // namespace autoexec::cli
