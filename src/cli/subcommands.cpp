#include "cli/examples.hpp"
#include "cli/subcommand.hpp"

#include <array>
#include <string_view>

namespace autoexec::cli {

// In the order of the help.
#define AUTOEXEC_SUBCOMMANDS(EACH) \
    EACH(init)                     \
    EACH(run)                      \
    EACH(workflow_new)             \
    EACH(workflow_run)             \
    EACH(workflow_resume)          \
    EACH(workflow_rerun)           \
    EACH(workflow_validate)        \
    EACH(workflow_graph)           \
    EACH(workflow_list)            \
    EACH(workflow_status)          \
    EACH(workflow_report)          \
    EACH(workflow_schedule)        \
    EACH(workflow_cancel)          \
    EACH(workflow_approve)         \
    EACH(workflow_reject)          \
    EACH(workflow_done)            \
    EACH(workflow_fail)            \
    EACH(worktree_list)            \
    EACH(worktree_gc)              \
    EACH(worktree_restore)         \
    EACH(worktree_drop)            \
    EACH(queue_run)                \
    EACH(stop)                     \
    EACH(pause)                    \
    EACH(resume)                   \
    EACH(agent)                    \
    EACH(agents_validate)          \
    EACH(agents_list)              \
    EACH(agents_init)              \
    EACH(agents_reset)             \
    EACH(status)                   \
    EACH(top)                      \
    EACH(history)                  \
    EACH(metrics)                  \
    EACH(trace)                    \
    EACH(audit_query)              \
    EACH(audit_tail)               \
    EACH(audit_verify)             \
    EACH(records_gc)               \
    EACH(logs)                     \
    EACH(diff)                     \
    EACH(open)                     \
    EACH(attach)                   \
    EACH(wait)                     \
    EACH(cancel)                   \
    EACH(rerun)                    \
    EACH(answer)                   \
    EACH(say)                      \
    EACH(health)                   \
    EACH(config_show)              \
    EACH(config_get)               \
    EACH(config_set)               \
    EACH(config_unset)             \
    EACH(config_edit)              \
    EACH(config_validate)          \
    EACH(config_schema)            \
    EACH(config_reference)         \
    EACH(config_migrate)           \
    EACH(debug)                    \
    EACH(help)                     \
    EACH(command_table)

#define AUTOEXEC_DECLARE(name) extern const Subcommand name##_subcommand;
AUTOEXEC_SUBCOMMANDS(AUTOEXEC_DECLARE)
#undef AUTOEXEC_DECLARE

namespace {

struct Group {
    std::string_view word;
    const char* help;
};

constexpr std::array<Group, 7> groups{{
    {"workflow", "Run and manage workflows of dependent steps"},
    {"worktree", "List, remove and restore the worktrees of workflows"},
    {"queue", "Run detached commands"},
    {"agents", "Create, check, list and reset the agents of this project"},
    {"audit", "Query, follow and verify the audit log"},
    {"records", "Remove old records"},
    {"config", "Show, change, check and migrate the configuration"},
}};

CLI::App& group_app(CLI::App& app, std::string_view word)
{
    for (auto* const group : app.get_subcommands([](CLI::App*) { return true; }))
        if (group->get_name() == word) return *group;
    for (const auto& group : groups) {
        if (group.word != word) continue;
        auto& added = *app.add_subcommand(std::string(word), group.help);
        added.require_subcommand(1);
        added.group("Commands");
        return added;
    }
    throw CLI::OptionNotFound(std::string(word));
}

// Its own footer, then examples, and the page that describes the command.
std::string footer_of(const CLI::App& app, std::string_view words)
{
    auto footer = app.get_footer();
    footer.erase(0, footer.find_first_not_of('\n'));
    footer.erase(footer.find_last_not_of('\n') + 1);
    if (!footer.empty()) footer += "\n\n";
    if (const auto examples = examples_of(words); !examples.empty())
        footer += fmt::format("Examples:\n{}\n", examples);
    return footer + fmt::format("Documentation: doc/cli.md#{}", words.substr(0, words.find(' ')));
}

DefinedSubcommand define(CLI::App& app, const Subcommand& subcommand)
{
    const std::string_view words = subcommand.words;
    const auto space = words.find(' ');
    auto& parent = space == words.npos ? app : group_app(app, words.substr(0, space));
    const auto name = words.substr(space == words.npos ? 0 : space + 1);
    auto* const added = parent.add_subcommand(std::string(name), subcommand.help);
    added->group("Commands");
    auto body = subcommand.define(*added);
    added->footer(footer_of(*added, words));
    return {subcommand.words, added, std::move(body)};
}

}  // namespace

std::vector<DefinedSubcommand> define_subcommands(CLI::App& app)
{
    std::vector<DefinedSubcommand> all;
#define AUTOEXEC_DEFINE(name) all.push_back(define(app, name##_subcommand));
    AUTOEXEC_SUBCOMMANDS(AUTOEXEC_DEFINE)
#undef AUTOEXEC_DEFINE
    for (const auto& group : groups)
        app.get_subcommand(std::string(group.word))
            ->footer(fmt::format("Run 'autoexec help {} COMMAND' for options and examples.",
                                 group.word));
    return all;
}

}  // namespace autoexec::cli
