#include "protocol/record_lines.hpp"
#include "records/queries.hpp"
#include "records/read_lines.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <sys/stat.h>

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

/// A text as the log has it within a string.
std::string escaped(const std::optional<std::string>& text)
{
    const auto quoted = text::dump_line(json::value(text::valid_utf8(text.value_or(""))));
    return quoted.substr(1, quoted.size() - 2);
}

bool may_match(std::string_view line, const AuditFilter& filter, std::string_view escaped_text)
{
    for (const auto* text : {&filter.execution_id, &filter.attempt_id, &filter.workflow_id,
                             &filter.step_id, &filter.event_type, &filter.worktree})
        if (!may_hold(line, *text)) return false;
    return is_any(filter.text) || line.find(escaped_text) != line.npos ||
           line.find(*filter.text) != line.npos;
}

/// `<inode>:<offset>`: lines of that log before the offset, then older logs. A rotation changes
/// names, not inodes.
struct AuditCursor {
    explicit AuditCursor(std::string_view text)
    {
        const auto colon = std::min(text.find(':'), text.size());
        if (colon == text.size()) return;
        inode = parse_number(text.substr(0, colon));
        offset = parse_number(text.substr(colon + 1));
    }
    [[nodiscard]] bool is_in(std::uint64_t log) const { return offset && inode == log; }

    std::optional<std::uint64_t> inode;
    std::optional<std::uint64_t> offset;
};

}  // namespace

// A concurrent rotation renames a file to a name that is opened later, so none is missed; the inode
// identifies files opened twice.
std::vector<OpenLog> open_audit_logs(const Folder& location, const ReportUnreadable& report)
{
    std::vector<OpenLog> logs;
    error_code ec;
    const auto folder = location.open(ec);
    if (!is_usable(location.path(), ec, report)) return logs;
    std::set<std::pair<dev_t, ino_t>> known;
    auto numbers = log_numbers(folder.get(), audit_log_name);
    int last_found = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto name = log_name(audit_log_name, numbers[i]);
        auto log = Folder::open_log(folder.get(), name, ec);
        struct stat st {};
        if (is_usable(location.path() / name, ec, report) && ::fstat(log.get(), &st) == 0 &&
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
    const auto escaped_text = escaped(filter.text);
    bool is_reached = filter.cursor.empty();
    page.cursor_is_lost = !is_reached;
    for (auto& log : open_audit_logs(folder, report)) {
        const auto inode = inode_of(log.file.get());
        const bool ends_at_cursor = !is_reached && cursor.is_in(inode);
        is_reached |= ends_at_cursor;
        if (!is_reached) continue;
        page.cursor_is_lost = false;
        ReverseLines lines(std::move(log.file), ends_at_cursor ? cursor.offset : std::nullopt);
        while (const auto line = lines.next()) {
            if (!may_match(*line, filter, escaped_text)) continue;
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
