#include "records/audit_reader.hpp"

#include "files/safe_files.hpp"
#include "protocol/record_lines.hpp"
#include "records/read_lines.hpp"

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

bool matches(const json::object& event, const AuditFilter& filter)
{
    return is_equal(event, "workflow_id", filter.workflow_id) &&
           is_equal(event, "step_id", filter.step_id) &&
           is_equal(event, "event_type", filter.event_type) &&
           is_equal(event, "execution_id", filter.execution_id);
}

bool may_match(std::string_view line, const AuditFilter& filter)
{
    return may_hold(line, filter.execution_id) && may_hold(line, filter.workflow_id) &&
           may_hold(line, filter.step_id) && may_hold(line, filter.event_type);
}

// The log and its backups, newest first. A concurrent rotation renames a file to a name that is
// opened later, so none is missed; the inode identifies files opened twice.
std::vector<files::UniqueFd> open_logs(const Folder& location, int backups)
{
    std::vector<files::UniqueFd> logs;
    error_code ec;
    const auto folder = location.open(ec);
    if (ec) return logs;

    std::set<std::pair<dev_t, ino_t>> known;
    for (int i = 0; i <= backups; ++i) {
        auto name = std::string(audit_log_name);
        if (i > 0) name += "." + std::to_string(i);
        auto log = Folder::open_log(folder.get(), name, ec);
        struct stat st {};
        if (!ec && ::fstat(log.get(), &st) == 0 && known.emplace(st.st_dev, st.st_ino).second)
            logs.push_back(std::move(log));
    }
    return logs;
}

}  // namespace

std::vector<json::object> read_audit(const Folder& folder, const AuditFilter& filter,
                                     int max_backups)
{
    std::vector<json::object> found;
    for (auto& log : open_logs(folder, max_backups)) {
        ReverseLines lines(std::move(log));
        while (const auto line = lines.next()) {
            if (!may_match(*line, filter)) continue;
            auto event = protocol::parse_audit(*line);
            if (!event || !matches(*event, filter)) continue;
            found.push_back(std::move(*event));
            if (found.size() == filter.limit) return found;
        }
    }
    return found;
}

}  // namespace autoexec::records
