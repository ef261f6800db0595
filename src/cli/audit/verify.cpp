#include "autoexec/config.hpp"
#include "cli/subcommand.hpp"
#include "records/audit_verification.hpp"

namespace autoexec::cli {
namespace {

struct AuditVerifyOptions : CommonOptions {
    std::string key_file;
};

void print_text(const AuditVerification& found, const std::filesystem::path& root)
{
    for (const auto& problem : found.problems) {
        const auto file = problem.file.lexically_relative(root).string();
        print_result("{}{}: {}: {}\n", text::printable(file),
                     problem.line != 0 ? fmt::format(":{}", problem.line) : "",
                     to_string(problem.kind), text::printable(problem.sentence));
    }
    if (found.further_problems > 0)
        print_result("{}\n", text::counted(found.further_problems, "more problem"));
    print_result("{}: {} in the chain, {} to {}\n",
                 found.is_intact() ? "The audit log is intact" : "The audit log was changed",
                 text::counted(found.chained_lines, "line"), found.first_seq, found.last_seq);
    if (found.first_seq > 1)
        print_result("Lines 1 to {} were rotated away or removed.\n", found.first_seq - 1);
    if (found.unchained_lines > 0)
        print_result(
            "{} before the chain cannot be checked: written by an earlier version, or without its "
            "link.\n",
            text::counted(found.unchained_lines, "line"));
}

std::string audit_key(const AuditVerifyOptions& options, const std::filesystem::path& root)
{
    std::filesystem::path file = options.key_file;
    if (file.empty())
        file = audit_options(AutoExecutionConfigManager({}, root).load(false), root).key_file;
    try {
        return records::read_audit_key(file);
    } catch (const system_error& e) {
        fail(exit_usage, "{}", e.what());
    }
}

int audit_verify(const AuditVerifyOptions& options)
{
    const auto root = project_root(options);
    const auto found = records::verify_audit(records::Folder::of({}, root, "audit"),
                                             records::AuditChain(audit_key(options, root)));
    if (options.json)
        print_json(to_json(found));
    else if (found.lines == 0 && found.problems.empty())
        print_message("The audit log is empty.\n");
    else
        print_text(found, root);
    return found.is_intact() ? exit_completed : exit_failed;
}

void define_audit_verify(CLI::App& app, AuditVerifyOptions& o)
{
    add_common(app, o);
    app.add_option("--key-file", o.key_file,
                   "File with the key of the hashes (default: audit.key_file)")
        ->type_name("FILE");
}

}  // namespace

extern const Subcommand audit_verify_subcommand = subcommand(
    "audit verify", "Check that the audit log was not changed", define_audit_verify, audit_verify);

}  // namespace autoexec::cli
