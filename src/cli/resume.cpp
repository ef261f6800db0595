#include "cli/session/pause_scope.hpp"
#include "cli/subcommand.hpp"
#include "records/pauses.hpp"

#include <utility>

namespace autoexec::cli {
namespace {

std::string words_of_resumption(const PauseScope& scope, bool was_paused)
{
    const auto what = scope.kind.empty()
                          ? "starts"
                          : fmt::format("starts of {} {}", scope.kind, text::printable(scope.name));
    return fmt::format("{} {}", what, was_paused ? "are resumed" : "were not paused");
}

void print_others(const std::filesystem::path& root)
{
    const auto left = records::read_pauses(root).pauses;
    const auto print = [](const protocol::Pause& pause, std::string_view kind,
                          std::string_view name) {
        print_message("Still: {}\n", protocol::words_of_pause(pause, kind, name));
    };
    if (left.all) print(*left.all, {}, {});
    for (const auto& [name, pause] : left.agents) print(pause, "agent", name);
    for (const auto& [name, pause] : left.workflows) print(pause, "workflow", name);
}

int resume(const PauseOptions& options)
{
    const auto root = project_root(options);
    const auto scope = pause_scope(options, root, false);
    bool was_paused = false;
    // Nothing is created where nothing is paused.
    if (records::pauses_stamp(root) != FileStamp{})
        change_pause(root, scope, [&was_paused](std::optional<protocol::Pause>& pause) {
            was_paused = std::exchange(pause, std::nullopt).has_value();
        });
    print_pause_state(scope, options.json, was_paused ? "resumed" : "not_paused",
                      words_of_resumption(scope, was_paused));
    print_others(root);
    return exit_completed;
}

void define_resume(CLI::App& app, PauseOptions& o)
{
    add_common(app, o);
    define_pause_options(app, o);
}

}  // namespace

extern const Subcommand resume_subcommand =
    subcommand("resume", "End a pause of starts", define_resume, resume);

}  // namespace autoexec::cli
