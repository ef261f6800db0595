#include "cli/session/audit_display.hpp"
#include "cli/session/records.hpp"
#include "cli/subcommand.hpp"
#include "text/json.hpp"

namespace autoexec::cli {
namespace {

struct AuditQueryOptions : CommonOptions {
    AuditFilterOptions filter;
    PageOptions page;
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

void print_events(const AuditPage& page, const AuditQueryOptions& options)
{
    const bool csv = options.page.csv;
    if (csv)
        print_csv({"timestamp", "event_type", "status", "execution_id", "attempt_id", "workflow_id",
                   "step_id", "worktree", "command", "details"});
    for (const auto& event : page.events) {
        if (csv)
            print_csv(audit_fields(event));
        else if (options.json)
            print_json(event);
        else
            print_result("{}\n", line_of(event));
    }
    if (page.events.empty() && !options.json && !csv) print_message("No events found.\n");
}

int audit_query(const AuditQueryOptions& options)
{
    const auto folder = records::Folder::of({}, project_root(options), "audit");
    const auto read = [&folder](const auto& filter, const auto& report) {
        return records::read_audit(folder, filter, report);
    };
    return print_page(filter_of(options.filter), options.page, options.json, read,
                      [&options](const AuditPage& page) { print_events(page, options); });
}

void define_audit_query(CLI::App& app, AuditQueryOptions& o)
{
    add_common(app, o);
    add_audit_filter(app, o.filter);
    add_page(app, o.page);
}

}  // namespace

extern const Subcommand audit_query_subcommand = subcommand(
    "audit query", "List events of the audit log, newest first", define_audit_query, audit_query);

}  // namespace autoexec::cli
