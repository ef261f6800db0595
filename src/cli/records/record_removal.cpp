#include "cli/records/record_removal.hpp"

#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "text/text.hpp"
#include "workflow/journal/run_retention.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

namespace autoexec::cli {
namespace {

using records::Removal;
using records::StoredRecord;

constexpr auto no_bound = std::numeric_limits<std::size_t>::max();

/// Of one pass.
struct GcBounds {
    std::size_t max_names = no_bound;  ///< Read of each folder.
    std::size_t max_removals = no_bound;
    std::size_t max_kept = no_bound;  ///< Records that must be kept: each may take as long.
};

Removal remove_record(const std::filesystem::path& root, const StoredRecord& record)
{
    return record.kind == records::RecordKind::run ? workflow::remove_run(root, record)
                                                   : records::remove_stored(root, record);
}

/// What `remove_record` would do with one record after the other.
class DryRun {
public:
    explicit DryRun(const std::filesystem::path& root) : root_(root) {}

    Removal check(const StoredRecord& record)
    {
        if (record.kind == records::RecordKind::run)
            return {workflow::run_removal_blocker(root_, record), false};
        auto removal =
            records::check_stored(root_, record, gone_.contains({record.kind, record.backup + 1}));
        if (record.backup > 0 && removal.is_gone()) gone_.emplace(record.kind, record.backup);
        return removal;
    }

private:
    const std::filesystem::path& root_;
    std::set<std::pair<records::RecordKind, int>> gone_;  ///< Backups.
};

int remove_within(const std::filesystem::path& root, const RecordGcRules& rules,
                  const GcBounds& bounds, const ReportRemoval& report)
{
    auto all = records::list_stored(root, bounds.max_names);
    std::ranges::move(workflow::list_journals(root, bounds.max_names), std::back_inserter(all));
    bool has_failed = false;
    DryRun dry_run(root);
    auto removals_left = bounds.max_removals;
    auto kept_left = bounds.max_kept;
    records::apply_limits(
        std::move(all), rules, std::chrono::system_clock::now(), [&](const StoredRecord& record) {
            if (removals_left == 0 || kept_left == 0) return false;
            const auto removal =
                rules.dry_run ? dry_run.check(record) : remove_record(root, record);
            --(removal.is_gone() ? removals_left : kept_left);
            has_failed |= removal.failed;
            report(record, removal);
            return removal.is_gone();
        });
    return has_failed ? exit_internal : exit_completed;
}

}  // namespace

RecordGcRules rules_of(const RecordsConfig& config)
{
    RecordGcRules rules;
    rules.older_than = text::parse_duration(config.older_than).value_or(rules.older_than);
    rules.max_bytes = config.max_bytes;
    rules.keep = config.keep;
    return rules;
}

int remove_old_records(const std::filesystem::path& root, const RecordGcRules& rules,
                       const ReportRemoval& report)
{
    return remove_within(root, rules, {}, report);
}

void remove_records_before_run(const std::filesystem::path& root, const RecordsConfig& config,
                               bool quiet)
{
    const auto rules = rules_of(config);
    if (!config.auto_gc || !rules.any()) return;
    constexpr GcBounds bounds{100'000, 1000, 5000};
    std::size_t removed = 0;
    std::uint64_t bytes = 0;
    std::size_t failed = 0;
    (void)remove_within(root, rules, bounds,
                        [&](const StoredRecord& record, const Removal& removal) {
                            failed += removal.failed ? 1 : 0;
                            if (!removal.is_gone()) return;
                            ++removed;
                            bytes += record.bytes;
                        });
    if (quiet || removed + failed == 0) return;
    auto text = fmt::format("Removed {} ({:.1f} MB)", text::counted(removed, "old record"),
                            static_cast<double>(bytes) / 1e6);
    if (failed > 0)
        text += fmt::format("; {} could not be removed (for the reasons, run autoexec records gc)",
                            failed);
    print_message("{}.\n", text);
}

}  // namespace autoexec::cli
