#include "cli/session/audit_display.hpp"
#include "cli/session/records.hpp"
#include "cli/subcommand.hpp"
#include "protocol/record_lines.hpp"
#include "records/follow_log.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace autoexec::cli {
namespace {

constexpr std::chrono::milliseconds follow_interval{200};

struct AuditTailOptions : CommonOptions {
    std::size_t limit = 10;
    bool follow = false;
};

void print_event(const boost::json::object& event, bool json)
{
    if (json)
        print_json(event);
    else
        print_result("{}\n", line_of(event));
}

int audit_tail(const AuditTailOptions& options)
{
    const auto folder = records::Folder::of({}, project_root(options), "audit");
    // Opened first: what is written meanwhile is printed, too.
    records::LogFollower follower(folder, records::audit_log_name);
    UnreadableRecords unreadable;
    AuditFilter filter;
    filter.limit = options.limit;
    filter.cursor = follower.cursor();
    auto events = records::read_audit(folder, filter, unreadable.report()).events;
    std::reverse(events.begin(), events.end());
    for (const auto& event : events) print_event(event, options.json);
    while (options.follow && result_error() == 0) {
        follower.read([&options](std::string_view line) {
            if (const auto event = protocol::parse_audit(line)) print_event(*event, options.json);
        });
        std::this_thread::sleep_for(follow_interval);
    }
    return unreadable.exit_code();
}

void define_audit_tail(CLI::App& app, AuditTailOptions& o)
{
    add_common(app, o);
    add_limit(app, o.limit);
    app.add_flag("-f,--follow", o.follow, "Print events as they are written, until stopped");
}

}  // namespace

extern const Subcommand audit_tail_subcommand = subcommand(
    "audit tail", "Print the newest events of the audit log", define_audit_tail, audit_tail);

}  // namespace autoexec::cli
