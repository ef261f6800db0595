#include "cli/session/notify.hpp"

#include "agent/programs.hpp"
#include "cli/session/output.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <string_view>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr char default_path[] = "/bin:/usr/bin";  // the shell's default

void ring(std::string_view text)
{
    const char* const term = std::getenv("TERM");
    send_to_terminal(notify::terminal_bytes(text, term == nullptr ? "" : term));
}

}  // namespace

std::vector<std::string> program_words(const std::string& program,
                                       const std::filesystem::path& folder, std::string& problem)
{
    auto words = text::split_words(program, problem);
    if (words && (words->empty() || words->front().empty())) problem = "no program is given";
    if (!words || !problem.empty()) return {};
    auto& name = words->front();
    const bool is_path = name.find('/') != std::string::npos;
    const char* const path = std::getenv("PATH");
    const auto search = agent::find_program(name, path == nullptr ? default_path : path, folder);
    if (search.found.empty()) {
        problem = fmt::format(
            "no executable program '{}'{}", name,
            is_path ? fmt::format(" in {}", fmt::join(search.searched, "")) : " in PATH");
        return {};
    }
    if (is_path) name = search.found.string();
    return std::move(*words);
}

notify::NotificationsOptions notifications_options(const NotifyConfig& config,
                                                   const std::filesystem::path& root,
                                                   std::shared_ptr<Spawner> spawner)
{
    notify::NotificationsOptions options;
    options.project_root = root;
    options.clock = system_clock();
    options.spawner = std::move(spawner);
    options.config = config;
    options.ring = ring;
    options.report = [](const std::string& problem) {
        print_message("{}\n", text::printable(problem));
    };
    std::string problem;
    if (!config.program.empty()) options.program = program_words(config.program, root, problem);
    if (!problem.empty()) options.report("warning: notify.program: " + problem);
    return options;
}

}  // namespace autoexec::cli
