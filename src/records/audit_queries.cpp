#include "protocol/record_lines.hpp"
#include "records/audit_logs.hpp"
#include "records/queries.hpp"
#include "records/read_lines.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <utility>
#include <vector>

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

/// Rules out lines, one or many. Much cheaper than parsing them.
class AuditHints {
public:
    explicit AuditHints(const AuditFilter& filter)
    {
        for (const auto* text : {&filter.execution_id, &filter.attempt_id, &filter.workflow_id,
                                 &filter.step_id, &filter.event_type, &filter.worktree})
            hints_.add(*text);
        if (!is_any(filter.text)) texts_ = {*filter.text, escaped(*filter.text)};
    }

    [[nodiscard]] bool may_be_in(std::string_view lines) const
    {
        const auto holds = [lines](const auto& text) { return contains(lines, text); };
        return hints_.may_be_in(lines) &&
               (texts_.empty() || std::any_of(texts_.begin(), texts_.end(), holds));
    }

private:
    /// As the log has it within a string.
    static std::string escaped(std::string_view text)
    {
        const auto quoted = text::dump_line(json::value(text::valid_utf8(text)));
        return quoted.substr(1, quoted.size() - 2);
    }

    StringHints hints_;
    std::vector<std::string> texts_;  // a line has one of them
};

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

AuditPage read_audit(const Folder& folder, const AuditFilter& filter,
                     const ReportUnreadable& report)
{
    AuditPage page;
    const AuditCursor cursor(filter.cursor);
    const AuditHints hints(filter);
    const auto may_hold = [&hints](std::string_view lines) { return hints.may_be_in(lines); };
    bool is_reached = filter.cursor.empty();
    page.cursor_is_lost = !is_reached;
    AuditLogs logs(folder, report);
    while (auto log = logs.next()) {
        const auto inode = inode_of(log->file.get());
        const bool ends_at_cursor = !is_reached && cursor.is_in(inode);
        is_reached |= ends_at_cursor;
        if (!is_reached) continue;
        page.cursor_is_lost = false;
        ReverseLines lines(std::move(log->file), ends_at_cursor ? cursor.offset : std::nullopt,
                           may_hold);
        while (const auto line = lines.next()) {
            if (!hints.may_be_in(*line)) continue;
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
