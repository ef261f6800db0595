#include "cli/records/record_removal.hpp"
#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "text/json.hpp"

#include <boost/json/object.hpp>

#include <cstdint>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_kept_records = 1'000'000;       // as the setting records.keep
constexpr std::size_t max_size = std::size_t{512} << 40;  // as records.max_bytes

struct RecordsGcOptions : CommonOptions {
    // Absent: as configured.
    std::optional<std::chrono::milliseconds> older_than;
    std::optional<std::uint64_t> max_bytes;
    std::optional<std::size_t> keep;
    bool dry_run = false;
};

RecordGcRules rules_for(const RecordsGcOptions& o, const RecordsConfig& config)
{
    auto rules = rules_of(config);
    rules.older_than = o.older_than.value_or(rules.older_than);
    rules.max_bytes = o.max_bytes.value_or(rules.max_bytes);
    rules.keep = o.keep.value_or(rules.keep);
    rules.dry_run = o.dry_run;
    return rules;
}

void print_removal(const RecordsGcOptions& o, const records::StoredRecord& record,
                   const records::Removal& removal)
{
    if (o.json)
        return print_json(
            boost::json::object{{"kind", to_string(record.kind)},
                                {"path", record.path()},
                                {"bytes", record.bytes},
                                {"changed_at", text::iso_utc(record.time)},
                                {"removed", !o.dry_run && removal.is_gone()},
                                {"problem", text::text_or_null(removal.kept_because)}});
    const auto path = text::printable(record.path());
    const auto reason = text::printable(removal.kept_because);
    if (removal.is_gone())
        print_result("{} {} ({} bytes)\n", o.dry_run ? "would remove" : "removed", path,
                     record.bytes);
    else if (o.dry_run)
        print_result("would keep {}: {}\n", path, reason);
    else
        print_message("kept {}: {}\n", path, reason);
}

int remove_records(const RecordsGcOptions& options)
{
    const auto root = project_root(options);
    AutoExecutionConfigManager manager({}, root);
    const auto rules = rules_for(options, load_configuration(manager, false).records);
    if (!rules.any())
        fail(exit_usage,
             "no limit; give --older-than, --max-bytes or --keep, or set one "
             "in "
             "the section 'records' of the configuration");
    if (!options.dry_run) require_reader();
    bool any = false;
    const int code = remove_old_records(root, rules, [&](const auto& record, const auto& removal) {
        any = true;
        print_removal(options, record, removal);
    });
    if (!any && !options.json) print_message("Nothing to remove.\n");
    return code;
}

void define_records_gc(CLI::App& app, RecordsGcOptions& o)
{
    add_common(app, o);
    app.add_flag("--dry-run", o.dry_run, "Show what would be removed and what would be kept");
    add_duration(app, "--older-than", o.older_than, "Remove records that are at least TIME old",
                 true);
    add_count(
        app, "--max-bytes,--max-size", max_size, [&o](std::size_t n) { o.max_bytes = n; },
        "Remove the oldest records until at most BYTES are left")
        ->type_name("BYTES");
    add_count(
        app, "--keep", max_kept_records, [&o](std::size_t n) { o.keep = n; },
        "Keep at most the newest N of each kind");
    app.footer(
        "Removes daily metrics, backups of the audit log, outputs, journals and markers of ended\n"
        "runs, and backups of the debug log. Keeps what changed in the last 24 hours, what "
        "belongs\n"
        "to a running command or an unfinished run, and journals of runs that have a worktree.\n"
        "Defaults come from the section 'records' of the configuration; 0: no limit.");
}

}  // namespace

extern const Subcommand records_gc_subcommand =
    subcommand("records gc", "Remove old records", define_records_gc, remove_records);

}  // namespace autoexec::cli
