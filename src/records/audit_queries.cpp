#include "protocol/record_lines.hpp"
#include "records/queries.hpp"
#include "records/read_lines.hpp"
#include "text/text.hpp"

#include <sys/stat.h>

#include <charconv>
#include <set>
#include <utility>

namespace autoexec::records {
namespace {

namespace json = boost::json;

bool is_equal(const json::object& event, std::string_view key,
              const std::optional<std::string>& wanted)
{
    if (is_any(wanted)) return true;
    const auto* value = event.if_contains(key);
    return value != nullptr && value->is_string() && value->get_string() == *wanted;
}

bool is_in_time(const json::object& event, const AuditFilter& filter)
{
    if (!filter.since && !filter.until) return true;
    const auto* value = event.if_contains("timestamp");
    const auto* text = value != nullptr ? value->if_string() : nullptr;
    const auto time = text != nullptr ? text::parse_iso(*text) : std::nullopt;
    return time && (!filter.since || *time >= *filter.since) &&
           (!filter.until || *time < *filter.until);
}

bool matches(const json::object& event, const AuditFilter& filter)
{
    return is_equal(event, "workflow_id", filter.workflow_id) &&
           is_equal(event, "step_id", filter.step_id) &&
           is_equal(event, "event_type", filter.event_type) &&
           is_equal(event, "execution_id", filter.execution_id) &&
           is_equal(event, "attempt_id", filter.attempt_id) &&
           is_equal(event, "worktree", filter.worktree) && is_in_time(event, filter);
}

bool may_match(std::string_view line, const AuditFilter& filter)
{
    for (const auto* text : {&filter.execution_id, &filter.attempt_id, &filter.workflow_id,
                             &filter.step_id, &filter.event_type, &filter.worktree})
        if (!may_hold(line, *text)) return false;
    return is_any(filter.text) || line.find(*filter.text) != line.npos;
}

/// `<inode>:<offset>`: lines of that log before the offset, then older logs. A rotation changes
/// names, not inodes.
struct AuditCursor {
    explicit AuditCursor(std::string_view text)
    {
        const auto colon = std::min(text.find(':'), text.size());
        std::from_chars(text.data(), text.data() + colon, inode);
        if (colon < text.size())
            std::from_chars(text.data() + colon + 1, text.data() + text.size(), offset);
    }

    std::uint64_t inode = 0;
    std::uint64_t offset = 0;
};

std::uint64_t inode_of(const files::UniqueFd& file)
{
    struct stat st {};
    return ::fstat(file.get(), &st) == 0 ? st.st_ino : 0;
}

}  // namespace

// A concurrent rotation renames a file to a name that is opened later, so none is missed; the inode
// identifies files opened twice.
std::vector<OpenLog> open_audit_logs(const Folder& location, const ReportUnreadable& report)
{
    std::vector<OpenLog> logs;
    error_code ec;
    const auto is_usable = [&](const std::filesystem::path& path) {
        const bool exists = ec != boost::system::errc::no_such_file_or_directory;
        if (ec && exists && report) report(path, ec);
        return !ec;
    };
    const auto folder = location.open(ec);
    if (!is_usable(location.path())) return logs;
    std::set<std::pair<dev_t, ino_t>> known;
    auto numbers = log_numbers(folder.get(), audit_log_name);
    int last_found = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto name = log_name(audit_log_name, numbers[i]);
        auto log = Folder::open_log(folder.get(), name, ec);
        struct stat st {};
        if (is_usable(location.path() / name) && ::fstat(log.get(), &st) == 0 &&
            known.emplace(st.st_dev, st.st_ino).second)
            logs.push_back({name, std::move(log)});
        if (!ec) last_found = numbers[i];
        // Rotations meanwhile make further names, and a gap while one renames.
        if (i + 1 == numbers.size() && numbers[i] < last_found + 2 && numbers[i] < max_log_number)
            numbers.push_back(numbers[i] + 1);
    }
    return logs;
}

AuditPage read_audit(const Folder& folder, const AuditFilter& filter,
                     const ReportUnreadable& report)
{
    AuditPage page;
    const AuditCursor cursor(filter.cursor);
    bool is_reached = filter.cursor.empty();
    for (auto& log : open_audit_logs(folder, report)) {
        const auto inode = inode_of(log.file);
        const bool ends_at_cursor = !is_reached && inode == cursor.inode;
        is_reached |= ends_at_cursor;
        if (!is_reached) continue;
        ReverseLines lines(std::move(log.file),
                           ends_at_cursor ? std::optional(cursor.offset) : std::nullopt);
        while (const auto line = lines.next()) {
            if (!may_match(*line, filter)) continue;
            auto event = protocol::parse_audit(*line);
            page.skipped_lines += event ? 0 : 1;
            if (!event || !matches(*event, filter)) continue;
            page.events.push_back(*std::move(event));
            if (page.events.size() != filter.limit) continue;
            page.next = std::to_string(inode) + ':' + std::to_string(lines.offset());
            return page;
        }
        page.skipped_lines += lines.skipped();
    }
    return page;
}

}  // namespace autoexec::records
