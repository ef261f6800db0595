#include "records/audit_logs.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <set>
#include <utility>

namespace autoexec::records {
namespace {

bool find_log(const files::UniqueFd& folder, const std::string& name, struct stat& st)
{
    return ::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

}  // namespace

AuditLogs::AuditLogs(const Folder& folder, ReportUnreadable report)
    : path_(folder.path()), report_(std::move(report))
{
    // Only where rotations follow each other faster than names are looked up.
    constexpr int max_tries = 20;
    error_code ec;
    folder_ = folder.open(ec);
    if (!is_usable(path_, ec, report_)) return;
    for (int tries = 0; tries < max_tries && !find_logs(); ++tries) {
    }
}

// A concurrent rotation renames a file to a name that is looked up later, so none is missed; the
// inode identifies files found twice. But after two rotations, a later name is that of a newer
// file: false if there was one.
bool AuditLogs::find_logs()
{
    logs_.clear();
    std::set<std::pair<dev_t, ino_t>> known;
    auto numbers = log_numbers(folder_.get(), audit_log_name);
    int last_found = 0;
    struct stat newest {};
    (void)find_log(folder_, log_name(audit_log_name, 0), newest);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const int number = numbers[i];
        struct stat st {};
        if (find_log(folder_, log_name(audit_log_name, number), st)) {
            last_found = number;
            if (known.emplace(st.st_dev, st.st_ino).second)
                logs_.push_back({number, st.st_dev, st.st_ino});
        }
        // Rotations meanwhile make further names, and a gap while one renames.
        if (i + 1 == numbers.size() && number < last_found + 2 && number < max_log_number)
            numbers.push_back(number + 1);
    }
    struct stat now {};
    (void)find_log(folder_, log_name(audit_log_name, 0), now);
    return now.st_dev == newest.st_dev && now.st_ino == newest.st_ino;
}

std::optional<AuditLogs::OpenLog> AuditLogs::next()
{
    while (!logs_.empty()) {
        auto log = open(logs_.front());
        logs_.pop_front();
        if (log) return log;
    }
    return std::nullopt;
}

// Rotations since have renamed it upwards, if it was not removed.
std::optional<AuditLogs::OpenLog> AuditLogs::open(const FoundLog& log) const
{
    int missing = 0;
    for (int number = log.number; missing < 2 && number <= max_log_number; ++number) {
        auto name = log_name(audit_log_name, number);
        struct stat st {};
        const auto is_it = [&] { return st.st_dev == log.device && st.st_ino == log.inode; };
        missing = find_log(folder_, name, st) ? 0 : missing + 1;
        if (missing > 0 || !is_it()) continue;
        error_code ec;
        auto file = Folder::open_log(folder_.get(), name, ec);
        if (is_usable(path_ / name, ec, report_)) {
            if (::fstat(file.get(), &st) == 0 && is_it())
                return OpenLog{std::move(name), std::move(file)};
        } else if (ec != boost::system::errc::no_such_file_or_directory) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace autoexec::records
