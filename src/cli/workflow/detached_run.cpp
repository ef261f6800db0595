#include "cli/workflow/detached_run.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "queue/detached.hpp"
#include "text/text.hpp"
#include "workflow/journal/journal.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace autoexec::cli {
namespace {

constexpr std::chrono::milliseconds run_interval{50};
constexpr std::size_t max_newer_runs = 50;

// Those of this process; the options were checked.
std::vector<std::string> words_without_detach()
{
    std::ifstream in("/proc/self/cmdline", std::ios::binary);
    std::vector<std::string> words;
    for (std::string word; std::getline(in, word, '\0');) words.push_back(word);
    if (!words.empty()) words.erase(words.begin());
    std::erase_if(words, [](const std::string& word) {
        return word == "--detach" || word.starts_with("--detach=");
    });
    return words;
}

// The run that the process has started or resumed; empty: none yet. Runs of other processes may be
// newer; not many, within the time that this one needs to begin.
std::string run_of(const std::filesystem::path& root, const std::string& resumed, pid_t pid,
                   std::chrono::system_clock::time_point since)
{
    auto ids = workflow::list_runs(root);
    ids.resize(std::min(ids.size(), max_newer_runs));
    if (!resumed.empty()) ids.push_back(resumed);
    for (const auto& id : ids) {
        std::string ignored;
        const auto run = workflow::read_run(root, id, ignored);
        const bool is_own = run && run->pid == pid && run->parent_run.empty();
        if (!is_own || run->transitions.empty()) continue;
        const auto last = run->transitions.back().time;
        if (last && *last >= since) return id;
    }
    return {};
}

}  // namespace

int detach_run(const std::filesystem::path& root, const std::string& resumed, bool as_json)
{
    // A journal has whole microseconds.
    const auto since = std::chrono::system_clock::now() - std::chrono::milliseconds(1);
    error_code ec;
    const auto process = queue::start_detached(root, std::filesystem::current_path(),
                                               text::new_uuid(), words_without_detach(), ec);
    if (ec) fail(exit_internal, "cannot start a process for the run: {}", ec.message());
    std::string run;
    int status = 0;
    bool has_ended = false;
    while (!has_ended && run.empty()) {
        std::this_thread::sleep_for(run_interval);
        has_ended = ::waitpid(process.pid, &status, WNOHANG) == process.pid;
        run = run_of(root, resumed, process.pid, since);
    }
    if (run.empty()) {
        std::string problem;
        print_message(text::printable(read_text(process.log, problem).value_or(problem), true));
        throw Failure(WIFEXITED(status) ? static_cast<ExitCode>(WEXITSTATUS(status))
                                        : exit_internal);
    }
    if (as_json)
        print_json({{"run_id", run}, {"state", "running"}, {"log", process.log.string()}});
    else
        print_result("{}\n", text::printable(run));
    return exit_completed;
}

}  // namespace autoexec::cli
