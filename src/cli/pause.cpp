#include "cli/session/pause_scope.hpp"
#include "cli/subcommand.hpp"

namespace autoexec::cli {
namespace {

int pause(const PauseOptions& options)
{
    const auto root = project_root(options);
    const auto scope = pause_scope(options, root, true);
    protocol::Pause now;
    change_pause(root, scope, [&now](std::optional<protocol::Pause>& pause) {
        if (!pause) pause = protocol::Pause{std::chrono::system_clock::now(), user_at_host()};
        now = *pause;
    });
    print_pause_state(scope, options.json, "paused",
                      protocol::words_of_pause(now, scope.kind, scope.name));
    return exit_completed;
}

constexpr char pause_footer[] = R"(
Running commands continue. All others of the project wait, in all its processes, until
'autoexec resume' with the same option.
)";

void define_pause(CLI::App& app, PauseOptions& o)
{
    app.footer(pause_footer);
    add_common(app, o);
    define_pause_options(app, o);
}

}  // namespace

extern const Subcommand pause_subcommand =
    subcommand("pause", "Start no more commands for now", define_pause, pause);

}  // namespace autoexec::cli
