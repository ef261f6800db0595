#include "cli/session/audit_display.hpp"
#include "cli/session/records.hpp"
#include "cli/subcommand.hpp"
#include "text/json.hpp"

namespace autoexec::cli {
namespace {

struct AuditQueryOptions : CommonOptions {
    AuditFilterOptions filter;
    std::size_t limit = 20;
    std::string cursor;
    bool csv = false;
};

std::vector<std::string> audit_fields(const boost::json::object& event)
{
    std::vector<std::string> fields;
    for (const auto* const key : {"timestamp", "event_type", "status", "execution_id", "attempt_id",
                                  "workflow_id", "step_id", "worktree", "command"})
        fields.push_back(text_of(event, key));
    const auto* const details = event.if_contains("details");
    fields.push_back(details != nullptr ? text::dump_line(*details) : "");
    return fields;
}

int audit_query(const AuditQueryOptions& options)
{
    const auto folder = records::Folder::of({}, project_root(options), "audit");
    UnreadableRecords unreadable;
    auto filter = filter_of(options.filter);
    filter.limit = options.limit;
    filter.cursor = options.cursor;
    const auto page = records::read_audit(folder, filter, unreadable.report());
    if (page.cursor_is_lost && unreadable.exit_code() == exit_completed) fail_by_lost_cursor();
    if (options.csv)
        print_csv({"timestamp", "event_type", "status", "execution_id", "attempt_id", "workflow_id",
                   "step_id", "worktree", "command", "details"});
    for (const auto& event : page.events) {
        if (options.csv)
            print_csv(audit_fields(event));
        else if (options.json)
            print_json(event);
        else
            print_result("{}\n", line_of(event));
    }
    if (page.events.empty() && !options.json && !options.csv) print_message("No events found.\n");
    if (!page.next.empty() && (options.json || options.csv))
        print_message("next page: --cursor {}\n", page.next);
    return unreadable.exit_code();
}

void define_audit_query(CLI::App& app, AuditQueryOptions& o)
{
    add_common(app, o);
    add_audit_filter(app, o.filter);
    add_limit(app, o.limit);
    add_cursor(app, o.cursor);
    add_csv(app, o.csv);
}

}  // namespace

extern const Subcommand audit_query_subcommand = subcommand(
    "audit query", "List events of the audit log, newest first", define_audit_query, audit_query);

}  // namespace autoexec::cli
