#include "records/retention.hpp"

#include "files/file_lock.hpp"
#include "files/safe_files.hpp"
#include "protocol/layout.hpp"
#include "records/debug_log.hpp"
#include "records/log_file.hpp"
#include "records/queries.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <map>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

namespace autoexec::records {
namespace {

using std::chrono::system_clock;
namespace fs = std::filesystem;

constexpr std::string_view output_suffix = ".log";

const char* folder_name(RecordKind kind)
{
    switch (kind) {
        case RecordKind::executions:
        case RecordKind::attempts:
            return layout::metrics;
        case RecordKind::audit:
            return layout::audit;
        case RecordKind::output:
            return layout::output;
        case RecordKind::log:
            return layout::logs;
        case RecordKind::run:
            break;
    }
    return layout::journals;
}

std::string log_of(RecordKind kind, const fs::path& root)
{
    return kind == RecordKind::audit ? std::string(audit_log_name)
                                     : debug_log_path(root).filename().string();
}

system_clock::time_point time_of(const struct stat& st)
{
    const auto since =
        std::chrono::seconds(st.st_mtim.tv_sec) + std::chrono::nanoseconds(st.st_mtim.tv_nsec);
    return system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(since));
}

bool is_same(const StoredRecord& record, const struct stat& st)
{
    return S_ISREG(st.st_mode) && st.st_dev == record.device && st.st_ino == record.inode;
}

// Only its own day appends to a daily file: its name is a better time than that of a copied file.
bool is_daily(MetricsFile file, StoredRecord& record)
{
    constexpr std::size_t date_size = 10;
    constexpr std::string_view suffix = ".jsonl";
    const std::string_view name = record.name;
    if (name.size() < date_size + suffix.size()) return false;
    const auto date = name.substr(name.size() - date_size - suffix.size(), date_size);
    if (metrics_file_name(file, date) != name) return false;
    const auto begin = text::parse_iso(std::string(date) + "T00:00:00Z");
    if (begin) record.time = *begin + std::chrono::hours(24);
    return begin.has_value();
}

bool is_backup(const std::string& log, StoredRecord& record)
{
    if (!record.name.starts_with(log + ".")) return false;
    const auto digits = std::string_view(record.name).substr(log.size() + 1);
    const auto* const end = digits.data() + digits.size();
    const auto [stop, ec] = std::from_chars(digits.data(), end, record.backup);
    return ec == std::errc{} && stop == end && record.backup > 0 &&
           log + "." + std::to_string(record.backup) == record.name;
}

// A backup has been written before all that have lower numbers, whatever its time says.
void order_backups(std::vector<StoredRecord>& rotated)
{
    std::ranges::sort(rotated, {}, &StoredRecord::backup);
    for (std::size_t i = 1; i < rotated.size(); ++i)
        rotated[i].time = std::min(rotated[i].time, rotated[i - 1].time);
}

void list_backups(const fs::path& root, RecordKind kind, std::size_t max_names,
                  std::vector<StoredRecord>& stored)
{
    std::vector<StoredRecord> rotated;
    const auto log = log_of(kind, root);
    list_files(
        root, kind, max_names, [&](StoredRecord& record) { return is_backup(log, record); },
        rotated);
    order_backups(rotated);
    std::ranges::move(rotated, std::back_inserter(stored));
}

// The running records are read last: one exists before its output does.
void list_outputs(const fs::path& root, std::size_t max_names, std::vector<StoredRecord>& stored)
{
    std::vector<StoredRecord> outputs;
    list_files(
        root, RecordKind::output, max_names,
        [](StoredRecord& record) { return record.name.ends_with(output_suffix); }, outputs);
    std::set<std::string> in_flight;
    error_code problem;
    for (const auto& entry : list_running(root, &problem))
        in_flight.insert(text::file_name_of(entry.record.attempt_id).append(output_suffix));
    if (problem) return;
    std::ranges::copy_if(outputs, std::back_inserter(stored),
                         [&](const auto& record) { return !in_flight.contains(record.name); });
}

/// Locks a log against writers and rotations while it is open.
files::UniqueFd lock_log(int folder, const std::string& name, error_code& ec)
{
    constexpr int lock_tries = 50;
    constexpr std::chrono::milliseconds lock_pause{5};
    for (int tries = 0; tries < lock_tries; ++tries) {
        auto file = Folder::open_log(folder, name, ec);
        if (!file) return {};
        if (!files::lock_if_at(folder, name, file.get())) return file;
        std::this_thread::sleep_for(lock_pause);
    }
    return {};
}

// Under the lock, no rotation renames a backup. The newest lines, which the chain continues from,
// must be in the log itself, and the numbers must not have a gap.
std::string backup_blocker(int folder, const StoredRecord& record, const std::string& log,
                           int open_log, bool older_is_gone)
{
    struct stat st {};
    if (::fstat(open_log, &st) == 0 && st.st_size == 0) return log + " is empty";
    if (older_is_gone) return {};
    const auto older = log + "." + std::to_string(record.backup + 1);
    if (::fstatat(folder, older.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
        return "an older backup is kept";
    return {};
}

Removal without_log(const std::string& log, error_code ec)
{
    if (ec == boost::system::errc::no_such_file_or_directory) return {log + " is missing", false};
    return Removal::error(ec);
}

Removal lock_for_removal(int folder, const StoredRecord& record, const fs::path& root,
                         files::UniqueFd& locked)
{
    const bool is_rotated = record.backup > 0;
    const auto log = is_rotated ? log_of(record.kind, root) : record.name;
    error_code ec;
    locked = lock_log(folder, log, ec);
    if (!locked && !ec) return {"another process writes " + log, false};
    if (!locked && !is_rotated && ec == boost::system::errc::no_such_file_or_directory) return {};
    if (!locked) return without_log(log, ec);
    if (is_rotated) return {backup_blocker(folder, record, log, locked.get(), false), false};
    return {};
}

}  // namespace

std::string_view to_string(RecordKind kind) noexcept
{
    constexpr std::array<std::string_view, 6> names{"metrics", "metrics", "audit",
                                                    "output",  "log",     "run"};
    return names.at(static_cast<std::size_t>(kind));
}

void list_files(const fs::path& project_root, RecordKind kind, std::size_t max_names,
                const std::function<bool(StoredRecord&)>& visit, std::vector<StoredRecord>& records)
{
    error_code ec;
    const std::string folder = folder_name(kind);
    const auto fd = Folder{project_root, folder}.open(ec);
    if (!fd) return;
    (void)files::visit_names(fd.get(), [&](std::string_view name) {
        if (max_names-- == 0) return false;
        StoredRecord record;
        record.kind = kind;
        record.folder = folder;
        record.name = name;
        struct stat st {};
        if (::fstatat(fd.get(), record.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            return true;
        record.time = time_of(st);
        record.bytes = static_cast<std::uint64_t>(st.st_size);
        record.device = st.st_dev;
        record.inode = st.st_ino;
        if (visit(record)) records.push_back(std::move(record));
        return true;
    });
}

std::vector<StoredRecord> list_stored(const fs::path& project_root, std::size_t max_names)
{
    std::vector<StoredRecord> stored;
    for (const auto& [kind, file] : {std::pair(RecordKind::executions, MetricsFile::executions),
                                     std::pair(RecordKind::attempts, MetricsFile::attempts)})
        list_files(
            project_root, kind, max_names,
            [file = file](StoredRecord& record) { return is_daily(file, record); }, stored);
    list_backups(project_root, RecordKind::audit, max_names, stored);
    list_backups(project_root, RecordKind::log, max_names, stored);
    list_outputs(project_root, max_names, stored);
    return stored;
}

void apply_limits(std::vector<StoredRecord> records, const RetentionLimits& limits,
                  system_clock::time_point now,
                  const std::function<bool(const StoredRecord&)>& remove)
{
    std::ranges::sort(records, [](const auto& a, const auto& b) {
        return std::tie(a.time, b.backup, a.kind, a.name) <
               std::tie(b.time, a.backup, b.kind, b.name);
    });
    std::uint64_t bytes = 0;
    std::map<RecordKind, std::size_t> counts;
    for (const auto& record : records) {
        bytes += record.bytes;
        ++counts[record.kind];
    }
    for (const auto& record : records) {
        const auto age = now - record.time;
        if (age < min_record_age) continue;
        auto& count = counts[record.kind];
        const bool is_old = limits.older_than.count() > 0 && age >= limits.older_than;
        const bool is_beyond = (limits.max_bytes > 0 && bytes > limits.max_bytes) ||
                               (limits.keep > 0 && count > limits.keep);
        if ((!is_old && !is_beyond) || !remove(record)) continue;
        bytes -= record.bytes;
        --count;
    }
}

Removal check_stored(const fs::path& project_root, const StoredRecord& record, bool older_is_gone)
{
    if (record.backup == 0) return {};
    error_code ec;
    const auto folder = Folder{project_root, record.folder}.open(ec);
    if (!folder) return Removal::error(ec);
    const auto name = log_of(record.kind, project_root);
    const auto log = Folder::open_log(folder.get(), name, ec);
    if (!log) return without_log(name, ec);
    return {backup_blocker(folder.get(), record, name, log.get(), older_is_gone), false};
}

Removal remove_stored(const fs::path& project_root, const StoredRecord& record)
{
    error_code ec;
    const auto folder = Folder{project_root, record.folder}.open(ec);
    if (!folder) return Removal::error(ec);
    files::UniqueFd locked;
    if (record.kind != RecordKind::output) {
        auto blocked = lock_for_removal(folder.get(), record, project_root, locked);
        if (!blocked.is_gone()) return blocked;
    }
    struct stat st {};
    if (::fstatat(folder.get(), record.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? Removal() : Removal::error(files::last_error());
    if (!is_same(record, st)) return {"it was replaced meanwhile", false};
    if (::unlinkat(folder.get(), record.name.c_str(), 0) == 0 || errno == ENOENT) return {};
    return Removal::error(files::last_error());
}

}  // namespace autoexec::records
